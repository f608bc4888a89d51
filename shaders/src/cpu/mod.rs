//! The native CPU backend: a pool of worker threads, recycled memory, and the CPU twin of every kernel.
//!
//! Work is cut along rows (or segments and heads). Every value is computed by one task in one fixed order, so neither
//! the number of threads nor the cut changes a bit of the result.

pub(crate) mod activation;
pub(crate) mod attention;
mod buffers;
pub(crate) mod columns;
pub(crate) mod dropout;
pub(crate) mod elementwise;
pub(crate) mod embed;
mod gemm;
pub(crate) mod linear_attention;
pub(crate) mod loss;
mod math;
pub(crate) mod matmul;
pub(crate) mod norm;
pub(crate) mod optimiser;
pub(crate) mod panels;
mod philox;
pub(crate) mod pool;
pub(crate) mod reduce;
pub(crate) mod rotary;
mod simd;
pub(crate) mod softmax;
pub(crate) mod sparse;

use std::sync::Arc;

use rayon::prelude::*;

use buffers::Buffers;
pub(crate) use buffers::CpuBuffer;

use crate::device::DeviceInfo;
use crate::error::DeviceError;
use crate::memory::{Account, MemoryReport, Plan};

/// Work (about one per multiply-add) below which a task is not worth handing to another thread.
const TASK_WORK: usize = 1 << 16;

/// Worker threads and memory of one CPU device.
pub(crate) struct Cpu {
    workers: rayon::ThreadPool,
    buffers: Arc<Buffers>,
}

impl Cpu {
    /// With `threads` workers (0: one per core) and at most `limit` bytes of tensors.
    pub(crate) fn new(threads: usize, limit: Option<u64>) -> Result<Cpu, DeviceError> {
        let workers = rayon::ThreadPoolBuilder::new()
            .num_threads(threads)
            .thread_name(|index| format!("celldag-cpu-{index}"))
            .build()
            .map_err(|error| DeviceError::Threads { threads, message: error.to_string() })?;
        gemm::configure();
        Ok(Cpu { workers, buffers: Buffers::new(limit) })
    }

    pub(crate) fn info(&self) -> DeviceInfo {
        DeviceInfo {
            backend: "cpu",
            name: format!("native CPU ({}, {} threads)", simd::instruction_set(), self.threads()),
            driver: concat!("celldag-shaders ", env!("CARGO_PKG_VERSION")).to_owned(),
            api: "native".to_owned(),
            software: false,
            features: Vec::new(),
            largest_buffer: isize::MAX as u64,
            largest_binding: isize::MAX as u64,
        }
    }

    pub(crate) fn threads(&self) -> usize {
        self.workers.current_num_threads()
    }

    /// Scratch memory for `len` values; the contents are left over from earlier results.
    pub(crate) fn buffer(&self, len: usize) -> CpuBuffer {
        Buffers::scratch(&self.buffers, len)
    }

    /// Memory for a tensor of `len` values, with arbitrary contents. Without memory after a failed allocation and in a
    /// rehearsal ([`CpuBuffer::has_memory`]): then there is nothing to compute.
    pub(crate) fn result(&self, len: usize) -> CpuBuffer {
        Buffers::take(&self.buffers, len)
    }

    pub(crate) fn account(&self) -> &Arc<Account> {
        self.buffers.account()
    }

    pub(crate) fn memory(&self) -> MemoryReport {
        self.buffers.report()
    }

    /// Does `work`; its tensors take the buffers of `plan`, if these are to be had.
    pub(crate) fn follow<T>(&self, plan: &Plan, work: impl FnOnce() -> T) -> T {
        Buffers::follow(&self.buffers, plan, work)
    }

    /// Calls `work(first_row, rows)` for blocks of the rows of `out`, in parallel if there is enough work.
    /// Blocks hold a multiple of `granule` rows, except the last.
    pub(crate) fn rows<F>(&self, out: &mut [f32], width: usize, row_work: usize, granule: usize, work: F)
    where
        F: Fn(usize, &mut [f32]) + Sync,
    {
        self.blocks(out, width, row_work, granule, usize::MAX, work);
    }

    /// As [`Cpu::rows`], with at most `most` rows in a block.
    pub(crate) fn blocks<F>(
        &self,
        out: &mut [f32],
        width: usize,
        row_work: usize,
        granule: usize,
        most: usize,
        work: F,
    ) where
        F: Fn(usize, &mut [f32]) + Sync,
    {
        if out.is_empty() || width == 0 {
            return;
        }
        let rows = out.len() / width;
        let row_work = row_work.max(1);
        let share = rows.div_ceil(4 * self.threads()).max(TASK_WORK.div_ceil(row_work));
        let block = share.min(most).next_multiple_of(granule);
        if self.threads() == 1 || block >= rows {
            let blocks = out.chunks_mut(block * width).enumerate();
            blocks.for_each(|(index, rows)| work(index * block, rows));
            return;
        }
        self.workers.install(|| {
            let blocks = out.par_chunks_mut(block * width).enumerate();
            blocks.for_each(|(index, rows)| work(index * block, rows));
        });
    }

    /// Runs `task` on every item, in parallel if `work` in total is worth it.
    pub(crate) fn each<T: Send, F: Fn(T) + Sync>(&self, items: Vec<T>, work: usize, task: F) {
        if self.threads() == 1 || items.len() < 2 || work < 2 * TASK_WORK {
            items.into_iter().for_each(task);
        } else {
            self.workers.install(|| items.into_par_iter().with_max_len(1).for_each(&task));
        }
    }
}
