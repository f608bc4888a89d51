//! The GPUs that a scheduler has handed out. Slurm, Nextflow and containers say so in variables that Vulkan does not read:
//! without care, every job on a node with four GPUs would open the first one.
//!
//! The variables hold indices or ids in the order of another driver (CUDA, ROCm, Level Zero). What is common to all
//! drivers is the address on the PCI bus, so each entry is mapped to that, or refused: a wrong GPU is worse than none.

mod probe;

use std::collections::BTreeSet;

pub use probe::{Probe, ProbedGpu, System};

/// PCI id of NVIDIA.
const NVIDIA: u32 = 0x10de;
/// PCI id of AMD.
const AMD: u32 = 0x1002;
/// PCI id of Intel.
const INTEL: u32 = 0x8086;

/// The variables, and whose GPUs they number. Those of one vendor narrow each other, as the vendors say.
const VARIABLES: &[(&str, u32)] = &[
    ("CUDA_VISIBLE_DEVICES", NVIDIA),
    ("ROCR_VISIBLE_DEVICES", AMD),
    ("HIP_VISIBLE_DEVICES", AMD),
    ("GPU_DEVICE_ORDINAL", AMD),
    ("ZE_AFFINITY_MASK", INTEL),
];

/// What Slurm says itself; read where none of [`VARIABLES`] is set.
const SLURM: &[&str] = &["SLURM_STEP_GPUS", "SLURM_JOB_GPUS"];

/// An adapter as far as visibility is concerned.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Candidate {
    /// PCI id of its vendor.
    pub vendor: u32,
    /// Address on the PCI bus (`0000:65:00.0`); empty where the driver does not say.
    pub pci: String,
}

/// Why a variable cannot be followed.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error(
    "{variable}={value}: {why}. Name the GPU instead (`--device pci:0000:65:00.0`; `celldag devices` lists the addresses)"
)]
pub struct Unmapped {
    /// The variable.
    pub variable: String,
    /// Its value.
    pub value: String,
    /// What is missing.
    pub why: String,
}

/// Which of `adapters` are visible under the variables that `env` knows; all of them where no variable is set.
///
/// # Errors
/// [`Unmapped`] when it is not certain which adapters a variable means.
pub fn visible(
    env: &dyn Fn(&str) -> Option<String>,
    adapters: &[Candidate],
    probe: &dyn Probe,
) -> Result<Vec<bool>, Unmapped> {
    let mut seen = vec![true; adapters.len()];
    let mut any = false;
    for &(variable, vendor) in VARIABLES {
        let Some(value) = env(variable) else { continue };
        any = true;
        // A second variable of the vendor counts among what the first has left.
        let left: Vec<usize> =
            (0..adapters.len()).filter(|&index| seen[index] && adapters[index].vendor == vendor).collect();
        let named = named(env, (variable, &value), vendor, adapters, &left, probe)?;
        for index in left {
            seen[index] = named.contains(&adapters[index].pci);
        }
    }
    if any {
        return Ok(seen);
    }
    // Slurm numbers the GPUs of the node in the order of its device files, which is that of the bus if all are of one
    // vendor.
    let Some((variable, value)) = SLURM.iter().find_map(|name| env(name).map(|value| (*name, value))) else {
        return Ok(seen);
    };
    let hardware: Vec<usize> =
        (0..adapters.len()).filter(|&index| [NVIDIA, AMD, INTEL].contains(&adapters[index].vendor)).collect();
    let vendors: BTreeSet<u32> = hardware.iter().map(|&index| adapters[index].vendor).collect();
    let refuse =
        |why: &str| Unmapped { variable: variable.to_owned(), value: value.clone(), why: why.to_owned() };
    let vendor = match Vec::from_iter(vendors).as_slice() {
        [] => return Ok(seen),
        [vendor] => *vendor,
        _ => return Err(refuse("there are GPUs of several vendors, and Slurm does not say whose it counts")),
    };
    if !value.trim().is_empty() && hardware.len() == 1 && probe.gpus(vendor).len() <= 1 {
        return Ok(seen);
    }
    let mut buses = probe.gpus(vendor);
    buses.sort_by(|a, b| a.pci.cmp(&b.pci));
    let mut named = BTreeSet::new();
    for entry in entries(&value) {
        let index: usize = entry.parse().map_err(|_| refuse("this is not a list of numbers"))?;
        let gpu = buses.get(index).ok_or_else(|| refuse("the system does not show so many GPUs"))?;
        named.insert(gpu.pci.clone());
    }
    for index in hardware {
        seen[index] = named.contains(&adapters[index].pci);
    }
    Ok(seen)
}

fn entries(value: &str) -> impl Iterator<Item = &str> {
    value.split(',').map(str::trim).filter(|entry| !entry.is_empty())
}

/// The addresses that a variable names.
fn named(
    env: &dyn Fn(&str) -> Option<String>,
    (variable, value): (&str, &str),
    vendor: u32,
    adapters: &[Candidate],
    left: &[usize],
    probe: &dyn Probe,
) -> Result<BTreeSet<String>, Unmapped> {
    let refuse = |why: String| Unmapped { variable: variable.to_owned(), value: value.to_owned(), why };
    let mut found = BTreeSet::new();
    let known = probe.gpus(vendor);
    for entry in entries(value) {
        // CUDA ignores all that follows an index which does not exist; `-1`, `none` and `NoDevFiles` are used for that.
        if entry == "-1" || entry.eq_ignore_ascii_case("none") || entry.eq_ignore_ascii_case("NoDevFiles") {
            break;
        }
        if entry.starts_with("MIG-") {
            return Err(refuse("a part of a GPU (MIG) is no adapter of Vulkan".to_owned()));
        }
        if let Ok(index) = entry.parse::<usize>() {
            found.insert(numbered(env, vendor, index, adapters, left, &known).map_err(&refuse)?);
            continue;
        }
        let wanted = entry.to_ascii_lowercase();
        let mut fits = known.iter().filter(|gpu| gpu.uuid.to_ascii_lowercase().starts_with(&wanted));
        match (fits.next(), fits.next()) {
            (Some(gpu), None) => found.insert(gpu.pci.clone()),
            (None, _) => return Err(refuse(format!("the system shows no GPU with the id {entry}"))),
            (Some(_), Some(_)) => {
                return Err(refuse(format!("several GPUs have an id that begins with {entry}")));
            }
        };
    }
    Ok(found)
}

/// The address of the GPU with a number in the order of the vendor's driver.
fn numbered(
    env: &dyn Fn(&str) -> Option<String>,
    vendor: u32,
    index: usize,
    adapters: &[Candidate],
    left: &[usize],
    known: &[ProbedGpu],
) -> Result<String, String> {
    // One GPU in the whole machine: there is only one order.
    if index == 0 && known.len() <= 1 && left.len() == 1 {
        return match adapters[left[0]].pci.as_str() {
            "" => Ok(String::new()),
            pci if known.iter().all(|gpu| gpu.pci == pci) => Ok(pci.to_owned()),
            pci => Err(format!("Vulkan shows a GPU at {pci}, and the system another")),
        };
    }
    let by_bus = env("CUDA_DEVICE_ORDER").is_some_and(|order| order.trim() == "PCI_BUS_ID");
    let alike = known.windows(2).all(|pair| !pair[0].model.is_empty() && pair[0].model == pair[1].model);
    if vendor != NVIDIA || !(by_bus || alike) {
        return Err(match vendor {
            NVIDIA => "CUDA numbers GPUs of several models by their speed, which only CUDA knows; set \
                       CUDA_DEVICE_ORDER=PCI_BUS_ID where the variable is set, or use the ids that `nvidia-smi -L` prints"
                .to_owned(),
            _ => "the numbers are in the order of another driver, which is not that of the bus".to_owned(),
        });
    }
    // The fastest first, and among equals the order of the bus.
    let mut known: Vec<&ProbedGpu> = known.iter().collect();
    known.sort_by(|a, b| a.pci.cmp(&b.pci));
    let gpu = known.get(index).ok_or_else(|| {
        format!(
            "the system shows {} GPU{} of this vendor",
            known.len(),
            if known.len() == 1 { "" } else { "s" }
        )
    })?;
    Ok(gpu.pci.clone())
}

#[cfg(test)]
mod tests;
