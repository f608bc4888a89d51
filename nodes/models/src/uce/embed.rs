//! Vectors of cells from a UCE: the state of the first token, decoded and brought to length 1.

use celldag_data::checkpoint::{BARE_TENSOR, Weights};
use celldag_shaders::ops::{self, Pool};
use celldag_shaders::{Device, Segments, Tensor};
use serde::{Deserialize, Serialize};

use super::checkpoint::Checkpoint;
use super::model::{EPS, Shape, Transformer};
use super::sampling::{CHROM_TOKEN_OFFSET, VERSION};
use super::table::{Parts, TokenTable, distinct};
use super::vocabulary::Vocabulary;
use crate::adapter::{Adapters, LayerRows, is_target};
use crate::blocks::{LayerNorm, Linear, Normalize, depth};
use crate::encoder::{Batch, CellEncoder, EncoderInfo};
use crate::error::ModelError;
use crate::option::{ModelOption, OptionDefault, OptionType, Options, written_out};
use crate::params::Params;
use crate::tokens::CellTokens;

/// Parts of published files that embeddings do not need: the classifier of pretraining (was this gene expressed?) and the
/// projection of the genes it is asked about.
const IGNORED: [&str; 2] = ["binary_decoder.", "gene_embedding_layer."];
const TABLE: &str = "pe_embedding.weight";
/// The layer that projects rows of the table.
const PROJECTION: &str = "encoder.0";
const FROZEN: &str =
    "the vectors of proteins are given by a protein language model; UCE itself never trains them";

pub(super) const OPTIONS: &[ModelOption] = &[
    ModelOption {
        name: "layer",
        ty: OptionType::Int(-99, -1),
        default: OptionDefault::Value("-1"),
        about: "-1: output of the last layer, -2: of the one before, and so on; the decoder was trained on the last",
    },
    ModelOption {
        name: "pooling",
        ty: OptionType::Choice(&["cls", "mean"]),
        default: OptionDefault::Value("cls"),
        about: "the decoded <cls> token, or the mean of all other decoded tokens",
    },
    ModelOption {
        name: "normalize",
        ty: OptionType::Choice(&["l2", "none"]),
        default: OptionDefault::Value("l2"),
        about: "whether embeddings have length 1",
    },
    VERSION,
    CHROM_TOKEN_OFFSET,
];

/// How token states become one vector.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Pooling {
    /// The first token, decoded.
    Cls,
    /// Mean over the other tokens, decoded.
    Mean,
}

/// What is read, and how.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize, Serialize)]
#[serde(default)]
pub struct Readout {
    /// -1 is the output of the last layer.
    pub layer: i32,
    /// How token states become one vector.
    pub pooling: Pooling,
    /// What is done to it.
    pub normalize: Normalize,
    /// Which weights of a folder; empty: the only ones, or those of 4 layers.
    pub version: String,
    /// Token of the first chromosome, if it is not where `all_tokens.torch` ends.
    pub chrom_token_offset: Option<usize>,
}

impl Default for Readout {
    fn default() -> Self {
        Self {
            layer: -1,
            pooling: Pooling::Cls,
            normalize: Normalize::L2,
            version: String::new(),
            chrom_token_offset: None,
        }
    }
}

/// A UCE on a device.
#[derive(Debug)]
pub struct Encoder {
    table: TokenTable,
    model: Transformer,
    device: Device,
    readout: Readout,
    info: EncoderInfo,
}

impl Encoder {
    /// Loads weights, with low-rank adapters over the linear layers.
    ///
    /// # Errors
    /// When a tensor is missing, misshapen or left over, the vocabulary does not fit, an option cannot be used, an adapter
    /// belongs to no layer, or the device fails.
    pub fn load(
        checkpoint: &Checkpoint,
        device: &Device,
        options: &Options,
        adapters: &Adapters,
    ) -> Result<Self, ModelError> {
        let mut readout: Readout = options.read()?;
        let file = checkpoint.weights_file(&readout.version)?;
        readout.version = file.file_stem().map(|s| s.to_string_lossy().into_owned()).unwrap_or_default();
        let vocabulary = Vocabulary::read(checkpoint, readout.chrom_token_offset, &readout.version)?;
        let weights = checkpoint.open(&readout.version)?;
        let root = Params::new(&weights, device).adapted(adapters);
        let shape =
            Shape::of(&root).map_err(|reason| ModelError::Config { path: file.to_path_buf(), reason })?;
        depth(readout.layer, shape.layers)?;
        let encoder = root.at("encoder");
        let (model, linear, norm) = options.load(&weights, &IGNORED, |weights| {
            weights.skip(TABLE);
            root.note_constant(TABLE, FROZEN);
            let linear = Linear::load(&encoder.at(0), shape.inputs, shape.hidden)?;
            let norm = LayerNorm::load(&encoder.at(2), shape.hidden, EPS)?;
            Ok((Transformer::load(&root, &shape)?, linear, norm))
        })?;
        adapters.finish()?;
        let parameters = root.taken();
        let adapted = encoder.at(0).lora(shape.inputs, shape.hidden)?.is_some();
        let trained = adapted || [0, 2].iter().any(|part| encoder.at(part).trains("weight"));
        drop((root, encoder));
        let (weights, tensor, rows) = table(checkpoint, &vocabulary, weights, shape.inputs)?;
        let (hidden, inputs) = (shape.hidden, shape.inputs);
        let info = EncoderInfo {
            variant: format!("{} layers", shape.layers),
            vocabulary: vocabulary.digest,
            vocabulary_size: vocabulary.size,
            context: shape.positions,
            layers: shape.layers,
            dim: shape.outputs,
            parameters,
            widest: shape.feedforward.max(shape.hidden),
            options: written_out(&readout),
            ..EncoderInfo::default()
        };
        Ok(Self {
            table: TokenTable::new(Parts { weights, tensor, rows, inputs, linear, norm, hidden, trained }),
            model,
            device: device.clone(),
            readout,
            info,
        })
    }

    /// Token states of one cell at a layer, `[tokens, hidden]`, row-major.
    ///
    /// # Errors
    /// As [`CellEncoder::embed`].
    pub fn hidden(&self, cell: &[u32], layer: i32) -> Result<Vec<f32>, ModelError> {
        let (states, _) = self.states(&[cell.to_vec().into()], depth(layer, self.info.layers)?)?;
        Ok(states.read()?)
    }

    fn states(&self, cells: &[CellTokens], layers: usize) -> Result<(Tensor, Segments), ModelError> {
        if let Some(long) = cells.iter().map(CellTokens::len).find(|&length| length > self.info.context) {
            let message = format!("a cell has {long} tokens, the model has {} positions", self.info.context);
            return Err(ModelError::Tokens(message));
        }
        let device = &self.device;
        let lengths: Vec<usize> = cells.iter().map(CellTokens::len).collect();
        let segments = Segments::new(device, &lengths)?;
        let tokens: Vec<u32> = cells.iter().flat_map(|cell| cell.ids.iter().copied()).collect();
        let vectors = self.table.vectors(&tokens, device)?;
        Ok((self.model.states(&vectors, &segments, layers)?, segments))
    }
}

impl CellEncoder for Encoder {
    fn info(&self) -> &EncoderInfo {
        &self.info
    }

    fn pooled(&self, batch: Batch<'_>) -> Result<Tensor, ModelError> {
        let least = if self.readout.pooling == Pooling::Mean { 2 } else { 1 };
        if batch.cells.iter().any(|cell| cell.len() < least) {
            return Err(ModelError::Tokens("a cell has no gene".to_owned()));
        }
        let (states, segments) = self.states(batch.cells, depth(self.readout.layer, self.info.layers)?)?;
        let decoded = match self.readout.pooling {
            Pooling::Cls => self.model.decode(&ops::pool(&states, &segments, Pool::First)?)?,
            Pooling::Mean => {
                let decoded = self.model.decode(&states)?;
                ops::pool(&decoded, &segments, Pool::Mean { skip_first: 1, skip_last: 0 })?
            }
        };
        Ok(self.readout.normalize.apply(&decoded)?)
    }

    fn layer_rows(&self, layer: &str, cells: &[CellTokens]) -> Vec<LayerRows> {
        if is_target(layer, PROJECTION) {
            // A token is projected once for all cells that have it.
            let ids = cells.iter().flat_map(|cell| cell.ids.iter().copied());
            return vec![LayerRows::Shared(distinct(ids))];
        }
        // The decoder sees the first token, or all.
        let tokens = cells.iter().map(CellTokens::len).collect();
        vec![LayerRows::OfCells(tokens), LayerRows::OfCells(vec![1; cells.len()])]
    }
}

/// The table that tokens are rows of. The weights' own is used, as by the authors, unless `all_tokens.torch` holds another
/// one, with chromosomes: that of added species.
fn table(
    checkpoint: &Checkpoint,
    vocabulary: &Vocabulary,
    weights: Weights,
    inputs: usize,
) -> Result<(Weights, String, usize), ModelError> {
    let own = weights.shape(TABLE).and_then(|shape| shape.first().copied());
    let (weights, tensor) = match checkpoint.open_tokens()? {
        Some((table, rows)) if rows != vocabulary.chromosome_offset && Some(rows) != own => {
            (table, BARE_TENSOR)
        }
        _ => (weights, TABLE),
    };
    let rows = match weights.shape(tensor) {
        Some(&[rows, columns]) if columns == inputs && rows >= vocabulary.size => rows,
        shape => {
            return Err(ModelError::Config {
                path: checkpoint.chromosomes.clone(),
                reason: format!(
                    "species and chromosomes need a token table of {} rows and {inputs} columns, the checkpoint's has the \
                     shape {shape:?}; put the files that belong together into one folder, and give `chrom_token_offset` where \
                     species were added",
                    vocabulary.size
                ),
            });
        }
    };
    Ok((weights, tensor.to_owned(), rows))
}
