//! Vectors of cells from a scGPT, read as its authors do.

use celldag_data::checkpoint::{Weights, unwrapped};
use celldag_shaders::ops::{self, Pool};
use celldag_shaders::{Device, Tensor};
use serde::{Deserialize, Serialize};

use super::checkpoint::Checkpoint;
use super::model::TokenEncoder;
use crate::adapter::Adapters;
use crate::blocks::{Normalize, depth};
use crate::encoder::{Batch, CellEncoder, EncoderInfo};
use crate::error::ModelError;
use crate::option::{ModelOption, OptionDefault, OptionType, Options, written_out};
use crate::params::Params;
use crate::tokens::CellTokens;

/// Parts of published and fine-tuned files behind the encoder, which embeddings do not need: decoders of expression and of
/// classes, the batch label that decoders are told, the discriminator of batch correction, and a flag of pretraining.
const IGNORED: [&str; 6] = [
    "flag_encoder.",
    "decoder.",
    "mvc_decoder.",
    "cls_decoder.",
    "batch_encoder.",
    "grad_reverse_discriminator.",
];

pub(super) const OPTIONS: &[ModelOption] = &[
    ModelOption {
        name: "layer",
        ty: OptionType::Int(-99, -1),
        default: OptionDefault::Value("-1"),
        about: "-1: output of the last layer, -2: of the one before, and so on",
    },
    ModelOption {
        name: "normalize",
        ty: OptionType::Choice(&["none", "l2"]),
        default: OptionDefault::Value("l2"),
        about: "l2: every vector is divided by its length",
    },
    ModelOption {
        name: "pooling",
        ty: OptionType::Choice(&["cls", "mean", "mean_genes"]),
        default: OptionDefault::Value("cls"),
        about: "the <cls> token, the mean of all tokens, or the mean of the gene tokens",
    },
];

/// How token states become one vector.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Pooling {
    /// The state of the `<cls>` token.
    #[default]
    Cls,
    /// Mean over all tokens, `<cls>` included: the authors' `avg-pool`, without the padding that it adds in.
    Mean,
    /// Mean over the gene tokens.
    MeanGenes,
}

/// Which layer is read, and how.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize, Serialize)]
#[serde(default)]
pub struct Readout {
    /// -1 is the output of the last layer, -2 of the one before, and so on down to the sum of the embeddings.
    pub layer: i32,
    /// How token states become one vector.
    pub pooling: Pooling,
    /// What is done with it.
    pub normalize: Normalize,
}

impl Default for Readout {
    /// As `scgpt.tasks.embed_data`.
    fn default() -> Self {
        Self { layer: -1, pooling: Pooling::Cls, normalize: Normalize::L2 }
    }
}

/// A scGPT on a device.
#[derive(Debug)]
pub struct Encoder {
    model: TokenEncoder,
    info: EncoderInfo,
    readout: Readout,
}

impl Encoder {
    /// Loads weights, with low-rank adapters over the linear layers. Every tensor of the encoder must be there: the authors'
    /// loader skips what it cannot place, which leaves attention at random when the names are those of another version.
    ///
    /// # Errors
    /// When a tensor is missing, misshapen, or left over, the vocabulary or an adapter does not fit, an option cannot be
    /// used, or the device fails.
    pub fn load(
        checkpoint: &Checkpoint,
        device: &Device,
        options: &Options,
        adapters: &Adapters,
    ) -> Result<Self, ModelError> {
        let Checkpoint { config, vocabulary, weights_file, .. } = checkpoint;
        let readout: Readout = options.read()?;
        depth(readout.layer, config.nlayers)?;
        let weights = Weights::open(std::slice::from_ref(weights_file))?.rename(|name| Some(plain(name)))?;
        if let Some(&[rows, _]) =
            weights.shape("encoder.embedding.weight").filter(|s| s[0] != vocabulary.size)
        {
            return Err(ModelError::WrongDictionary {
                config: weights_file.clone(),
                vocab_size: rows,
                found: format!("{} ({})", vocabulary.size, checkpoint.vocabulary_file.display()),
            });
        }
        let adapters = adapters.renamed(plain)?;
        let (model, parameters) = options.load(&weights, &IGNORED, |weights| {
            let params = Params::new(weights, device).adapted(&adapters);
            let model = TokenEncoder::load(&params, config, vocabulary.size)?;
            Ok::<_, ModelError>((model, params.taken()))
        })?;
        adapters.finish()?;
        let info = EncoderInfo {
            variant: config.variant(),
            vocabulary: vocabulary.digest.clone(),
            vocabulary_size: vocabulary.size,
            context: config.max_seq_len,
            layers: config.nlayers,
            dim: config.embsize,
            parameters,
            widest: config.d_hid.max(config.embsize),
            options: written_out(&readout),
            ..EncoderInfo::default()
        };
        Ok(Self { model, info, readout })
    }

    /// Token states of one cell at a layer, `[tokens, dim]`, row-major.
    ///
    /// # Errors
    /// As [`CellEncoder::embed`].
    pub fn hidden(&self, cell: &CellTokens, layer: i32) -> Result<Vec<f32>, ModelError> {
        let (states, _) = self.model.states(std::slice::from_ref(cell), depth(layer, self.info.layers)?)?;
        Ok(states.read()?)
    }
}

/// The published name of a tensor or layer: without wrappers, and without the step `_impl` of the authors' wrapper around
/// the versions of flash-attn.
fn plain(name: &str) -> String {
    unwrapped(name).replace(".self_attn._impl.", ".self_attn.")
}

impl CellEncoder for Encoder {
    fn info(&self) -> &EncoderInfo {
        &self.info
    }

    fn pooled(&self, batch: Batch<'_>) -> Result<Tensor, ModelError> {
        let Readout { layer, pooling, normalize } = self.readout;
        if batch.cells.iter().any(|cell| cell.len() < 2) {
            return Err(ModelError::Tokens("a cell has no gene".to_owned()));
        }
        let (states, segments) = self.model.states(batch.cells, depth(layer, self.info.layers)?)?;
        let pool = match pooling {
            Pooling::Cls => Pool::First,
            Pooling::Mean => Pool::Mean { skip_first: 0, skip_last: 0 },
            Pooling::MeanGenes => Pool::Mean { skip_first: 1, skip_last: 0 },
        };
        Ok(normalize.apply(&ops::pool(&states, &segments, pool)?)?)
    }
}
