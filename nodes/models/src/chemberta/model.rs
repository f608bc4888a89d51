//! The encoder: embeddings of tokens and places, then RoBERTa's layers, which are BERT's.

use celldag_shaders::ops;
use celldag_shaders::{Ids, Segments, Tensor};

use super::config::Config;
use crate::blocks::{BertLayer, LayerNorm};
use crate::drug::Packed;
use crate::error::ModelError;
use crate::params::Params;
use crate::tokens::CellTokens;

/// A RoBERTa without heads and pooler.
pub(super) struct Model {
    words: Tensor,
    /// Position embeddings with the embedding of token type 0 added, the only type that occurs.
    positions: Tensor,
    norm: LayerNorm,
    layers: Vec<BertLayer>,
    config: Config,
}

impl Model {
    /// Takes all tensors of a `RobertaModel` but those of its pooler, which no published checkpoint has trained.
    pub(super) fn load(params: &Params<'_>, config: &Config) -> Result<Self, ModelError> {
        let (hidden, places) = (config.hidden_size, config.max_position_embeddings);
        let embeddings = params.at("embeddings");
        let types =
            embeddings.at("token_type_embeddings").values("weight", &[config.type_vocab_size, hidden])?;
        let mut positions = embeddings.at("position_embeddings").values("weight", &[places, hidden])?;
        for row in positions.chunks_exact_mut(hidden) {
            for (value, of_type) in row.iter_mut().zip(&types) {
                *value += of_type;
            }
        }
        let layer =
            |index| BertLayer::load(&params.at("encoder").at("layer").at(index), config.layer_shape());
        Ok(Self {
            words: embeddings.at("word_embeddings").weight("weight", &[config.vocab_size, hidden])?,
            positions: params.device().upload(&[places, hidden], &positions)?,
            norm: LayerNorm::load(&embeddings.at("LayerNorm"), hidden, config.layer_norm_eps)?,
            layers: (0..config.num_hidden_layers).map(layer).collect::<Result<_, _>>()?,
            config: config.clone(),
        })
    }

    /// Token states after `layers` layers (0: the embeddings), `[tokens, hidden]`, with the drugs' layout. Later layers are
    /// not computed.
    pub(super) fn states(
        &self,
        drugs: &[CellTokens],
        layers: usize,
    ) -> Result<(Tensor, Segments), ModelError> {
        let device = self.words.device();
        let packed = Packed::new(device, drugs, self.config.places(), self.config.vocab_size)?;
        let places: Vec<u32> = drugs.iter().flat_map(|drug| places(drug, self.config.pad_token_id)).collect();
        let words = ops::embed(&self.words, &packed.ids)?;
        let positions = ops::embed(&self.positions, &Ids::new(device, &places)?)?;
        let mut x = self.norm.forward(&words, Some(&positions))?;
        for layer in self.layers.iter().take(layers) {
            x = layer.forward(&x, &packed.segments)?;
        }
        Ok((x, packed.segments))
    }
}

/// RoBERTa's positions: the token of padding has its own id as its place wherever it stands, the others are counted on from
/// there. What padding is, the model's configuration says, even where the tokenizer pads with another token.
fn places(drug: &CellTokens, pad: usize) -> Vec<u32> {
    let pad = u32::try_from(pad).unwrap_or(u32::MAX);
    let mut place = pad;
    let mut next = |&id: &u32| {
        if id == pad {
            return pad;
        }
        place += 1;
        place
    };
    drug.ids.iter().map(&mut next).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_first_place_is_behind_the_padding() {
        assert_eq!(places(&vec![0, 5, 6, 2].into(), 1), [2, 3, 4, 5]);
        assert_eq!(places(&vec![12, 1, 15, 13].into(), 1), [2, 1, 3, 4]);
        assert_eq!(places(&vec![12, 15, 13].into(), 0), [1, 2, 3]);
    }
}
