//! CellPLM (Wen et al. 2023, 10.1101/2023.10.03.560734): a transformer whose tokens are cells. A cell is the sum of the
//! vectors of its genes; cells of a neighbourhood attend to each other, so the embedding of a cell depends on them.
//!
//! The published versions differ in the layer behind the encoder: a mixture of Gaussians (20230926) or one (20231027).

mod checkpoint;
mod config;
mod embed;
mod latent;
mod model;
mod tokenize;

use std::path::{Path, PathBuf};

use celldag_data::GeneIds;

pub use checkpoint::Checkpoint;
pub use config::{Config, LatentKind};
pub use embed::{Encoder, Latent, Readout};
pub use latent::LatentLayer;
pub use model::Flowformer;
pub use tokenize::Tokenizer;

use crate::encoder::CellEncoder;
use crate::error::ModelError;
use crate::gene_aliases::GENE_ALIASES;
use crate::model::{CellModel, LoadEncoder, Purpose};
use crate::option::{ModelOption, OptionDefault, OptionType, Options};
use crate::tokens::CellTokenizer;

/// Which of several versions in a folder.
const VERSION: ModelOption = ModelOption {
    name: "version",
    ty: OptionType::Text,
    default: OptionDefault::Decided("20230926_85M, or the only one"),
    about: "which model of a folder that holds several: what its file names begin with (20230926_85M, 20231027_85M)",
};

/// The registry's entry.
pub struct CellPlm;

impl CellModel for CellPlm {
    fn name(&self) -> &'static str {
        "cellplm"
    }

    fn about(&self) -> &'static str {
        "CellPLM: a transformer over cells, each the sum of its genes; cells of a neighbourhood see each other"
    }

    fn vocabulary(&self) -> &'static str {
        "Ensembl ids"
    }

    fn licence(&self) -> &'static str {
        "BSD-2-Clause (repository); nothing is said about the weights"
    }

    fn options(&self, purpose: Purpose) -> &'static [ModelOption] {
        match purpose {
            Purpose::Tokenize => &[GENE_ALIASES, VERSION],
            Purpose::Embed => embed::OPTIONS,
        }
    }

    fn epoch(&self) -> u32 {
        2
    }

    fn lora_targets(&self) -> &'static [&'static str] {
        &["query_projection", "key_projection", "value_projection"]
    }

    fn files(
        &self,
        checkpoint: &Path,
        purpose: Purpose,
        options: &Options,
    ) -> Result<Vec<PathBuf>, ModelError> {
        checkpoint::files(checkpoint, purpose, options.text(VERSION.name))
    }

    fn tokenizer(
        &self,
        checkpoint: &Path,
        genes: &GeneIds,
        options: &Options,
    ) -> Result<Box<dyn CellTokenizer>, ModelError> {
        Ok(Box::new(Tokenizer::new(checkpoint, genes, options)?))
    }

    fn encoder(&self, load: LoadEncoder<'_>) -> Result<Box<dyn CellEncoder>, ModelError> {
        Ok(Box::new(Encoder::load(load)?))
    }
}
