//! Which GPUs a program sees: those that its job holds, or those that the scheduler of the cluster has handed out.
//!
//! The variables select hardware and are in no key, as nothing else of a device is.

use std::collections::BTreeMap;
use std::ffi::OsString;

use crate::run::GpuSlot;

/// What the drivers of the vendors read.
const VARIABLES: [&str; 6] = [
    "CUDA_DEVICE_ORDER",
    "CUDA_VISIBLE_DEVICES",
    "GPU_DEVICE_ORDINAL",
    "HIP_VISIBLE_DEVICES",
    "ROCR_VISIBLE_DEVICES",
    "ZE_AFFINITY_MASK",
];

/// Variables that count among what another one has left: once that one names the GPUs of the job, their numbers mean others.
/// AMD's runtime reads CUDA's variable too.
const WITHIN: [(&str, &str); 3] = [
    ("CUDA_VISIBLE_DEVICES", "ROCR_VISIBLE_DEVICES"),
    ("GPU_DEVICE_ORDINAL", "ROCR_VISIBLE_DEVICES"),
    ("HIP_VISIBLE_DEVICES", "ROCR_VISIBLE_DEVICES"),
];

/// Addresses of the GPUs that the job holds, separated by commas.
const HELD: &str = "CELLDAG_GPUS";

/// The variables for a program of a job that holds `gpus`, none if celldag hands out none.
pub(crate) fn variables(gpus: &[GpuSlot]) -> BTreeMap<String, OsString> {
    narrowed(|name| std::env::var_os(name), gpus)
}

fn narrowed(env: impl Fn(&str) -> Option<OsString>, gpus: &[GpuSlot]) -> BTreeMap<String, OsString> {
    let set = VARIABLES.iter().filter_map(|name| Some(((*name).to_owned(), env(name)?)));
    let mut variables: BTreeMap<String, OsString> = set.collect();
    if gpus.is_empty() {
        return variables;
    }
    let mut ids: BTreeMap<&str, Vec<&str>> = BTreeMap::new();
    for (name, id) in gpus.iter().filter_map(|gpu| gpu.variable.as_ref()) {
        ids.entry(name).or_default().push(id);
    }
    for (inner, outer) in WITHIN {
        if ids.contains_key(outer) {
            variables.remove(inner);
        }
    }
    variables.extend(ids.into_iter().map(|(name, ids)| (name.to_owned(), ids.join(",").into())));
    let held = addresses(gpus);
    if !held.is_empty() {
        variables.insert(HELD.to_owned(), held.join(",").into());
    }
    variables
}

/// Addresses on the PCI bus, as far as they are known.
pub(crate) fn addresses(gpus: &[GpuSlot]) -> Vec<&str> {
    gpus.iter().map(|gpu| gpu.pci.as_str()).filter(|pci| !pci.is_empty()).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn seen(env: &[(&str, &str)], gpus: &[GpuSlot]) -> String {
        let value =
            |name: &str| env.iter().find(|(known, _)| *known == name).map(|(_, value)| (*value).into());
        let shown = narrowed(value, gpus).into_iter();
        shown.map(|(name, value)| format!("{name}={}", value.display())).collect::<Vec<_>>().join(" ")
    }

    fn gpu(pci: &str, variable: Option<(&str, &str)>) -> GpuSlot {
        let variable = variable.map(|(name, id)| (name.to_owned(), id.to_owned()));
        GpuSlot { pci: pci.to_owned(), variable, ..GpuSlot::default() }
    }

    #[test]
    fn what_the_scheduler_has_set_is_passed_on() {
        let env = [("CUDA_VISIBLE_DEVICES", "1"), ("CUDA_DEVICE_ORDER", "PCI_BUS_ID"), ("SECRET", "x")];
        assert_eq!(seen(&env, &[]), "CUDA_DEVICE_ORDER=PCI_BUS_ID CUDA_VISIBLE_DEVICES=1");
        assert_eq!(seen(&[("ZE_AFFINITY_MASK", "")], &[]), "ZE_AFFINITY_MASK=", "set and empty hides all");
        assert_eq!(seen(&[], &[]), "");
    }

    #[test]
    fn a_program_sees_the_gpus_of_its_job_only() {
        let cuda = |id| Some(("CUDA_VISIBLE_DEVICES", id));
        let env = [("CUDA_VISIBLE_DEVICES", "0,1,2"), ("HIP_VISIBLE_DEVICES", "0")];
        let two = [gpu("0000:65:00.0", cuda("GPU-b")), gpu("0000:07:00.0", cuda("GPU-a"))];
        assert_eq!(
            seen(&env, &two),
            "CELLDAG_GPUS=0000:65:00.0,0000:07:00.0 CUDA_VISIBLE_DEVICES=GPU-b,GPU-a HIP_VISIBLE_DEVICES=0"
        );
        let amd = [gpu("0000:b1:00.0", Some(("ROCR_VISIBLE_DEVICES", "GPU-1f")))];
        assert_eq!(
            seen(&env, &amd),
            "CELLDAG_GPUS=0000:b1:00.0 ROCR_VISIBLE_DEVICES=GPU-1f",
            "numbers of the scheduler counted the GPUs of the node"
        );
        assert_eq!(seen(&env[..1], &[gpu("", None)]), "CUDA_VISIBLE_DEVICES=0,1,2", "nothing is known");
    }
}
