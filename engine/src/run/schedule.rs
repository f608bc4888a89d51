//! Which queued job may start now: CPU slots, memory, GPUs. Pure bookkeeping, no threads.

use std::cmp::Reverse;
use std::collections::{BTreeMap, BTreeSet};

use super::capacity::{Capacity, Need};
use super::gpus::GpuSlot;

/// A job that starts, and what it holds until [`Schedule::done`].
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Start {
    /// The job.
    pub(crate) job: usize,
    /// Its CPU threads.
    pub(crate) threads: usize,
    /// Indices of its GPUs; empty where there are none to choose from.
    pub(crate) gpus: Vec<usize>,
}

/// What a running job holds.
#[derive(Debug)]
struct Held {
    need: Need,
    gpus: Vec<usize>,
}

/// How a GPU is used.
#[derive(Clone, Copy, Debug, Default)]
struct Use {
    jobs: usize,
    alone: bool,
    bytes: u64,
}

/// What jobs further behind must leave alone, because one before them waits for it.
#[derive(Debug, Default)]
struct Claims {
    ram: bool,
    gpus: bool,
}

/// What a job waits for.
enum Lacks {
    Slots,
    Ram,
    Gpus,
}

/// Queue and what is held.
///
/// Jobs start in the order of their ranks, the highest first, and of their indices within a rank. A job that waits for
/// memory or for a GPU lets those pass which want none of it; a job that waits for slots lets nobody pass. So a job that
/// wants much gets it as soon as enough has come back, however many small ones are queued.
#[derive(Debug)]
pub(crate) struct Schedule {
    capacity: Capacity,
    /// Jobs of equal need wait in one line: if its first cannot start, none of it can.
    queue: BTreeMap<Need, BTreeSet<(Reverse<u64>, usize)>>,
    running: BTreeMap<usize, Held>,
}

impl Schedule {
    pub(crate) fn new(capacity: Capacity) -> Self {
        let capacity =
            Capacity { slots: capacity.slots.max(1), threads: capacity.threads.max(1), ..capacity };
        Self { capacity, queue: BTreeMap::new(), running: BTreeMap::new() }
    }

    pub(crate) fn capacity(&self) -> &Capacity {
        &self.capacity
    }

    /// These are the GPUs. To be told before the first job that needs one is queued.
    pub(crate) fn set_gpus(&mut self, gpus: Vec<GpuSlot>) {
        self.capacity.gpus = gpus;
    }

    /// The job may start when there is room; the higher its rank, the sooner. Its need must be one that the machine can
    /// satisfy ([`Capacity::refusal`]).
    pub(crate) fn push(&mut self, job: usize, rank: u64, need: Need) {
        self.queue.entry(need).or_default().insert((Reverse(rank), job));
    }

    /// Whether no job is queued.
    pub(crate) fn is_empty(&self) -> bool {
        self.queue.is_empty()
    }

    /// The next job to start.
    pub(crate) fn next(&mut self) -> Option<Start> {
        let mut heads: Vec<(Reverse<u64>, usize, Need)> = self
            .queue
            .iter()
            .filter_map(|(need, line)| line.first().map(|&(rank, job)| (rank, job, *need)))
            .collect();
        heads.sort_unstable();
        let mut claims = Claims::default();
        for (rank, job, need) in heads {
            if (claims.ram && need.ram > 0) || (claims.gpus && need.gpus > 0) {
                continue;
            }
            match self.place(&need) {
                Ok(gpus) => return Some(self.start((rank, job), need, gpus)),
                Err(Lacks::Slots) => return None,
                Err(Lacks::Ram) => claims.ram = true,
                Err(Lacks::Gpus) => claims.gpus = true,
            }
        }
        None
    }

    fn start(&mut self, place: (Reverse<u64>, usize), need: Need, gpus: Vec<usize>) -> Start {
        if let Some(line) = self.queue.get_mut(&need) {
            line.remove(&place);
            if line.is_empty() {
                self.queue.remove(&need);
            }
        }
        let job = place.1;
        self.running.insert(job, Held { need, gpus: gpus.clone() });
        // Jobs that could start at once share the threads; a lonely job gets all of them.
        let queued: usize = self.queue.values().map(BTreeSet::len).sum();
        let company = (self.running.len() + queued).clamp(1, self.capacity.slots);
        let threads = need.threads.unwrap_or((self.capacity.threads / company).max(1));
        let gpus = if self.capacity.gpus.is_empty() { Vec::new() } else { gpus };
        Start { job, threads, gpus }
    }

    /// The GPUs that the job would get, or what is missing: the scarcest first, so that a job which waits for a GPU does not
    /// keep slots from others.
    fn place(&self, need: &Need) -> Result<Vec<usize>, Lacks> {
        let gpus = self.choose(need).ok_or(Lacks::Gpus)?;
        let ram: u64 = self.running.values().map(|held| held.need.ram).sum();
        if self.capacity.ram.is_some_and(|most| ram.saturating_add(need.ram) > most) {
            return Err(Lacks::Ram);
        }
        let slots: usize = self.running.values().map(|held| held.need.slots).sum();
        if slots + need.slots > self.capacity.slots { Err(Lacks::Slots) } else { Ok(gpus) }
    }

    /// The least used GPUs that have room.
    fn choose(&self, need: &Need) -> Option<Vec<usize>> {
        if need.gpus == 0 {
            return Some(Vec::new());
        }
        // The queue of the device is a GPU of unknown size.
        let mut uses = vec![Use::default(); self.capacity.gpus.len().max(1)];
        for held in self.running.values() {
            for &gpu in &held.gpus {
                uses[gpu].jobs += 1;
                uses[gpu].alone |= held.need.gpu_memory.is_none() || self.memory(gpu).is_none();
                uses[gpu].bytes += held.need.gpu_memory.unwrap_or(0);
            }
        }
        let room = |gpu: &usize| match (need.gpu_memory, self.memory(*gpu)) {
            (Some(wanted), Some(memory)) => {
                !uses[*gpu].alone && uses[*gpu].bytes.saturating_add(wanted) <= memory
            }
            _ => uses[*gpu].jobs == 0,
        };
        let mut free: Vec<usize> = (0..uses.len()).filter(room).collect();
        free.sort_by_key(|&gpu| (uses[gpu].jobs > 0, uses[gpu].bytes, gpu));
        free.truncate(need.gpus);
        (free.len() == need.gpus).then_some(free)
    }

    fn memory(&self, gpu: usize) -> Option<u64> {
        self.capacity.gpus.get(gpu).and_then(|gpu| gpu.memory)
    }

    /// The job runs no more.
    pub(crate) fn done(&mut self, job: usize) {
        self.running.remove(&job);
    }

    /// Nothing that is queued will start.
    pub(crate) fn clear(&mut self) {
        self.queue.clear();
    }
}
