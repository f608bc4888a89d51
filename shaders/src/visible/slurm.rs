//! What Slurm says about the GPUs that it has handed out.
//!
//! `SLURM_STEP_GPUS` and `SLURM_JOB_GPUS` hold the numbers of the GPUs on the node, whatever the job can see of them.
//! `CUDA_VISIBLE_DEVICES` holds the same numbers, except where Slurm shuts the other GPUs out (`ConstrainDevices=yes` of
//! cgroup.conf): there CUDA finds only those of the job, and the variable counts them from 0.

use std::collections::BTreeSet;

use super::{AMD, Candidate, INTEL, NVIDIA, Probe, ProbedGpu, Unmapped, entries, in_order};

/// A step has what is left of its job.
const VARIABLES: &[&str] = &["SLURM_STEP_GPUS", "SLURM_JOB_GPUS"];

fn variable(env: &dyn Fn(&str) -> Option<String>) -> Option<(&'static str, String)> {
    VARIABLES.iter().find_map(|name| env(name).map(|value| (*name, value)))
}

/// The GPUs of the node in the order of their device files, in which Slurm counts them. Where the driver does not tell the
/// numbers of the files, that is the order of the bus.
fn of_node(known: &[ProbedGpu]) -> Vec<&ProbedGpu> {
    let mut gpus: Vec<&ProbedGpu> = known.iter().collect();
    let files = gpus.iter().all(|gpu| gpu.minor.is_some());
    gpus.sort_by(|a, b| if files { a.minor.cmp(&b.minor) } else { a.pci.cmp(&b.pci) });
    gpus
}

/// The GPUs that a list of Slurm's numbers names.
fn listed<'a>(value: &str, known: &'a [ProbedGpu]) -> Result<Vec<&'a ProbedGpu>, &'static str> {
    let node = of_node(known);
    let one = |entry: &str| {
        let index: usize = entry.parse().map_err(|_| "this is not a list of numbers")?;
        node.get(index).copied().ok_or("the system does not show so many GPUs")
    };
    entries(value).map(one).collect()
}

/// Hides what Slurm has not handed out, where no variable of a vendor says so.
pub(super) fn hide(
    env: &dyn Fn(&str) -> Option<String>,
    adapters: &[Candidate],
    probe: &dyn Probe,
    seen: &mut [bool],
) -> Result<(), Unmapped> {
    let Some((variable, value)) = variable(env) else { return Ok(()) };
    let hardware: Vec<usize> =
        (0..adapters.len()).filter(|&index| [NVIDIA, AMD, INTEL].contains(&adapters[index].vendor)).collect();
    let vendors: BTreeSet<u32> = hardware.iter().map(|&index| adapters[index].vendor).collect();
    let refuse =
        |why: &str| Unmapped { variable: variable.to_owned(), value: value.clone(), why: why.to_owned() };
    let vendor = match Vec::from_iter(vendors).as_slice() {
        [] => return Ok(()),
        [vendor] => *vendor,
        _ => return Err(refuse("there are GPUs of several vendors, and Slurm does not say whose it counts")),
    };
    let known = probe.gpus(vendor);
    if !value.trim().is_empty() && hardware.len() == 1 && known.len() <= 1 {
        return Ok(());
    }
    let given: BTreeSet<&str> =
        listed(&value, &known).map_err(refuse)?.into_iter().map(|gpu| gpu.pci.as_str()).collect();
    for index in hardware {
        seen[index] = given.contains(adapters[index].pci.as_str());
    }
    Ok(())
}

/// What Slurm has given to the job, beside a variable of CUDA.
pub(super) struct Given<'a> {
    gpus: Vec<&'a ProbedGpu>,
    /// What the variable says.
    told: String,
    /// The job is shown no other GPU, although the node has others.
    alone: bool,
}

/// What Slurm has given, for the numbers of CUDA; `None` where it says nothing, or nothing that can be followed.
pub(super) fn given<'a>(
    env: &dyn Fn(&str) -> Option<String>,
    vendor: u32,
    adapters: &[Candidate],
    known: &'a [ProbedGpu],
) -> Option<Result<Given<'a>, String>> {
    let (name, value) = variable(env).filter(|_| vendor == NVIDIA)?;
    let told = format!("{name}={value}");
    let gpus = match listed(&value, known) {
        Ok(gpus) => gpus,
        // A container that shows what the job was given and nothing else: the numbers of the node mean nothing in it.
        Err(_) if entries(&value).count() == known.len() => known.iter().collect(),
        Err(why) => return Some(Err(format!("beside {told}: {why}"))),
    };
    let mut shown = adapters.iter().filter(|adapter| adapter.vendor == vendor);
    let alone =
        gpus.len() < known.len() && shown.all(|adapter| gpus.iter().any(|gpu| gpu.pci == adapter.pci));
    Some(Ok(Given { gpus, told, alone }))
}

/// The addresses that numbers of CUDA mean: on the node, or among what the job was given. Where both could be, what the job is
/// shown decides.
pub(super) fn numbered(
    env: &dyn Fn(&str) -> Option<String>,
    vendor: u32,
    numbers: &[usize],
    given: &Given<'_>,
    known: &[&ProbedGpu],
) -> Result<Vec<String>, String> {
    let among = in_order(env, vendor, &given.gpus).and_then(|order| super::numbered(numbers, &order));
    let of_node = in_order(env, vendor, known).and_then(|order| super::numbered(numbers, &order));
    // What the job was not given, the variable cannot mean.
    let theirs = |places: &Vec<String>| places.iter().all(|pci| given.gpus.iter().any(|gpu| gpu.pci == *pci));
    let of_node = of_node.ok().filter(theirs);
    match (among, of_node) {
        (Ok(among), Some(of_node)) if among == of_node => Ok(among),
        (Ok(among), None) => Ok(among),
        (Ok(among), Some(_)) if given.alone => Ok(among),
        (Ok(_), Some(_)) => Err(format!(
            "beside {} it may count the GPUs of the node or those of the job, and these are not the same",
            given.told
        )),
        (Err(_), Some(of_node)) => Ok(of_node),
        (Err(why), None) => Err(format!("beside {}: {why}", given.told)),
    }
}
