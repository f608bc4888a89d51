//! Recording commands. A launch is cut into dispatches that end soon; dispatches gather in one compute pass, or in
//! several with uploads between them. They are submitted when a result is read or enough work has gathered, so that no
//! submission keeps a slow adapter busy for long (watchdogs, progress, cancelling).

use std::collections::VecDeque;
use std::sync::Arc;
use std::time::Instant;

use super::pace::{Pace, SUBMISSION_SECONDS};
use super::staging::Ring;
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
/// Submissions that may wait in the queue when work is added.
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

/// Commands that wait for submission.
pub(super) struct Recording {
    commands: Vec<Command>,
    /// Uniform data of the dispatches.
    parameters: Vec<u8>,
    pub(super) ring: Ring,
    seconds: f64,
    in_flight: VecDeque<Flight>,
    pace: Pace,
    pub(super) stopwatch: Option<Stopwatch>,
}

/// What the device does, in the order of recording.
pub(super) enum Command {
    /// Runs a kernel, with its parameters if they are not in the uniform buffer.
    Dispatch {
        pipeline: Arc<wgpu::ComputePipeline>,
        bindings: wgpu::BindGroup,
        grid: [u32; 2],
        immediates: Option<Vec<u32>>,
    },
    /// Copies `bytes` bytes from `at` of a staging buffer to `offset` of another.
    Upload { from: wgpu::Buffer, at: u64, to: wgpu::Buffer, offset: u64, bytes: u64 },
}

impl Command {
    fn is_dispatch(&self) -> bool {
        matches!(self, Command::Dispatch { .. })
    }
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
            commands: Vec::new(),
            parameters: Vec::new(),
            ring: Ring::new(),
            seconds: 0.0,
            in_flight: VecDeque::new(),
            pace,
            stopwatch: None,
        }
    }

    pub(super) fn push(&mut self, command: Command) {
        self.commands.push(command);
    }

    /// Submissions that may not have ended.
    pub(super) fn in_flight(&self) -> usize {
        self.in_flight.len()
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
        if recording.commands.len() >= SLOTS || recording.seconds + seconds > SUBMISSION_SECONDS {
            self.submit(recording)?;
        }
        let offset = recording.parameters.len();
        let mut entries = Vec::with_capacity(1 + launch.buffers.len());
        if !self.features.immediates {
            let resource = wgpu::BindingResource::Buffer(wgpu::BufferBinding {
                buffer: &self.parameters,
                offset: offset as u64,
                size: std::num::NonZeroU64::new(SLOT_BYTES as u64),
            });
            entries.push(wgpu::BindGroupEntry { binding: 0, resource });
        }
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
        let words = [&[base as u32, groups as u32], launch.parameters].concat();
        let immediates = if self.features.immediates {
            Some(words)
        } else {
            // Only now: a dispatch that cannot be made must not leave parameters behind.
            recording.parameters.extend_from_slice(bytemuck::cast_slice(&words));
            recording.parameters.resize(offset + SLOT_BYTES, 0);
            None
        };
        let across = groups.min(AXIS_GROUPS);
        let grid = [across as u32, groups.div_ceil(across) as u32];
        recording.push(Command::Dispatch { pipeline: Arc::clone(pipeline), bindings, grid, immediates });
        recording.seconds += seconds;
        Ok(())
    }

    /// Sends what was recorded to the device.
    pub(super) fn submit(&self, recording: &mut Recording) -> Result<(), DeviceError> {
        if recording.commands.is_empty() {
            return Ok(());
        }
        if !recording.parameters.is_empty() {
            self.queue.write_buffer(&self.parameters, 0, &recording.parameters);
        }
        recording.ring.close();
        let mut encoder = self.device.create_command_encoder(&wgpu::CommandEncoderDescriptor::default());
        let mut stamps = recording.stopwatch.as_ref().and_then(Stopwatch::stamps);
        for commands in recording.commands.chunk_by(|a, b| a.is_dispatch() == b.is_dispatch()) {
            encode(&mut encoder, commands, &mut stamps);
        }
        if let Some(stopwatch) = &recording.stopwatch {
            stopwatch.resolve(&mut encoder);
        }
        let sent = Instant::now();
        let submission = self.queue.submit([encoder.finish()]);
        recording.in_flight.push_back(Flight { submission, seconds: recording.seconds, sent });
        recording.ring.recall();
        let computes = recording.commands.iter().any(Command::is_dispatch);
        recording.commands.clear();
        recording.parameters.clear();
        recording.seconds = 0.0;
        self.memory.submitted();
        if recording.stopwatch.is_some() {
            self.land(recording, 0)?;
            if let Some(stopwatch) = &mut recording.stopwatch {
                stopwatch.add(self, sent)?;
            }
        }
        // Uploads alone do not wait for the work before them.
        if computes {
            self.land(recording, IN_FLIGHT)?;
        }
        self.faults.check()
    }

    /// Waits for the oldest submissions until no more than `most` are on the way.
    pub(super) fn land(&self, recording: &mut Recording, most: usize) -> Result<(), DeviceError> {
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

/// Encodes commands of one kind: uploads, or dispatches, which share a compute pass. The first pass gets the `stamps`.
fn encode(
    encoder: &mut wgpu::CommandEncoder,
    commands: &[Command],
    stamps: &mut Option<wgpu::ComputePassTimestampWrites<'_>>,
) {
    for command in commands {
        if let Command::Upload { from, at, to, offset, bytes } = command {
            encoder.copy_buffer_to_buffer(from, *at, to, *offset, *bytes);
        }
    }
    if !commands.iter().any(Command::is_dispatch) {
        return;
    }
    let timestamp_writes = stamps.take();
    let mut pass = encoder.begin_compute_pass(&wgpu::ComputePassDescriptor { label: None, timestamp_writes });
    for command in commands {
        if let Command::Dispatch { pipeline, bindings, grid, immediates } = command {
            pass.set_pipeline(pipeline);
            pass.set_bind_group(0, bindings, &[]);
            if let Some(words) = immediates {
                pass.set_immediates(0, bytemuck::cast_slice(words));
            }
            pass.dispatch_workgroups(grid[0], grid[1], 1);
        }
    }
}
