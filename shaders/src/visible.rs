//! The GPUs that a scheduler has handed out. Slurm, Nextflow and containers say so in variables that Vulkan does not read:
//! without care, every job on a node with four GPUs would open the first one.
//!
//! The variables hold indices or ids in the order of another driver (CUDA, ROCm, Level Zero). What is common to all
//! drivers is the address on the PCI bus, so each entry is mapped to that, or refused: a wrong GPU is worse than none.

mod probe;
mod slurm;

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
        // Schedulers set the variables of all vendors, whatever the machine has.
        if left.is_empty() {
            continue;
        }
        let named = named(env, (variable, &value), vendor, adapters, &left, probe)?;
        for index in left {
            seen[index] = named.contains(&adapters[index].pci);
        }
    }
    if any {
        return Ok(seen);
    }
    slurm::hide(env, adapters, probe, &mut seen)?;
    Ok(seen)
}

/// The variable, and the id in it, by which programs that use the vendor's driver find the GPU at this address; `None` where
/// the system does not tell an id. Numbers would be a guess: each driver has an order of its own.
pub fn variable_of(candidate: &Candidate, probe: &dyn Probe) -> Option<(&'static str, String)> {
    let variable = match candidate.vendor {
        NVIDIA => "CUDA_VISIBLE_DEVICES",
        AMD => "ROCR_VISIBLE_DEVICES",
        _ => return None,
    };
    let gpu = probe.gpus(candidate.vendor).into_iter().find(|gpu| gpu.pci == candidate.pci)?;
    (!gpu.uuid.is_empty()).then_some((variable, gpu.uuid))
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
    let mut numbers = Vec::new();
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
            match only(index, adapters, left, &known) {
                Some(pci) => drop(found.insert(pci.map_err(&refuse)?)),
                None => numbers.push(index),
            }
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
    if !numbers.is_empty() {
        let all: Vec<&ProbedGpu> = known.iter().collect();
        let places = match slurm::given(env, vendor, adapters, &known) {
            Some(given) => slurm::numbered(env, vendor, &numbers, &given.map_err(&refuse)?, &all),
            None => in_order(env, vendor, &all).and_then(|order| numbered(&numbers, &order)),
        };
        found.extend(places.map_err(&refuse)?);
    }
    Ok(found)
}

/// The address of the only GPU of a machine, where the number can mean no other: there is only one order.
fn only(
    index: usize,
    adapters: &[Candidate],
    left: &[usize],
    known: &[ProbedGpu],
) -> Option<Result<String, String>> {
    (index == 0 && known.len() <= 1 && left.len() == 1).then(|| match adapters[left[0]].pci.as_str() {
        "" => Ok(String::new()),
        pci if known.iter().all(|gpu| gpu.pci == pci) => Ok(pci.to_owned()),
        pci => Err(format!("Vulkan shows a GPU at {pci}, and the system another")),
    })
}

/// GPUs in the order in which the vendor's driver numbers them: the fastest first, and among equals the order of the bus.
fn in_order<'a>(
    env: &dyn Fn(&str) -> Option<String>,
    vendor: u32,
    gpus: &[&'a ProbedGpu],
) -> Result<Vec<&'a ProbedGpu>, String> {
    let by_bus = env("CUDA_DEVICE_ORDER").is_some_and(|order| order.trim() == "PCI_BUS_ID");
    let alike = gpus.windows(2).all(|pair| !pair[0].model.is_empty() && pair[0].model == pair[1].model);
    if vendor != NVIDIA || !(by_bus || alike) {
        return Err(match vendor {
            NVIDIA => "CUDA numbers GPUs of several models by their speed, which only CUDA knows; set \
                       CUDA_DEVICE_ORDER=PCI_BUS_ID where the variable is set, or use the ids that `nvidia-smi -L` prints"
                .to_owned(),
            _ => "the numbers are in the order of another driver, which is not that of the bus".to_owned(),
        });
    }
    let mut gpus = gpus.to_vec();
    gpus.sort_by(|a, b| a.pci.cmp(&b.pci));
    Ok(gpus)
}

/// The addresses of the GPUs with these numbers in that order.
fn numbered(numbers: &[usize], gpus: &[&ProbedGpu]) -> Result<Vec<String>, String> {
    let place = |number: &usize| gpus.get(*number).map(|gpu| gpu.pci.clone());
    let places: Option<Vec<String>> = numbers.iter().map(place).collect();
    places.ok_or_else(|| {
        format!(
            "the system shows {} GPU{} of this vendor",
            gpus.len(),
            if gpus.len() == 1 { "" } else { "s" }
        )
    })
}

#[cfg(test)]
mod tests;
