//! Recording dispatches. A launch is cut into dispatches that end soon; dispatches gather in one compute pass that is
//! submitted when a result is read or enough work has gathered, so that no submission keeps a slow adapter busy for
//! long (watchdogs, progress, cancelling).

use std::collections::VecDeque;
use std::sync::Arc;

use super::{Binding, Gpu, lock};
use crate::error::DeviceError;
use crate::kernels::Kernel;

/// Uniform data of one dispatch: the alignment that WebGPU guarantees.
const SLOT_BYTES: usize = 256;
/// Dispatches in one submission.
const SLOTS: usize = 256;
/// Size of the uniform buffer.
pub(crate) const PARAMETER_BYTES: usize = SLOT_BYTES * SLOTS;
/// Estimated seconds after which work is submitted, and the most that one dispatch may take.
const SUBMISSION_SECONDS: f64 = 0.25;
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
#[derive(Default)]
pub(crate) struct Recording {
    dispatches: Vec<Dispatch>,
    parameters: Vec<u8>,
    seconds: f64,
    in_flight: VecDeque<wgpu::SubmissionIndex>,
}

struct Dispatch {
    pipeline: Arc<wgpu::ComputePipeline>,
    bindings: wgpu::BindGroup,
    grid: [u32; 2],
}

impl Gpu {
    /// Records a launch.
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
        let pipeline = self.pipeline(&launch.kernel)?;
        let seconds = launch.cost.flops / self.speed.flops + launch.cost.bytes / self.speed.bytes;
        let per_group = seconds / launch.groups as f64;
        let share = (SUBMISSION_SECONDS / per_group).clamp(1.0, (AXIS_GROUPS * AXIS_GROUPS) as f64) as u64;
        let mut base = 0;
        while base < launch.groups {
            let groups = share.min(launch.groups - base);
            self.record(&pipeline, launch, base, groups, per_group * groups as f64)?;
            base += groups;
        }
        Ok(())
    }

    fn record(
        &self,
        pipeline: &Arc<wgpu::ComputePipeline>,
        launch: &Launch<'_>,
        base: u64,
        groups: u64,
        seconds: f64,
    ) -> Result<(), DeviceError> {
        let mut recording = lock(&self.recording);
        if recording.dispatches.len() == SLOTS || recording.seconds + seconds > SUBMISSION_SECONDS {
            self.submit(&mut recording)?;
        }
        let offset = recording.parameters.len();
        recording.parameters.extend_from_slice(bytemuck::cast_slice(&[base as u32, groups as u32]));
        recording.parameters.extend_from_slice(bytemuck::cast_slice(launch.parameters));
        recording.parameters.resize(offset + SLOT_BYTES, 0);
        let uniform = wgpu::BufferBinding {
            buffer: &self.parameters,
            offset: offset as u64,
            size: std::num::NonZeroU64::new(SLOT_BYTES as u64),
        };
        let mut entries =
            vec![wgpu::BindGroupEntry { binding: 0, resource: wgpu::BindingResource::Buffer(uniform) }];
        entries.extend(
            launch
                .buffers
                .iter()
                .zip(1..)
                .map(|(buffer, binding)| wgpu::BindGroupEntry { binding, resource: buffer.resource() }),
        );
        let bindings = self.faults.scoped(&self.device, || {
            self.device.create_bind_group(&wgpu::BindGroupDescriptor {
                label: Some(launch.kernel.name),
                layout: &pipeline.get_bind_group_layout(0),
                entries: &entries,
            })
        })?;
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
            let mut pass = encoder.begin_compute_pass(&wgpu::ComputePassDescriptor::default());
            for dispatch in &recording.dispatches {
                pass.set_pipeline(&dispatch.pipeline);
                pass.set_bind_group(0, &dispatch.bindings, &[]);
                pass.dispatch_workgroups(dispatch.grid[0], dispatch.grid[1], 1);
            }
        }
        recording.in_flight.push_back(self.queue.submit([encoder.finish()]));
        recording.dispatches.clear();
        recording.parameters.clear();
        recording.seconds = 0.0;
        self.memory.submitted();
        while recording.in_flight.len() > IN_FLIGHT {
            if let Some(oldest) = recording.in_flight.pop_front() {
                self.wait_for(oldest)?;
            }
        }
        self.faults.check()
    }

    /// Sends everything recorded so far to the device.
    pub(crate) fn flush(&self) -> Result<(), DeviceError> {
        self.submit(&mut lock(&self.recording))
    }

    /// Waits until one submission has ended.
    pub(crate) fn wait_for(&self, submission: wgpu::SubmissionIndex) -> Result<(), DeviceError> {
        let wait = wgpu::PollType::Wait { submission_index: Some(submission), timeout: None };
        let polled = self.device.poll(wait);
        self.faults.check()?;
        match polled {
            Ok(_) => Ok(()),
            Err(error) => Err(DeviceError::Lost { device: self.faults.device(), message: error.to_string() }),
        }
    }

    /// Submits what is recorded and waits until the device is idle.
    pub(crate) fn wait(&self) -> Result<(), DeviceError> {
        self.flush()?;
        let submissions = std::mem::take(&mut lock(&self.recording).in_flight);
        submissions.into_iter().try_for_each(|submission| self.wait_for(submission))
    }

    /// The compiled kernel.
    fn pipeline(&self, kernel: &Kernel) -> Result<Arc<wgpu::ComputePipeline>, DeviceError> {
        let mut pipelines = lock(&self.pipelines);
        if let Some(pipeline) = pipelines.get(kernel) {
            return Ok(Arc::clone(pipeline));
        }
        let started = std::time::Instant::now();
        let pipeline = self.faults.scoped(&self.device, || {
            let module = self.device.create_shader_module(wgpu::ShaderModuleDescriptor {
                label: Some(kernel.name),
                source: wgpu::ShaderSource::Wgsl(kernel.source().into()),
            });
            self.device.create_compute_pipeline(&wgpu::ComputePipelineDescriptor {
                label: Some(kernel.name),
                layout: None,
                module: &module,
                entry_point: Some("main"),
                compilation_options: wgpu::PipelineCompilationOptions {
                    zero_initialize_workgroup_memory: false,
                    ..Default::default()
                },
                cache: None,
            })
        })?;
        tracing::debug!(kernel = kernel.name, elapsed = ?started.elapsed(), "compiled");
        let pipeline = Arc::new(pipeline);
        pipelines.insert(kernel.clone(), Arc::clone(&pipeline));
        Ok(pipeline)
    }
}
