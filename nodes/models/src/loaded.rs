//! A model on a device that can be put there again when the device was lost.

use celldag_shaders::Device;

use crate::encoder::CellEncoder;
use crate::error::ModelError;

type Load<'a> = dyn Fn(&Device) -> Result<Box<dyn CellEncoder>, ModelError> + 'a;

/// An encoder, its device, and how it was loaded.
pub struct Loaded<'a> {
    device: Device,
    encoder: Box<dyn CellEncoder>,
    load: Box<Load<'a>>,
    peak: u64,
}

impl<'a> Loaded<'a> {
    /// Loads the encoder.
    ///
    /// # Errors
    /// Those of `load`.
    pub fn new(
        device: &Device,
        load: impl Fn(&Device) -> Result<Box<dyn CellEncoder>, ModelError> + 'a,
    ) -> Result<Self, ModelError> {
        Ok(Self { encoder: load(device)?, device: device.clone(), load: Box::new(load), peak: 0 })
    }

    /// The encoder on its device.
    #[must_use]
    pub fn encoder(&self) -> &dyn CellEncoder {
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

    pub(crate) fn saw_peak(&mut self, peak: u64) {
        self.peak = self.peak.max(peak);
    }

    /// Opens the device again and loads the encoder onto it.
    pub(crate) fn reload(&mut self) -> Result<(), ModelError> {
        let device = self.device.reopen().map_err(celldag_shaders::Error::from)?;
        self.encoder = (self.load)(&device)?;
        self.device = device;
        Ok(())
    }
}

impl std::fmt::Debug for Loaded<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Loaded").field("device", &self.device).finish_non_exhaustive()
    }
}
