//! Models that turn drugs, written as SMILES, into vectors, and what each of them must offer. A new model is one line here.
//!
//! A drug is a sequence of tokens like a cell, and is batched, kept within memory and computed by the same code
//! ([`embed_cells`](crate::embed_cells)); only its way to tokens is another: there are no genes, and a text may hold what a
//! model does not know. What happens to such text is told drug by drug ([`Remark`]).

mod model;
mod packed;
mod readout;
mod remark;
mod vocabulary;

pub use model::{DrugModel, DrugTokenizer, DrugTokens, drug_model, drug_models};
pub(crate) use packed::{Packed, framed};
pub use readout::{DrugPooling, DrugReadout};
pub(crate) use readout::{layer_option, pooling_option};
pub use remark::Remark;
pub(crate) use vocabulary::Vocabulary;
