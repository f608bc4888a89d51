//! GPT-2 (Radford et al. 2019) without its language-model head. One definition for every backend.

use celldag_shaders::ops::{self, Activation, Attention};
use celldag_shaders::{Ids, Segments, Tensor, segment};

use super::config::Config;
use crate::adapter::Slot;
use crate::blocks::{LayerNorm, Linear, PackedQkv, Positions, conv1d, conv1d_qkv};
use crate::error::ModelError;
use crate::params::Params;
use crate::tokens::CellTokens;

/// One block: attention to the positions before, and a feed-forward part, each on normalised states and added to them.
#[derive(Clone, Debug)]
struct Block {
    norm1: LayerNorm,
    qkv: PackedQkv,
    attention: Attention,
    out: Linear,
    norm2: LayerNorm,
    inner: Linear,
    activation: Activation,
    outer: Linear,
}

impl Block {
    fn load(params: &Params<'_>, config: &Config, index: usize) -> Result<Self, ModelError> {
        let (width, inner, eps) = (config.n_embd, config.inner(), config.layer_norm_epsilon);
        let (attention, mlp) = (params.at("attn"), params.at("mlp"));
        Ok(Self {
            norm1: LayerNorm::load(&params.at("ln_1"), width, eps)?,
            qkv: conv1d_qkv(&attention.at("c_attn"), width)?,
            attention: config.attention(index),
            out: conv1d(&attention.at("c_proj"), width, width)?,
            norm2: LayerNorm::load(&params.at("ln_2"), width, eps)?,
            inner: conv1d(&mlp.at("c_fc"), width, inner)?,
            activation: config.activation().unwrap_or(Activation::GeluTanh),
            outer: conv1d(&mlp.at("c_proj"), inner, width)?,
        })
    }

    /// Token states `[tokens, width]` to the next block's. A segment of the tape: a training that is short of memory keeps
    /// only `x`.
    fn forward(&self, x: &Tensor, cells: &Segments) -> celldag_shaders::Result<Tensor> {
        let (block, cells) = (self.clone(), cells.clone());
        segment([x], move |[x]| block.states(x, &cells))
    }

    fn states(&self, x: &Tensor, cells: &Segments) -> celldag_shaders::Result<Tensor> {
        let [q, k, v] = self.qkv.forward(&self.norm1.forward(x, None)?)?;
        let attended = ops::attention_with(&q, &k, &v, cells, &self.attention)?;
        let x = ops::add(x, &self.out.forward(&attended, Activation::None)?)?;
        let inner = self.inner.forward(&self.norm2.forward(&x, None)?, self.activation)?;
        ops::add(&x, &self.outer.forward(&inner, Activation::None)?)
    }
}

/// A tGPT without its head.
#[derive(Debug)]
pub struct Decoder {
    words: Slot,
    /// With the embedding of the token type where it is added.
    positions: Positions,
    blocks: Vec<Block>,
    norm: LayerNorm,
    context: usize,
    vocabulary: usize,
}

impl Decoder {
    /// Takes all tensors of a `GPT2Model`. With `token_types`, the word vector of the token 0 is added at every position:
    /// GPT-2 has no table of token types and looks them up among the words.
    ///
    /// # Errors
    /// When a tensor is missing or has another shape, or the device fails.
    pub fn load(params: &Params<'_>, config: &Config, token_types: bool) -> Result<Self, ModelError> {
        let (width, context) = (config.n_embd, config.n_positions);
        let words = params.at("wte");
        let places = params.at("wpe");
        let shape = [config.vocab_size, width];
        let table = words.weight("weight", &shape)?;
        let positions = if [&places, &words].map(|table| table.trains("weight")).contains(&true) {
            let of_type = token_types.then(|| table.clone());
            Positions::apart(places.tensor("weight", &[context, width])?, of_type)
        } else {
            // A table of another shape is reported by the call that takes it.
            let fits = words.shape("weight").is_some_and(|found| found == shape);
            let of_type = if token_types && fits { words.rows("weight", 0..1)? } else { Vec::new() };
            Positions::summed(&places, [context, width], &of_type)?
        };
        let block = |index, params: &Params<'_>| Block::load(params, config, index);
        Ok(Self {
            words: table,
            positions,
            blocks: params.at("h").layers(config.n_layer, block)?,
            norm: LayerNorm::load(&params.at("ln_f"), width, config.layer_norm_epsilon)?,
            context,
            vocabulary: config.vocab_size,
        })
    }

    /// Token states after `layers` blocks (0: the embedding output), `[tokens, width]`, with the cells' layout; after the
    /// last block, normalised. Later blocks are not computed.
    ///
    /// # Errors
    /// When a token is unknown or a cell longer than the context, or the device fails.
    pub fn states(&self, cells: &[CellTokens], layers: usize) -> Result<(Tensor, Segments), ModelError> {
        let device = self.words.device();
        if let Some(long) = cells.iter().map(CellTokens::len).find(|&length| length > self.context) {
            let message = format!("a cell has {long} tokens, the model reads {}", self.context);
            return Err(ModelError::Tokens(message));
        }
        let tokens: Vec<u32> = cells.iter().flat_map(|cell| cell.ids.iter().copied()).collect();
        if let Some(unknown) = tokens.iter().find(|&&token| token as usize >= self.vocabulary) {
            let message = format!("the token {unknown} is beyond the vocabulary of {}", self.vocabulary);
            return Err(ModelError::Tokens(message));
        }
        let places: Vec<u32> = cells.iter().flat_map(|cell| (0_u32..).take(cell.len())).collect();
        let lengths: Vec<usize> = cells.iter().map(CellTokens::len).collect();
        let segments = Segments::new(device, &lengths)?;
        let words = ops::embed(&self.words.get(), &Ids::new(device, &tokens)?)?;
        let positions = self.positions.at(&Ids::new(device, &places)?)?;
        let mut x = ops::add(&words, &positions)?;
        for block in self.blocks.iter().take(layers) {
            x = block.forward(&x, &segments)?;
        }
        if layers >= self.blocks.len() {
            x = self.norm.forward(&x, None)?;
        }
        Ok((x, segments))
    }
}
