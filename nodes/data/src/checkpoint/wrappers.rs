//! What tools put around the tensors of a model when they save it: the one place that takes it away.

use super::error::CheckpointError;
use super::weights::Weights;

/// Where training code puts the state dict among optimizers, epochs and losses.
const STATE_DICTS: [&str; 3] = ["model_state_dict.", "state_dict.", "model.state_dict."];
/// What DataParallel, peft and `torch.compile` put in front of the names of a model.
const PREFIXES: [&str; 3] = ["module.", "base_model.model.", "_orig_mod."];

/// The name of a tensor or layer without what wrappers add: prefixes in any order, and the step `base_layer`, below which
/// peft keeps the weight of a layer that has an adapter.
#[must_use]
pub fn unwrapped(name: &str) -> String {
    let mut name = name;
    while let Some(rest) = PREFIXES.iter().find_map(|prefix| name.strip_prefix(prefix)) {
        name = rest;
    }
    name.split('.').filter(|part| *part != "base_layer").collect::<Vec<_>>().join(".")
}

impl Weights {
    /// The state dict of a training checkpoint (below `model_state_dict`, `state_dict` or `model.state_dict`, also inside
    /// each other), or the tensors as they are where there is none of these; [`unwrapped`]. What else the file holds no
    /// longer counts as unused.
    ///
    /// # Errors
    /// [`CheckpointError::Duplicate`] when a tensor is there with and without a wrapper.
    pub fn state_dict(self) -> Result<Self, CheckpointError> {
        let mut weights = self;
        while let Some(prefix) = STATE_DICTS.into_iter().find(|prefix| weights.has_prefix(prefix)) {
            weights = weights.below(prefix)?;
        }
        weights.rename(|name| Some(unwrapped(name)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn wrappers_are_taken_away_in_any_order() {
        for name in [
            "h.0.attn.c_attn.weight",
            "module.h.0.attn.c_attn.weight",
            "base_model.model.module.h.0.attn.c_attn.base_layer.weight",
            "module._orig_mod.base_model.model.h.0.attn.c_attn.base_layer.weight",
        ] {
            assert_eq!(unwrapped(name), "h.0.attn.c_attn.weight");
        }
        assert_eq!(unwrapped("decoder.module.weight"), "decoder.module.weight");
    }
}
