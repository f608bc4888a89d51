//! Recording dispatches. A launch is cut into dispatches that end soon; dispatches gather in one compute pass that is
//! submitted when a result is read or enough work has gathered, so that no submission keeps a slow adapter busy for
//! long (watchdogs, progress, cancelling).

use std::collections::VecDeque;
use std::sync::Arc;
use std::time::Instant;

use super::pace::{Pace, SUBMISSION_SECONDS};
use super::stopwatch::Stopwatch;
use super::{Binding, Gpu, lock};
use crate::error::DeviceError;
use crate::kernels::Kernel;

/// Uniform data of one dispatch: the alignment that WebGPU guarantees.
const SLOT_BYTES: usize = 256;
/// Dispatches in one submission.
const SLOTS: usize = 256;
/// Size of the uniform buffer.
pub(crate) const PARAMETER_BYTES: usize = SLOT_BYTES * SLOTS;
/// Submissions that may wait in the queue.
const IN_FLIGHT: usize = 2;
/// Workgroups per axis that WebGPU guarantees; longer grids are folded to two axes.
const AXIS_GROUPS: u64 = 65_535;

/// Work of a launch, to estimate its time.
#[derive(Clone, Copy)]
pub(crate) struct Cost {
    /// Floating-point operations.
    pub(crate) flops: f64,
    /// Bytes that are read and written.
    pub(crate) bytes: f64,
}

/// One kernel over a grid of workgroups.
pub(crate) struct Launch<'a> {
    /// Which kernel, with which constants.
    pub(crate) kernel: Kernel,
    /// Words after the two that every kernel has (`base`, `groups`).
    pub(crate) parameters: &'a [u32],
    /// Storage buffers in binding order, from binding 1.
    pub(crate) buffers: &'a [Binding<'a>],
    /// Number of workgroups.
    pub(crate) groups: u64,
    /// Work of the whole launch.
    pub(crate) cost: Cost,
}

/// Dispatches that wait for submission.
pub(super) struct Recording {
    dispatches: Vec<Dispatch>,
    parameters: Vec<u8>,
    seconds: f64,
    in_flight: VecDeque<Flight>,
    pace: Pace,
    pub(super) stopwatch: Option<Stopwatch>,
}

struct Dispatch {
    pipeline: Arc<wgpu::ComputePipeline>,
    bindings: wgpu::BindGroup,
    grid: [u32; 2],
}

/// A submission that may not have ended.
struct Flight {
    submission: wgpu::SubmissionIndex,
    seconds: f64,
    sent: Instant,
}

impl Recording {
    pub(super) fn new(pace: Pace) -> Recording {
        Recording {
            dispatches: Vec::new(),
            parameters: Vec::new(),
            seconds: 0.0,
            in_flight: VecDeque::new(),
            pace,
            stopwatch: None,
        }
    }
}

impl Gpu {
    /// Records a launch. Does nothing in a rehearsal.
    pub(crate) fn launch(&self, launch: &Launch<'_>) -> Result<(), DeviceError> {
        self.faults.check()?;
        if launch.groups == 0 {
            return Ok(());
        }
        let limit = self.largest_binding();
        if let Some(buffer) = launch.buffers.iter().find(|buffer| buffer.bytes() > limit) {
            let device = self.info.name.clone();
            return Err(DeviceError::TooLarge { device, bytes: buffer.bytes(), limit });
        }
        if self.rehearsing() {
            return Ok(());
        }
        let pipeline = self.pipelines.get(&self.device, &self.faults, &launch.kernel)?;
        let mut base = 0;
        while base < launch.groups {
            let mut recording = lock(&self.recording);
            let per_group = recording.pace.seconds(launch.cost) / launch.groups as f64;
            let most = (AXIS_GROUPS * AXIS_GROUPS) as f64;
            let share = (SUBMISSION_SECONDS / per_group).clamp(1.0, most) as u64;
            let groups = share.min(launch.groups - base);
            self.record(&mut recording, &pipeline, launch, base, groups, per_group * groups as f64)?;
            base += groups;
        }
        Ok(())
    }

    fn record(
        &self,
        recording: &mut Recording,
        pipeline: &Arc<wgpu::ComputePipeline>,
        launch: &Launch<'_>,
        base: u64,
        groups: u64,
        seconds: f64,
    ) -> Result<(), DeviceError> {
        if recording.dispatches.len() == SLOTS || recording.seconds + seconds > SUBMISSION_SECONDS {
            self.submit(recording)?;
        }
        let offset = recording.parameters.len();
        let uniform = wgpu::BufferBinding {
            buffer: &self.parameters,
            offset: offset as u64,
            size: std::num::NonZeroU64::new(SLOT_BYTES as u64),
        };
        let mut entries =
            vec![wgpu::BindGroupEntry { binding: 0, resource: wgpu::BindingResource::Buffer(uniform) }];
        for (buffer, binding) in launch.buffers.iter().zip(1..) {
            entries.push(wgpu::BindGroupEntry { binding, resource: buffer.resource()? });
        }
        let bindings = self.faults.scoped(&self.device, || {
            self.device.create_bind_group(&wgpu::BindGroupDescriptor {
                label: Some(launch.kernel.name),
                layout: &pipeline.get_bind_group_layout(0),
                entries: &entries,
            })
        })?;
        // Only now: a dispatch that cannot be made must not leave parameters behind.
        recording.parameters.extend_from_slice(bytemuck::cast_slice(&[base as u32, groups as u32]));
        recording.parameters.extend_from_slice(bytemuck::cast_slice(launch.parameters));
        recording.parameters.resize(offset + SLOT_BYTES, 0);
        let across = groups.min(AXIS_GROUPS);
        let grid = [across as u32, groups.div_ceil(across) as u32];
        recording.dispatches.push(Dispatch { pipeline: Arc::clone(pipeline), bindings, grid });
        recording.seconds += seconds;
        Ok(())
    }

    /// Sends what was recorded to the device.
    fn submit(&self, recording: &mut Recording) -> Result<(), DeviceError> {
        if recording.dispatches.is_empty() {
            return Ok(());
        }
        self.queue.write_buffer(&self.parameters, 0, &recording.parameters);
        let mut encoder = self.device.create_command_encoder(&wgpu::CommandEncoderDescriptor::default());
        {
            let stamps = recording.stopwatch.as_ref().and_then(Stopwatch::stamps);
            let descriptor = wgpu::ComputePassDescriptor { label: None, timestamp_writes: stamps };
            let mut pass = encoder.begin_compute_pass(&descriptor);
            for dispatch in &recording.dispatches {
                pass.set_pipeline(&dispatch.pipeline);
                pass.set_bind_group(0, &dispatch.bindings, &[]);
                pass.dispatch_workgroups(dispatch.grid[0], dispatch.grid[1], 1);
            }
        }
        if let Some(stopwatch) = &recording.stopwatch {
            stopwatch.resolve(&mut encoder);
        }
        let sent = Instant::now();
        let submission = self.queue.submit([encoder.finish()]);
        recording.in_flight.push_back(Flight { submission, seconds: recording.seconds, sent });
        recording.dispatches.clear();
        recording.parameters.clear();
        recording.seconds = 0.0;
        self.memory.submitted();
        if recording.stopwatch.is_some() {
            self.land(recording, 0)?;
            if let Some(stopwatch) = &mut recording.stopwatch {
                stopwatch.add(self, sent)?;
            }
        }
        self.land(recording, IN_FLIGHT)?;
        self.faults.check()
    }

    /// Waits for the oldest submissions until no more than `most` are on the way.
    fn land(&self, recording: &mut Recording, most: usize) -> Result<(), DeviceError> {
        while recording.in_flight.len() > most {
            let Some(flight) = recording.in_flight.pop_front() else { break };
            let waiting = Instant::now();
            self.wait_for(Some(flight.submission))?;
            recording.pace.ended(flight.seconds, flight.sent, waiting.elapsed());
        }
        Ok(())
    }

    /// Sends everything recorded so far to the device.
    pub(crate) fn flush(&self) -> Result<(), DeviceError> {
        self.submit(&mut lock(&self.recording))
    }

    /// Waits until one submission has ended, or all of them.
    pub(super) fn wait_for(&self, submission: Option<wgpu::SubmissionIndex>) -> Result<(), DeviceError> {
        let wait = wgpu::PollType::Wait { submission_index: submission, timeout: None };
        let polled = self.device.poll(wait);
        self.faults.check()?;
        match polled {
            Ok(_) => Ok(()),
            Err(error) => Err(DeviceError::Lost { device: self.faults.device(), message: error.to_string() }),
        }
    }

    /// Submits what is recorded and waits until the device is idle.
    pub(crate) fn wait(&self) -> Result<(), DeviceError> {
        let mut recording = lock(&self.recording);
        self.submit(&mut recording)?;
        self.land(&mut recording, 0)
    }
}
