//! Errors that wgpu reports outside of a call: kept until the next operation asks, instead of a panic.

use std::sync::{Arc, Mutex};

use super::lock;
use crate::error::DeviceError;

/// The first unreported fault of a device.
pub(crate) struct Faults {
    device: String,
    first: Mutex<Option<DeviceError>>,
}

impl Faults {
    /// Installs the handlers on `device`.
    pub(crate) fn watch(device: &wgpu::Device, name: &str) -> Arc<Faults> {
        let faults = Arc::new(Faults { device: name.to_owned(), first: Mutex::new(None) });
        let uncaptured = Arc::clone(&faults);
        device.on_uncaptured_error(Arc::new(move |error: wgpu::Error| {
            uncaptured.record(uncaptured.translate(&error));
        }));
        let lost = Arc::clone(&faults);
        device.set_device_lost_callback(move |reason, message| {
            if reason != wgpu::DeviceLostReason::Destroyed {
                lost.lose(&message);
            }
        });
        faults
    }

    /// Keeps a fault for whoever asks next.
    pub(super) fn record(&self, fault: DeviceError) {
        lock(&self.first).get_or_insert(fault);
    }

    /// Marks the device as lost.
    pub(super) fn lose(&self, message: &str) {
        let lost = DeviceError::Lost { device: self.device.clone(), message: message.to_owned() };
        *lock(&self.first) = Some(lost);
    }

    fn translate(&self, error: &wgpu::Error) -> DeviceError {
        // Whatever a lost device says, its loss is the reason.
        if let Some(lost @ DeviceError::Lost { .. }) = &*lock(&self.first) {
            return lost.clone();
        }
        let device = self.device.clone();
        match error {
            wgpu::Error::OutOfMemory { .. } => DeviceError::OutOfMemory { device, bytes: 0 },
            wgpu::Error::Validation { description, .. } | wgpu::Error::Internal { description, .. } => {
                DeviceError::Rejected { device, message: description.clone() }
            }
        }
    }

    /// The name of the adapter.
    pub(crate) fn device(&self) -> String {
        self.device.clone()
    }

    /// Reports a fault once; a lost device stays lost.
    pub(crate) fn check(&self) -> Result<(), DeviceError> {
        let mut first = lock(&self.first);
        match &*first {
            None => Ok(()),
            Some(fault @ DeviceError::Lost { .. }) => Err(fault.clone()),
            Some(_) => first.take().map_or(Ok(()), Err),
        }
    }

    /// Runs `create` with its errors caught and typed.
    pub(crate) fn scoped<T>(
        &self,
        device: &wgpu::Device,
        create: impl FnOnce() -> T,
    ) -> Result<T, DeviceError> {
        let internal = device.push_error_scope(wgpu::ErrorFilter::Internal);
        let memory = device.push_error_scope(wgpu::ErrorFilter::OutOfMemory);
        let validation = device.push_error_scope(wgpu::ErrorFilter::Validation);
        let made = create();
        let errors = [
            pollster::block_on(validation.pop()),
            pollster::block_on(memory.pop()),
            pollster::block_on(internal.pop()),
        ];
        match errors.iter().flatten().next() {
            Some(error) => Err(self.translate(error)),
            None => self.check().map(|()| made),
        }
    }
}
