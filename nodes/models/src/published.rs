//! The weights of a published file and the adapters for them, under the same names.

use celldag_data::checkpoint::{Weights, unwrapped};
use celldag_shaders::Device;

use crate::adapter::Adapters;
use crate::error::ModelError;
use crate::option::Options;
use crate::params::Params;

/// A file that holds a model alone, or inside of one with a head, and adapters that were trained on either.
pub(crate) struct Published {
    /// Tensors by the names of the file without those of wrappers.
    pub(crate) weights: Weights,
    /// Under the names of the file, so that its layers are told by the names that they have there.
    adapters: Adapters,
    /// Where the model is: the prefix of its names without the dot, or nothing.
    place: &'static str,
}

impl Published {
    /// `place` is what stands in front of the names of the model in a file with a head (`bert`).
    ///
    /// # Errors
    /// When two tensors or two adapters come to the same name.
    pub(crate) fn new(
        weights: Weights,
        adapters: &Adapters,
        place: &'static str,
    ) -> Result<Self, ModelError> {
        let weights = weights.rename(|name| Some(unwrapped(name)))?;
        let prefix = format!("{place}.");
        let inside = weights.has_prefix(&prefix);
        let adapters = adapters.renamed(|name| {
            let name = unwrapped(name);
            let bare = name.strip_prefix(&prefix).unwrap_or(&name);
            if inside { format!("{prefix}{bare}") } else { bare.to_owned() }
        })?;
        Ok(Self { weights, adapters, place: if inside { place } else { "" } })
    }

    /// Builds the model; gives it with the number of its weights. `unread` are parts that embeddings do not need, by the names
    /// of the model alone or of what is around it.
    ///
    /// # Errors
    /// When tensors are missing, misshapen or left over, all of which are named; an adapter belongs to no layer; those of
    /// `build` and of [`Options::load`].
    pub(crate) fn load<T>(
        &self,
        device: &Device,
        options: &Options,
        unread: &[&str],
        build: impl FnOnce(&Params<'_>) -> Result<T, ModelError>,
    ) -> Result<(T, usize), ModelError> {
        let root = Params::new(&self.weights, device).adapted(&self.adapters);
        let params = if self.place.is_empty() { root } else { root.at(self.place) };
        let inside: Vec<String> = unread.iter().map(|name| params.name(name)).collect();
        let unread: Vec<&str> = unread.iter().copied().chain(inside.iter().map(String::as_str)).collect();
        let built = options.load(&self.weights, &unread, |_| build(&params))?;
        self.adapters.finish()?;
        Ok((built, params.taken()))
    }
}
