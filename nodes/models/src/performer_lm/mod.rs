//! What scBERT and CellLM share: the network, the gene list that their users must supply, expression levels as tokens, and
//! the choice of the stabiliser.

mod encoder;
mod folder;
mod gene_list;
mod key_maximum;
mod levels;
mod load;

pub use encoder::PerformerEncoder;
pub use gene_list::GeneList;
pub use key_maximum::KeyMaximum;
pub use levels::Levels;

pub(crate) use folder::Folder;
pub(crate) use key_maximum::OPTION as KEY_MAXIMUM;
pub(crate) use load::{Tables, load};
