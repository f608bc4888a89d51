//! Training a Geneformer-style model from nothing: masked genes of cells (Theodoris et al. 2023), in the published format.
//!
//! The encoder is the one that embeds ([`BertEncoder`](crate::blocks::BertEncoder)); [`MaskedLm`] puts the head of
//! transformers' `BertForMaskedLM` on it. [`GeneDictionaries`] and [`ModelShape`] are what the model is before it has weights,
//! [`initial_tensors`] are its first ones, [`Masking`] hides genes, [`Pretraining`] learns to find them, and [`Frequencies`] is
//! what that must be compared with.

mod dictionaries;
mod frequencies;
mod initial;
mod masked_lm;
mod masking;
mod passes;
mod pickle;
mod shape;
mod tensors;
mod trainer;

pub use dictionaries::{FIRST_GENE, GeneDictionaries, MASK};
pub use frequencies::Frequencies;
pub use initial::initial_tensors;
pub use masked_lm::MaskedLm;
pub use masking::{MaskEpoch, MaskedCell, Masking, mask_seed};
pub use shape::ModelShape;
pub use tensors::serialized;
pub use trainer::{PretrainSettings, Pretraining, Snapshot};
