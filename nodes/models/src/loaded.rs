//! A model on a device that can be put there again when the device was lost.

use celldag_shaders::Device;

use crate::encoder::CellEncoder;
use crate::error::ModelError;

/// How often a lost device is opened again before its loss is an error.
const REOPENINGS: usize = 2;

type Load<'a, E> = dyn Fn(&Device) -> Result<Box<E>, ModelError> + 'a;

/// An encoder, its device, and how it was loaded.
pub struct Loaded<'a, E: ?Sized = dyn CellEncoder> {
    device: Device,
    encoder: Box<E>,
    load: Box<Load<'a, E>>,
    peak: u64,
    reopenings: usize,
}

impl<'a, E: ?Sized> Loaded<'a, E> {
    /// Loads the encoder.
    ///
    /// # Errors
    /// Those of `load`.
    pub fn new(
        device: &Device,
        load: impl Fn(&Device) -> Result<Box<E>, ModelError> + 'a,
    ) -> Result<Self, ModelError> {
        Ok(Self {
            encoder: load(device)?,
            device: device.clone(),
            load: Box::new(load),
            peak: 0,
            reopenings: 0,
        })
    }

    /// The encoder on its device.
    #[must_use]
    pub fn encoder(&self) -> &E {
        self.encoder.as_ref()
    }

    /// The device.
    #[must_use]
    pub fn device(&self) -> &Device {
        &self.device
    }

    /// The most bytes of device memory that a batch took, weights included; 0 before the first.
    #[must_use]
    pub fn peak(&self) -> u64 {
        self.peak
    }

    /// Does the encoder's work on a batch. A rehearsal plans its memory, so that a limit is kept without trying.
    ///
    /// # Errors
    /// Those of `work`, which may be called twice; out of memory when the plan is over the limit.
    pub(crate) fn run<T>(&mut self, work: impl Fn(&E) -> Result<T, ModelError>) -> Result<T, ModelError> {
        let device = &self.device;
        let plan = device.plan(|| work(&self.encoder))?;
        let predicted = plan.peak();
        if device.memory().limit.is_some_and(|limit| predicted > limit) {
            return Err(over_limit(device, predicted));
        }
        device.reset_peak();
        let result = device.run_planned(&plan, || work(&self.encoder))?;
        let peak = device.memory().peak;
        tracing::debug!(predicted, peak, "peak of device memory");
        self.peak = self.peak.max(peak);
        Ok(result)
    }

    /// Whether `error` is the loss of the device and the device is open again: then the work can be repeated. A device that
    /// is lost time and again stays lost.
    ///
    /// # Errors
    /// When the device cannot be opened or the encoder not loaded again.
    pub(crate) fn recover(&mut self, error: &ModelError) -> Result<bool, ModelError> {
        if !error.is_lost() || self.reopenings == REOPENINGS {
            return Ok(false);
        }
        self.reopenings += 1;
        tracing::warn!(%error, "opening the device again and repeating the batch");
        let device = self.device.reopen().map_err(celldag_shaders::Error::from)?;
        self.encoder = (self.load)(&device)?;
        self.device = device;
        Ok(true)
    }
}

fn over_limit(device: &Device, bytes: u64) -> ModelError {
    let device = device.info().name.clone();
    celldag_shaders::Error::from(celldag_shaders::DeviceError::OutOfMemory { device, bytes }).into()
}

impl<E: ?Sized> std::fmt::Debug for Loaded<'_, E> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Loaded").field("device", &self.device).finish_non_exhaustive()
    }
}
