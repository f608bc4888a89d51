//! The kind `pretrain`: a Geneformer-style model trained from nothing on the cells of one or several files.
//!
//! A cell is known by its name: by it, it belongs to the training or to the validation cells, and by it its genes are hidden.
//! Neither depends on the order of files and cells.

mod card;
mod cells;
mod coverage;
mod kind;
mod learner;
mod model;
mod run;

pub use kind::Pretrain;
