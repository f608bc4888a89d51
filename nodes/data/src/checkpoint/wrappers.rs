//! What training code wraps around the names of a model.

use super::error::CheckpointError;
use super::weights::Weights;

/// Where training code puts the state dict among optimizers, epochs and losses.
const STATE_DICTS: [&str; 3] = ["model_state_dict.", "state_dict.", "model.state_dict."];
/// What wrappers put in front of every name: data parallel training, compilation, adapters.
const WRAPPERS: [&str; 3] = ["module.", "_orig_mod.", "base_model.model."];

impl Weights {
    /// The state dict of a training checkpoint (below `model_state_dict`, `state_dict` or `model.state_dict`), or the
    /// tensors as they are where there is none of these; without `module.`, `_orig_mod.` and `base_model.model.` where
    /// every name begins so. What else the file holds no longer counts as unused.
    ///
    /// # Errors
    /// [`CheckpointError::Duplicate`], which cannot happen to names that only lose what they have in common.
    pub fn state_dict(self) -> Result<Self, CheckpointError> {
        let found = STATE_DICTS.into_iter().find(|prefix| self.has_prefix(prefix));
        let mut weights = match found {
            Some(prefix) => self.below(prefix)?,
            None => self,
        };
        let common = |weights: &Self, prefix: &str| {
            weights.has_prefix(prefix) && weights.names_in_order().all(|name| name.starts_with(prefix))
        };
        while let Some(prefix) = WRAPPERS.into_iter().find(|prefix| common(&weights, prefix)) {
            weights = weights.below(prefix)?;
        }
        Ok(weights)
    }
}
