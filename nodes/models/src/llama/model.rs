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
use crate::option::Options;
use crate::params::Params;
use crate::published::Published;
use crate::tokens::CellTokens;

/// Parts of published files that embeddings do not need: the head that predicts tokens, that of classifiers, and angles that
/// old versions of transformers wrote.
const UNREAD: [&str; 3] = ["lm_head.", "score.", "*rotary_emb.inv_freq"];
/// What names begin with in a file of one with a head.
const MODEL: &str = "model";
const TABLE: &str = "embed_tokens.weight";

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
        options: &Options,
        adapters: &Adapters,
    ) -> Result<Self, ModelError> {
        let published = Published::new(weights, adapters, MODEL)?;
        let shape = [config.vocab_size, config.hidden_size];
        let ((layers, norm, held, table), taken) = published.load(device, options, &UNREAD, |params| {
            let held = TokenRows::held(params, TABLE, shape)?;
            let layer = |_, params: &Params<'_>| LlamaLayer::load(params, config);
            let layers = params.at("layers").layers(config.num_hidden_layers, layer)?;
            Ok((layers, RmsNorm::load(&params.at("norm"), config)?, held, params.name(TABLE)))
        })?;
        let in_table = if held.is_some() { 0 } else { shape[0] * shape[1] };
        let frequencies = config.frequencies().map_err(ModelError::Option)?;
        Ok(Self {
            device: device.clone(),
            tokens: held.unwrap_or_else(|| TokenRows::stored(published.weights, table, shape)),
            rotary: Rotary::new(device, &frequencies, config.max_position_embeddings)?,
            layers,
            norm,
            parameters: taken + in_table,
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
