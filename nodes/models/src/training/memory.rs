//! Forward and backward passes within the memory there is, and the sums of their gradients.

use celldag_shaders::ops;
use celldag_shaders::{Device, DeviceError, Error, Gradients, Result, Tensor};

use crate::error::ModelError;

/// How passes are made to fit, and how they fared.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Fitting {
    /// Segments are computed twice: it was asked for, or a pass did not fit otherwise. It changes no bit.
    pub(crate) recompute: bool,
    /// The most bytes that a pass took, weights included.
    pub(crate) peak: u64,
}

impl Fitting {
    /// Nothing was computed yet.
    pub(crate) fn new(recompute: bool) -> Self {
        Self { recompute, peak: 0 }
    }

    /// A pass that fits the memory: as it is, or with segments computed twice; `pass` is told whether. Where the device has no
    /// limit, `memory` is the most.
    ///
    /// # Errors
    /// Those of `pass`; out of memory when it does not fit even so.
    pub(crate) fn run<T>(
        &mut self,
        device: &Device,
        memory: Option<u64>,
        pass: impl Fn(bool) -> Result<T, ModelError>,
    ) -> Result<T, ModelError> {
        let try_with = |recompute: bool| within(device, memory, || pass(recompute));
        let mut done = try_with(self.recompute);
        if !self.recompute && done.as_ref().is_err_and(ModelError::is_out_of_memory) {
            done = try_with(true);
            // What did not fit once will not fit again.
            self.recompute = done.is_ok();
        }
        self.peak = self.peak.max(device.memory().peak);
        done
    }
}

/// Does `work` if it fits the memory, which is planned before. Where the device has no limit, `memory` is the most.
///
/// # Errors
/// Those of `work`, which is called twice; out of memory when it does not fit.
pub(crate) fn within<T>(
    device: &Device,
    memory: Option<u64>,
    work: impl Fn() -> Result<T, ModelError>,
) -> Result<T, ModelError> {
    let plan = device.plan(&work)?;
    let bytes = plan.peak();
    if device.memory().limit.or(memory).is_some_and(|limit| bytes > limit) {
        let device = device.info().name.clone();
        return Err(Error::from(DeviceError::OutOfMemory { device, bytes }).into());
    }
    device.reset_peak();
    device.run_planned(&plan, &work)
}

/// The gradient at each of the `watched` tensors; zeros where the output does not depend on it.
pub(crate) fn gradients_at<'a>(
    found: &Gradients,
    watched: impl IntoIterator<Item = &'a Tensor>,
) -> Result<Vec<Tensor>> {
    let of = |tensor: &Tensor| match found.of(tensor) {
        Some(gradient) => Ok(gradient.clone()),
        None => tensor.device().zeros(tensor.shape()),
    };
    watched.into_iter().map(of).collect()
}

/// The sums of the gradients of two parts of a batch.
pub(crate) fn summed(first: &[Tensor], second: &[Tensor]) -> Result<Vec<Tensor>> {
    first.iter().zip(second).map(|(a, b)| ops::add(a, b)).collect()
}
