//! The transformer over the tokens of a sentence and the decoder behind it. One definition for every backend.

use celldag_shaders::ops::{self, Activation};
use celldag_shaders::{Ids, Result, Segments, Tensor};

use crate::blocks::{LayerNorm, Linear, PackedNames, TransformerLayer, TransformerShape};
use crate::error::ModelError;
use crate::params::Params;
use crate::sizes::{Size, check, head_width};

/// Attention heads: the authors' code has them by number, whatever the width.
const HEADS: usize = 20;
/// Of all normalisations: PyTorch's default.
pub(super) const EPS: f32 = 1e-5;
const SINES: &str = "sines of positions are no parameter of the published model";

/// Sizes of a UCE, from the shapes of its tensors.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Shape {
    /// Width of the token table.
    pub inputs: usize,
    /// Width of the token states.
    pub hidden: usize,
    /// Width of the feed-forward part.
    pub feedforward: usize,
    /// Layers.
    pub layers: usize,
    /// Longest sentence.
    pub positions: usize,
    /// Width inside of the decoder.
    pub decoder: usize,
    /// Length of an embedding.
    pub outputs: usize,
}

impl Shape {
    /// Reads the sizes.
    ///
    /// # Errors
    /// What is wrong with the tensors.
    pub fn of(params: &Params<'_>) -> std::result::Result<Self, String> {
        let two = |name: &str| match params.shape(name) {
            Some(&[rows, columns]) => Ok((rows, columns)),
            Some(other) => Err(format!(
                "`{name}` has the shape {other:?}, not two extents; these are no weights of a UCE"
            )),
            None => Err(format!("there is no `{name}`; these are no weights of a UCE")),
        };
        let (hidden, inputs) = two("encoder.0.weight")?;
        let (feedforward, _) = two("transformer_encoder.layers.0.linear1.weight")?;
        let (decoder, _) = two("decoder.0.0.weight")?;
        let (outputs, _) = two("decoder.3.weight")?;
        let positions = match params.shape("pos_encoder.pe") {
            Some(&[positions, 1, _]) => positions,
            other => {
                return Err(format!(
                    "`pos_encoder.pe` has the shape {other:?} instead of [positions, 1, {hidden}]"
                ));
            }
        };
        let layer = |n: &usize| params.contains(&format!("transformer_encoder.layers.{n}.linear1.weight"));
        let layers = (0..).take_while(layer).count();
        check(&[
            ("the width of the token table", inputs, Size::Width),
            ("the width", hidden, Size::Width),
            ("the feed-forward part", feedforward, Size::Width),
            ("the number of layers", layers, Size::Layers),
            ("the number of positions", positions, Size::Positions),
            ("the width of the decoder", decoder, Size::Width),
            ("the length of an embedding", outputs, Size::Width),
        ])?;
        head_width(hidden, HEADS)?;
        Ok(Self { inputs, hidden, feedforward, layers, positions, decoder, outputs })
    }
}

/// A UCE behind its token vectors.
#[derive(Debug)]
pub struct Transformer {
    /// `[positions, hidden]`, from the file: recomputed sines differ.
    positions: Tensor,
    layers: Vec<TransformerLayer>,
    decoder: [(Linear, LayerNorm); 3],
    out: Linear,
}

impl Transformer {
    /// Takes the tensors of positions, layers and decoder.
    ///
    /// # Errors
    /// When a tensor is missing or has another shape, or the device fails.
    pub fn load(params: &Params<'_>, shape: &Shape) -> std::result::Result<Self, ModelError> {
        let Shape { hidden, feedforward, layers, positions, decoder, outputs, .. } = *shape;
        let layer_shape =
            TransformerShape { hidden, heads: HEADS, feedforward, activation: Activation::Relu, eps: EPS };
        let layer = |index| {
            let params = params.at("transformer_encoder").at("layers").at(index);
            TransformerLayer::load(&params, &params.at("self_attn"), PackedNames::TORCH, layer_shape)
        };
        let table = params.at("pos_encoder").constant("pe", &[positions, 1, hidden], SINES)?;
        let block = |index: usize, inputs, outputs| -> std::result::Result<_, ModelError> {
            let params = params.at("decoder").at(index);
            Ok((Linear::load(&params.at(0), inputs, outputs)?, LayerNorm::load(&params.at(1), outputs, EPS)?))
        };
        Ok(Self {
            positions: table.reshape(&[positions, hidden])?,
            layers: (0..layers).map(layer).collect::<std::result::Result<_, _>>()?,
            decoder: [block(0, hidden, decoder)?, block(1, decoder, outputs)?, block(2, outputs, outputs)?],
            out: Linear::load(&params.at("decoder").at(3), outputs, outputs)?,
        })
    }

    /// Token states after `layers` layers (0: token vectors with positions) of packed sentences, `[tokens, hidden]`.
    /// `vectors` are those of the tokens. There are no pads, so every cell is as if it were alone.
    ///
    /// # Errors
    /// What the device reports.
    pub fn states(&self, vectors: &Tensor, cells: &Segments, layers: usize) -> Result<Tensor> {
        let places: Vec<u32> = cells.ranges().flat_map(|range| (0_u32..).take(range.len())).collect();
        let positions = ops::embed(&self.positions, &Ids::new(vectors.device(), &places)?)?;
        let mut x = ops::add(vectors, &positions)?;
        for layer in self.layers.iter().take(layers) {
            x = layer.forward(&x, cells)?;
        }
        Ok(x)
    }

    /// Rows `[n, hidden]` of token states through the decoder, `[n, outputs]`.
    ///
    /// # Errors
    /// What the device reports.
    pub fn decode(&self, states: &Tensor) -> Result<Tensor> {
        let mut x = states.clone();
        for (linear, norm) in &self.decoder {
            let inner = norm.forward(&linear.forward(&x, Activation::None)?, None)?;
            x = ops::activate(&inner, Activation::Gelu)?;
        }
        self.out.forward(&x, Activation::None)
    }
}
