//! The decoder without its head: embeddings of tokens, then layers, then a last normalisation. One definition for every
//! backend.

use celldag_data::checkpoint::Weights;
use celldag_shaders::ops::{self, Rotary};
use celldag_shaders::{Device, Segments, Tensor};

use super::config::Config;
use super::layer::{LlamaLayer, RmsNorm, Rows};
use super::token_rows::TokenRows;
use crate::adapter::Adapters;
use crate::error::ModelError;
use crate::params::Params;
use crate::tokens::CellTokens;
use crate::wrappers::unwrapped;

/// Parts of published files that embeddings do not need: the head that predicts tokens, that of classifiers, and angles that
/// old versions of transformers wrote.
const IGNORED: [&str; 3] = ["lm_head.", "score.", "*rotary_emb.inv_freq"];
/// What names begin with where the file holds a model with a head.
const PREFIX: &str = "model.";

/// A Llama without its head.
pub struct LlamaEncoder {
    device: Device,
    tokens: TokenRows,
    rotary: Rotary,
    layers: Vec<LlamaLayer>,
    norm: RmsNorm,
    parameters: usize,
}

impl LlamaEncoder {
    /// Takes all tensors of a `LlamaModel`, called `model.*` or the same without the prefix, layer by layer.
    ///
    /// # Errors
    /// When tensors are missing, misshapen or left over, all of which are named; when an adapter does not fit; when the
    /// device fails.
    pub fn load(
        weights: Weights,
        config: &Config,
        device: &Device,
        adapters: &Adapters,
    ) -> Result<Self, ModelError> {
        let weights = weights.rename(|name| Some(unwrapped(name)))?;
        let prefix = if weights.has_prefix(PREFIX) { PREFIX } else { "" };
        let adapters = adapters.renamed(|name| {
            let name = unwrapped(name);
            format!("{prefix}{}", name.strip_prefix(PREFIX).unwrap_or(&name))
        })?;
        let table = format!("{prefix}embed_tokens.weight");
        let shape = [config.vocab_size, config.hidden_size];
        let (layers, norm, taken) = weights.load(&IGNORED, |weights| {
            // Rows are read when they are needed; here the table must only be the right one.
            if weights.shape(&table) == Some(&shape) {
                weights.skip(&table);
            } else {
                weights.take_stored(&table, &shape)?;
            }
            let root = Params::new(weights, device).adapted(&adapters);
            let params = if prefix.is_empty() { root } else { root.at("model") };
            let layer = |index| LlamaLayer::load(&params.at("layers").at(index), config);
            let layers = (0..config.num_hidden_layers).map(layer).collect::<Result<Vec<_>, _>>()?;
            let norm = RmsNorm::load(&params.at("norm"), config)?;
            Ok::<_, ModelError>((layers, norm, params.taken()))
        })?;
        adapters.finish()?;
        let frequencies = config.frequencies().map_err(ModelError::Option)?;
        Ok(Self {
            device: device.clone(),
            tokens: TokenRows::new(weights, table, shape),
            rotary: Rotary::new(device, &frequencies, config.max_position_embeddings)?,
            layers,
            norm,
            parameters: taken + shape[0] * shape[1],
        })
    }

    /// Weights that an embedding needs.
    #[must_use]
    pub fn parameters(&self) -> usize {
        self.parameters
    }

    /// Token states after `layers` layers, `[tokens, hidden]`, with the cells' layout: 0 is the embedding of the tokens, and
    /// those after all layers are normalised, as transformers' last hidden states are. Later layers are not computed.
    ///
    /// # Errors
    /// When a token is unknown or a cell longer than the context, or the device fails.
    pub fn states(&self, cells: &[CellTokens], layers: usize) -> Result<(Tensor, Segments), ModelError> {
        let context = self.rotary.positions();
        if let Some(long) = cells.iter().map(CellTokens::len).find(|&length| length > context) {
            let message = format!("a cell has {long} tokens, the model reads {context}");
            return Err(ModelError::Tokens(message));
        }
        let tokens: Vec<u32> = cells.iter().flat_map(|cell| cell.ids.iter().copied()).collect();
        let lengths: Vec<usize> = cells.iter().map(CellTokens::len).collect();
        let mut x = self.tokens.embed(&self.device, &tokens)?;
        let segments = Segments::new(&self.device, &lengths)?;
        let positions = ops::row_positions(&segments)?;
        let rows = Rows { segments, positions, rotary: self.rotary.clone() };
        for layer in self.layers.iter().take(layers) {
            x = layer.forward(&x, &rows)?;
        }
        if layers >= self.layers.len() {
            x = self.norm.forward(&x)?;
        }
        Ok((x, rows.segments))
    }
}
