//! A RoBERTa: a BERT whose places are counted from the one behind the padding's.

use celldag_shaders::{Ids, Segments, Tensor};

use super::config::Config;
use crate::blocks::BertEncoder;
use crate::drug::Packed;
use crate::error::ModelError;
use crate::params::Params;
use crate::tokens::CellTokens;

/// A RoBERTa without heads and pooler.
pub(super) struct Model {
    bert: BertEncoder,
    config: Config,
}

impl Model {
    /// Takes all tensors of a `RobertaModel` but those of its pooler, which no published checkpoint has trained.
    pub(super) fn load(params: &Params<'_>, config: &Config) -> Result<Self, ModelError> {
        Ok(Self { bert: BertEncoder::load(params, &config.bert.sizes()?)?, config: config.clone() })
    }

    /// Token states after `layers` layers (0: the embeddings), `[tokens, hidden]`, with the drugs' layout. Later layers are
    /// not computed.
    pub(super) fn states(
        &self,
        drugs: &[CellTokens],
        layers: usize,
    ) -> Result<(Tensor, Segments), ModelError> {
        let device = self.bert.device();
        let packed = Packed::new(device, drugs, self.config.places, self.config.bert.vocab_size)?;
        let places: Vec<u32> = drugs.iter().flat_map(|drug| places(drug, self.config.pad)).collect();
        let places = Ids::new(device, &places)?;
        let states = self.bert.states_at(&packed.ids, &places, &packed.segments, layers)?;
        Ok((states, packed.segments))
    }
}

/// RoBERTa's positions: the token of padding has its own id as its place wherever it stands, the others are counted on from
/// there. What padding is, the model's configuration says, even where the tokenizer pads with another token.
fn places(drug: &CellTokens, pad: u32) -> Vec<u32> {
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
