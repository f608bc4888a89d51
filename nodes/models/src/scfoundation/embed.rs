//! Vectors of cells from a scFoundation, and vectors and expression of their genes.

use celldag_shaders::ops::{self, Pool};
use celldag_shaders::{Device, Segments, Tensor};
use serde::{Deserialize, Serialize};

use super::checkpoint::{Checkpoint, Key, Opened, plain};
use super::decoder::Decoder;
use super::model::TokenEncoder;
use super::vocabulary::Vocabulary;
use crate::adapter::{Adapters, LayerRows};
use crate::blocks::{depth, rows_from_end};
use crate::encoder::{Batch, CellEncoder, EncoderInfo};
use crate::error::ModelError;
use crate::option::{ModelOption, OptionDefault, OptionType, Options, written_out};
use crate::params::Params;
use crate::tokens::CellTokens;

/// What vectors of cells do not need: the decoder of genes.
const DECODER: [&str; 4] = ["decoder.", "decoder_embed.", "norm.", "to_final."];
/// Counts forward passes since random features were drawn, which only training looks at.
const CALLS: [&str; 1] = ["decoder.performer.calls_since_last_redraw"];

pub(super) const KEY: ModelOption = ModelOption {
    name: "key",
    ty: OptionType::Choice(&["cell", "rde", "gene"]),
    default: OptionDefault::Decided("cell; gene for output = expression"),
    about: "which model of the file: for cells, for cells with their read depth raised (with a target_depth above the cell's), or \
            for genes",
};

pub(super) const OPTIONS: &[ModelOption] = &[
    KEY,
    ModelOption {
        name: "layer",
        ty: OptionType::Int(-99, -1),
        default: OptionDefault::Value("-1"),
        about: "-1: output of the last layer and the final normalisation, -2: of the layer before, and so on",
    },
    ModelOption {
        name: "output",
        ty: OptionType::Choice(&["cell", "expression"]),
        default: OptionDefault::Value("cell"),
        about: "cell: a vector of the cell; expression: what the decoder predicts for every gene of the list, in its order",
    },
    ModelOption {
        name: "pooling",
        ty: OptionType::Choice(&["stmm", "max"]),
        default: OptionDefault::Value("stmm"),
        about: "stmm: the states of S and of T, the maximum and the mean of the genes, side by side; max: the maximum of all tokens",
    },
];

/// What comes out.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Output {
    /// A vector of the cell.
    #[default]
    Cell,
    /// The predicted expression of every gene of the list.
    Expression,
}

/// How token states become one vector.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Pooling {
    /// S, T, maximum and mean of the genes: four times the width (the authors' `pool_type all`).
    #[default]
    Stmm,
    /// The largest value of each column among all tokens, T and S included.
    Max,
}

/// Which model and layer is read, and how.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize, Serialize)]
#[serde(default)]
pub struct Readout {
    /// The model; none where the file holds only one.
    pub key: Option<Key>,
    /// -1 is the normalised output of the last layer, -2 the output of the one before, and so on down to the embeddings.
    pub layer: i32,
    /// What comes out.
    pub output: Output,
    /// How token states become one vector.
    pub pooling: Pooling,
}

impl Default for Readout {
    /// As the authors' `get_embedding.py`.
    fn default() -> Self {
        Self { key: None, layer: -1, output: Output::Cell, pooling: Pooling::Stmm }
    }
}

/// A scFoundation on a device.
#[derive(Debug)]
pub struct Encoder {
    model: TokenEncoder,
    decoder: Option<Decoder>,
    info: EncoderInfo,
    readout: Readout,
}

impl Encoder {
    /// Loads one model, with low-rank adapters over the linear layers; the decoder only for `output = expression`.
    ///
    /// # Errors
    /// When a tensor is missing, misshapen, or left over, the list of genes or an adapter does not fit, an option cannot be
    /// used, or the device fails.
    pub fn load(
        checkpoint: &Checkpoint,
        device: &Device,
        options: &Options,
        adapters: &Adapters,
    ) -> Result<Self, ModelError> {
        Self::with(options.read()?, checkpoint, device, options, adapters)
    }

    /// As [`Encoder::load`]; what is read is `readout`, whatever the options say.
    pub(super) fn with(
        mut readout: Readout,
        checkpoint: &Checkpoint,
        device: &Device,
        options: &Options,
        adapters: &Adapters,
    ) -> Result<Self, ModelError> {
        let decodes = readout.output == Output::Expression;
        if decodes && (Readout { key: None, output: Output::Cell, ..readout }) != Readout::default() {
            let message = "output = expression is what the decoder makes of the last layer: `layer` and `pooling` do not apply";
            return Err(ModelError::Option(message.to_owned()));
        }
        let list = Vocabulary::read(&checkpoint.gene_list)?;
        let default = if decodes { Key::Gene } else { Key::Cell };
        let Opened { weights, config, key } = checkpoint.open(readout.key, default)?;
        readout.key = key;
        depth(readout.layer, config.encoder.depth)?;
        if list.positions() != config.seq_len {
            return Err(ModelError::Config {
                path: checkpoint.gene_list.clone(),
                reason: format!(
                    "the list names {} genes, the weights know {}; use the list that was published with them",
                    list.genes.len(),
                    config.seq_len.saturating_sub(2)
                ),
            });
        }
        let adapters = adapters.renamed(plain)?;
        let ignored: &[&str] = if decodes { &CALLS } else { &DECODER };
        let (model, decoder, parameters) = options.load(&weights, ignored, |weights| {
            let params = Params::new(weights, device).adapted(&adapters);
            let model = TokenEncoder::load(&params, &config)?;
            let decoder = decodes.then(|| Decoder::load(&params, &config)).transpose()?;
            Ok::<_, ModelError>((model, decoder, params.taken()))
        })?;
        adapters.finish()?;
        if let Some(heads) = decoder.as_ref().map(|decoder| decoder.shape().heads)
            && heads != config.decoder.heads
        {
            return Err(ModelError::Config {
                path: checkpoint.weights_file()?.to_path_buf(),
                reason: format!(
                    "the decoder's tensors are for {heads} heads, not for {}",
                    config.decoder.heads
                ),
            });
        }
        let hidden = config.encoder.hidden_dim;
        let dim = match (readout.output, readout.pooling) {
            (Output::Expression, _) => list.genes.len(),
            (Output::Cell, Pooling::Stmm) => 4 * hidden,
            (Output::Cell, Pooling::Max) => hidden,
        };
        let info = EncoderInfo {
            variant: key.map_or_else(|| format!("{}x{hidden}", config.encoder.depth), |key| key.to_string()),
            vocabulary_size: list.positions(),
            context: list.positions(),
            vocabulary: list.digest,
            layers: model.depth(),
            dim,
            parameters,
            widest: model.widest(),
            options: written_out(&readout),
            ..EncoderInfo::default()
        };
        Ok(Self { model, decoder, info, readout })
    }

    /// The network behind it.
    #[must_use]
    pub fn model(&self) -> &TokenEncoder {
        &self.model
    }

    /// Token states of one cell at a layer, `[tokens, hidden]`, row-major.
    ///
    /// # Errors
    /// As [`CellEncoder::embed`].
    pub fn hidden(&self, cell: &CellTokens, layer: i32) -> Result<Vec<f32>, ModelError> {
        Ok(self.states(std::slice::from_ref(cell), layer)?.0.read()?)
    }

    /// Vectors of all genes in one cell, `[genes, width of the decoder]`, row-major, in the order of the list. The encoder
    /// must have been loaded with `output = expression`.
    ///
    /// # Errors
    /// When it was not, or as [`CellEncoder::embed`].
    pub fn gene_embeddings(&self, cell: &CellTokens) -> Result<Vec<f32>, ModelError> {
        let decoder = self.decoder()?;
        let mut values = self.decoded(decoder, std::slice::from_ref(cell))?.read()?;
        // Behind the genes are T and S.
        values.truncate((self.model.positions() - 2) * decoder.shape().hidden);
        Ok(values)
    }

    /// The predicted expression of all genes in each cell, `[cells, genes]`, on the device: ln(1 + counts per 10⁴) at the
    /// depth that the cell's T asks for. All genes of all these cells are computed at once. The encoder must have been loaded
    /// with `output = expression`.
    ///
    /// # Errors
    /// When it was not, or as [`CellEncoder::embed`].
    pub fn expression(&self, cells: &[CellTokens]) -> Result<Tensor, ModelError> {
        let decoder = self.decoder()?;
        let positions = self.model.positions();
        let all = decoder.expression(&self.decoded(decoder, cells)?)?.reshape(&[cells.len(), positions])?;
        Ok(ops::slice_columns(&all, 0..positions - 2)?)
    }

    /// Which model of the file this is; none where the file holds one that it does not name.
    pub(super) fn key(&self) -> Option<Key> {
        self.readout.key
    }

    pub(super) fn decoder(&self) -> Result<&Decoder, ModelError> {
        let message = "the decoder is not loaded; use output = expression";
        self.decoder.as_ref().ok_or_else(|| ModelError::Option(message.to_owned()))
    }

    fn decoded(&self, decoder: &Decoder, cells: &[CellTokens]) -> Result<Tensor, ModelError> {
        let (states, segments) = self.states(cells, -1)?;
        decoder.states(&self.model, cells, (&states, &segments))
    }

    fn states(&self, cells: &[CellTokens], layer: i32) -> Result<(Tensor, Segments), ModelError> {
        let depth = depth(layer, self.info.layers)?;
        let (states, segments) = self.model.states(cells, depth)?;
        let states = if layer == -1 { self.model.normalized(&states)? } else { states };
        Ok((states, segments))
    }

    fn vectors(&self, cells: &[CellTokens]) -> Result<Tensor, ModelError> {
        let (states, segments) = self.states(cells, self.readout.layer)?;
        if self.readout.pooling == Pooling::Max {
            return Ok(ops::pool(&states, &segments, Pool::Max { skip_first: 0, skip_last: 0 })?);
        }
        let from_end = |back| rows_from_end(&states, &segments, back);
        let largest = ops::pool(&states, &segments, Pool::Max { skip_first: 0, skip_last: 2 })?;
        let mean = ops::pool(&states, &segments, Pool::Mean { skip_first: 0, skip_last: 2 })?;
        Ok(ops::concat_columns([&from_end(1)?, &from_end(2)?, &largest, &mean])?)
    }
}

impl CellEncoder for Encoder {
    fn info(&self) -> &EncoderInfo {
        &self.info
    }

    fn pooled(&self, batch: Batch<'_>) -> Result<Tensor, ModelError> {
        match self.readout.output {
            Output::Cell => self.vectors(batch.cells),
            Output::Expression => self.expression(batch.cells),
        }
    }

    fn layer_rows(&self, layer: &str, cells: &[CellTokens]) -> Vec<LayerRows> {
        // Names may still have the step in front that the published files have.
        let layer = plain(layer);
        if DECODER.iter().any(|part| layer.starts_with(part) || layer == part.trim_end_matches('.')) {
            return vec![LayerRows::OfCells(vec![self.model.positions(); cells.len()])];
        }
        let tokens = LayerRows::OfCells(cells.iter().map(CellTokens::len).collect());
        // The value 0, whose vector the decoder takes once for all genes that no cell expresses.
        vec![tokens, LayerRows::Shared(vec![0])]
    }

    /// Genes are decoded cell by cell: a cell of a few hundred tokens becomes one of 19,266.
    fn embed(&self, batch: Batch<'_>) -> Result<Vec<f32>, ModelError> {
        if self.readout.output == Output::Cell {
            return Ok(self.pooled(batch)?.read()?);
        }
        let mut out = Vec::with_capacity(batch.cells.len() * self.info.dim);
        for cell in batch.cells {
            out.extend(self.expression(std::slice::from_ref(cell))?.read()?);
        }
        Ok(out)
    }
}
