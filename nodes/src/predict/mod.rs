//! The kind `predict`: cells that nobody has labelled, scored by trained heads.
//!
//! Every fold of a training left a head; a cell gets the mean of their scores and each of them. A kind that trains more
//! than a head on frozen vectors (adapters) must embed the cells itself: its heads are of no use on other vectors.

mod heads;
mod kind;
mod run;
mod table;

pub use kind::Predict;
