//! Cells to vectors: the kinds `tokenize` and `embed`, and the tokens artifact between them.
//!
//! Both are the same for every model; what differs comes from the registry of `celldag-models`. Drugs have a kind of their
//! own, `embed-drug`, and so have genes, `embed-genes`, over the same loading, batching and devices.

pub(crate) mod adapter;
mod aliases;
pub(crate) mod checkpoint;
mod cut;
mod drug;
pub(crate) mod embed_cells;
mod embed_parts;
mod empty;
pub(crate) mod failure;
mod genes;
mod kept;
pub(crate) mod options;
mod output;
pub(crate) mod tokenize;
mod tokenize_parts;
mod tokens_file;

pub use drug::{DrugTableError, EmbedDrug};
pub use embed_cells::Embed;
pub use genes::EmbedGenes;
pub use tokenize::Tokenize;
pub use tokens_file::{TokensError, TokensFile, TokensInfo, TokensWriter};
