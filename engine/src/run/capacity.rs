//! What the machine has, what a job needs of it, and why a job can never have what it asks for.

use super::gpus::GpuSlot;
use crate::pipeline::Job;
use crate::size::bytes;

/// What running jobs share.
#[derive(Clone, Debug, Default)]
pub(crate) struct Capacity {
    /// How many jobs of one thread run at once; at least one.
    pub(crate) slots: usize,
    /// CPU threads; at least one.
    pub(crate) threads: usize,
    /// Main memory in bytes that jobs may ask for together; without it nobody counts.
    pub(crate) ram: Option<u64>,
    /// The GPUs. Without any, jobs that use the device form one queue.
    pub(crate) gpus: Vec<GpuSlot>,
}

/// What a job holds while it runs. Jobs with equal needs start in the order of their ranks.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Need {
    /// CPU slots; at least one.
    pub(crate) slots: usize,
    /// Threads that the pipeline asks for.
    pub(crate) threads: Option<usize>,
    /// Bytes of main memory.
    pub(crate) ram: u64,
    /// How many GPUs, or 1 for a place in the queue of the device.
    pub(crate) gpus: usize,
    /// Bytes of memory of each GPU; the whole GPU when absent.
    pub(crate) gpu_memory: Option<u64>,
}

impl Capacity {
    /// What a job needs. A job that asks for more slots than there are gets all of them, not none; on the CPU there are no
    /// GPUs to count.
    pub(crate) fn need(&self, job: &Job) -> Need {
        let wanted = &job.resources;
        let gpus = if job.uses_device { (wanted.gpus as usize).max(1) } else { 0 };
        let counted = !self.gpus.is_empty();
        Need {
            slots: wanted.threads.unwrap_or(1).clamp(1, self.slots),
            threads: wanted.threads,
            ram: self.ram.and(wanted.ram).unwrap_or(0),
            gpus: if counted { gpus } else { gpus.min(1) },
            gpu_memory: wanted.gpu_memory.filter(|_| counted && gpus > 0),
        }
    }

    /// Why a job can never start on this machine, with what to do about it.
    pub(crate) fn refusal(&self, job: &Job) -> Option<Refusal> {
        let need = self.need(job);
        if let Some(most) = self.ram.filter(|most| need.ram > *most) {
            return Some(Refusal {
                why: format!(
                    "asks for {} of memory (`resources: {{ram: ...}}`), and there are {}",
                    bytes(need.ram),
                    bytes(most)
                ),
                help: "ask for less, run it on a larger machine, or say with `--ram SIZE` what there is",
            });
        }
        if need.gpus > self.gpus.len().max(1) {
            let there = self.gpus.len();
            return Some(Refusal {
                why: format!(
                    "asks for {} GPUs (`resources: {{gpu: ...}}`), and there {} {there}",
                    need.gpus,
                    if there == 1 { "is" } else { "are" }
                ),
                help: "ask for fewer; `celldag devices` lists what there is and what is visible",
            });
        }
        let wanted = need.gpu_memory?;
        let large = self.gpus.iter().filter(|gpu| gpu.memory.is_none_or(|memory| memory >= wanted)).count();
        (large < need.gpus).then(|| {
            let most = self.gpus.iter().filter_map(|gpu| gpu.memory).max().unwrap_or(0);
            Refusal {
                why: format!(
                    "asks for {} of GPU memory (`resources: {{gpu_memory: ...}}`) on {} GPU{}, and the largest has {}",
                    bytes(wanted),
                    need.gpus,
                    if need.gpus == 1 { "" } else { "s" },
                    bytes(most)
                ),
                help: "ask for less, or take another device; `celldag devices` lists the memory of each",
            }
        })
    }
}

/// Why a job cannot start, ever.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Refusal {
    /// What it asks for and what there is.
    pub(crate) why: String,
    /// What to do.
    pub(crate) help: &'static str,
}
