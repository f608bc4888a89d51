//! Several data sets as one: the cells of all files below each other, over the genes that all of them (or any) have.

mod genes;
mod kind;
mod names;

pub(crate) use genes::{Match, common};
pub use kind::Concat;
