use super::*;

/// A machine: vendor, address, id and model of each GPU.
struct Machine(Vec<(u32, &'static str, &'static str, &'static str)>);

impl Probe for Machine {
    fn gpus(&self, vendor: u32) -> Vec<ProbedGpu> {
        let gpu = |&(_, pci, uuid, model): &(u32, &str, &str, &str)| ProbedGpu {
            pci: pci.to_owned(),
            uuid: uuid.to_owned(),
            model: model.to_owned(),
            minor: None,
        };
        self.0.iter().filter(|gpu| gpu.0 == vendor).map(gpu).collect()
    }
}

const A: &str = "0000:07:00.0";
const B: &str = "0000:65:00.0";
const C: &str = "0000:b1:00.0";

fn alike() -> Machine {
    // Not in the order of the bus, as drivers may show them.
    Machine(vec![
        (NVIDIA, B, "GPU-bbbb-1", "H200"),
        (NVIDIA, A, "GPU-aaaa-1", "H200"),
        (NVIDIA, C, "GPU-bbbb-2", "H200"),
    ])
}

fn mixed() -> Machine {
    Machine(vec![(NVIDIA, A, "GPU-aaaa", "T4"), (NVIDIA, B, "GPU-bbbb", "H200")])
}

/// Addresses that are visible, or the message.
fn seen(machine: &Machine, variables: &[(&str, &str)]) -> String {
    let all: Vec<&str> = machine.0.iter().map(|gpu| gpu.1).collect();
    seen_among(machine, &all, variables)
}

/// The same where Vulkan shows only some of the GPUs that the system has.
fn seen_among(machine: &Machine, shown: &[&str], variables: &[(&str, &str)]) -> String {
    let shown = machine.0.iter().filter(|gpu| shown.contains(&gpu.1));
    let adapters: Vec<Candidate> =
        shown.map(|gpu| Candidate { vendor: gpu.0, pci: gpu.1.to_owned() }).collect();
    let env =
        |name: &str| variables.iter().find(|(known, _)| *known == name).map(|(_, value)| (*value).to_owned());
    match visible(&env, &adapters, machine) {
        Ok(seen) => {
            let shown =
                adapters.iter().zip(seen).filter(|(_, seen)| *seen).map(|(adapter, _)| adapter.pci.as_str());
            shown.collect::<Vec<_>>().join(" ")
        }
        Err(error) => error.to_string(),
    }
}

#[test]
fn without_a_variable_everything_is_visible() {
    assert_eq!(seen(&alike(), &[]), format!("{B} {A} {C}"));
}

#[test]
fn equal_gpus_are_numbered_along_the_bus() {
    let cuda = |value| seen(&alike(), &[("CUDA_VISIBLE_DEVICES", value)]);
    assert_eq!(cuda("0"), A);
    assert_eq!(cuda("2,1"), format!("{B} {C}"));
    assert_eq!(cuda(""), "");
    assert_eq!(cuda("-1"), "");
    assert_eq!(cuda("NoDevFiles"), "");
    assert_eq!(cuda("0,-1,2"), A, "CUDA reads no further");
    assert!(cuda("3").contains("shows 3 GPUs"), "{}", cuda("3"));
}

#[test]
fn ids_are_exact_and_may_be_cut_short() {
    let cuda = |value| seen(&alike(), &[("CUDA_VISIBLE_DEVICES", value)]);
    assert_eq!(cuda("GPU-aaaa"), A);
    assert_eq!(cuda("GPU-bbbb-2,gpu-aaaa-1"), format!("{A} {C}"));
    assert!(cuda("GPU-bbbb").contains("several GPUs"));
    assert!(cuda("GPU-cccc").contains("no GPU with the id GPU-cccc"));
    assert!(cuda("MIG-1234").contains("MIG"));
}

#[test]
fn programs_are_shown_gpus_by_id() {
    let shown = |vendor, pci: &str| {
        let machine =
            Machine(vec![(NVIDIA, A, "GPU-aaaa", "T4"), (AMD, B, "GPU-1f", ""), (INTEL, C, "", "")]);
        variable_of(&Candidate { vendor, pci: pci.to_owned() }, &machine)
    };
    assert_eq!(shown(NVIDIA, A), Some(("CUDA_VISIBLE_DEVICES", "GPU-aaaa".to_owned())));
    assert_eq!(shown(AMD, B), Some(("ROCR_VISIBLE_DEVICES", "GPU-1f".to_owned())));
    assert_eq!((shown(INTEL, C), shown(NVIDIA, B)), (None, None));
}

#[test]
fn several_models_need_an_order_that_is_certain() {
    let refused = seen(&mixed(), &[("CUDA_VISIBLE_DEVICES", "0")]);
    assert!(refused.starts_with("CUDA_VISIBLE_DEVICES=0: CUDA numbers GPUs"), "{refused}");
    assert!(
        refused.contains("CUDA_DEVICE_ORDER=PCI_BUS_ID") && refused.contains("--device pci:"),
        "{refused}"
    );
    let by_bus = [("CUDA_VISIBLE_DEVICES", "1"), ("CUDA_DEVICE_ORDER", "PCI_BUS_ID")];
    assert_eq!(seen(&mixed(), &by_bus), B);
    assert_eq!(seen(&mixed(), &[("CUDA_VISIBLE_DEVICES", "GPU-bbbb")]), B);
}

#[test]
fn one_gpu_needs_no_order() {
    let amd = Machine(vec![(AMD, B, "GPU-1f", "")]);
    assert_eq!(seen(&amd, &[("ROCR_VISIBLE_DEVICES", "0")]), B);
    assert_eq!(seen(&amd, &[("ROCR_VISIBLE_DEVICES", "GPU-1f")]), B);
    assert_eq!(seen(&amd, &[("HIP_VISIBLE_DEVICES", "")]), "");
    assert_eq!(seen(&amd, &[("SLURM_JOB_GPUS", "5")]), B, "a container shows only what was handed out");
    assert_eq!(seen(&amd, &[("CUDA_VISIBLE_DEVICES", "")]), B, "that is about others");
}

#[test]
fn several_gpus_of_rocm_and_level_zero_are_named_by_id_or_refused() {
    let two = Machine(vec![(AMD, A, "GPU-1f", ""), (AMD, B, "GPU-2e", ""), (INTEL, C, "", "")]);
    let refused = seen(&two, &[("ROCR_VISIBLE_DEVICES", "1")]);
    assert!(refused.contains("order of another driver"), "{refused}");
    assert_eq!(seen(&two, &[("ROCR_VISIBLE_DEVICES", "GPU-2e")]), format!("{B} {C}"));
    assert_eq!(
        seen(&two, &[("ROCR_VISIBLE_DEVICES", "GPU-2e"), ("ZE_AFFINITY_MASK", "")]),
        B,
        "each variable is about its vendor"
    );
    let one = [("ROCR_VISIBLE_DEVICES", "GPU-2e"), ("HIP_VISIBLE_DEVICES", "0")];
    assert!(
        seen(&two, &one).contains("order of another driver"),
        "which of them is the first is not known here"
    );
}

#[test]
fn slurm_counts_along_the_bus_where_nothing_else_is_said() {
    assert_eq!(seen(&alike(), &[("SLURM_JOB_GPUS", "0,2")]), format!("{A} {C}"));
    let both = [("SLURM_JOB_GPUS", "0,1"), ("SLURM_STEP_GPUS", "1")];
    assert_eq!(seen(&alike(), &both), B, "the step has less than the job");
    assert!(seen(&alike(), &[("SLURM_JOB_GPUS", "7")]).contains("so many GPUs"));
    let vendors = Machine(vec![(AMD, A, "", ""), (NVIDIA, B, "", "")]);
    assert!(seen(&vendors, &[("SLURM_JOB_GPUS", "0")]).contains("several vendors"));
}

/// `ConstrainDevices=yes`: /proc still shows every GPU of the node, CUDA and Vulkan only those of the job.
#[test]
fn slurm_renumbers_where_it_shuts_the_others_out() {
    let job = |shown: &[&str], slurm: &str, cuda: &str| {
        seen_among(&alike(), shown, &[("SLURM_JOB_GPUS", slurm), ("CUDA_VISIBLE_DEVICES", cuda)])
    };
    assert_eq!(job(&[C], "2", "0"), C, "the first of the job is the third of the node");
    assert_eq!(job(&[B, C], "1,2", "0,1"), format!("{B} {C}"));
    assert_eq!(job(&[B, C], "1,2", "1"), C, "the second of the job, as a step of one GPU has it");
    assert_eq!(job(&[A], "0", "0"), A);
    assert_eq!(job(&[A, B, C], "5,6,7", "1"), B, "a container shows only what was handed out");
    assert!(job(&[C], "2", "1").contains("beside SLURM_JOB_GPUS=2: the system shows 1 GPU"));
    assert_eq!(job(&[C], "2", "GPU-bbbb-2"), C, "ids mean what they say");
    let step = [("SLURM_JOB_GPUS", "1,2"), ("SLURM_STEP_GPUS", "2"), ("CUDA_VISIBLE_DEVICES", "0")];
    assert_eq!(seen_among(&alike(), &[C], &step), C);
}

#[test]
fn slurm_counts_the_node_where_it_shuts_nothing_out() {
    let job = |slurm: &str, cuda: &str| {
        seen(&alike(), &[("SLURM_JOB_GPUS", slurm), ("CUDA_VISIBLE_DEVICES", cuda)])
    };
    assert_eq!(job("2", "2"), C);
    assert_eq!(job("1,2", "1,2"), format!("{B} {C}"));
    assert_eq!(job("0,1", "1"), B, "both counts mean the same");
    assert_eq!(job("2", "0"), C, "whatever Vulkan shows, the job has no other");
    let unsure = job("1,2", "1");
    assert!(unsure.starts_with("CUDA_VISIBLE_DEVICES=1: beside SLURM_JOB_GPUS=1,2 it may count"), "{unsure}");
    assert!(job("7", "0").contains("beside SLURM_JOB_GPUS=7: the system does not show so many GPUs"));
}

#[test]
fn slurm_counts_device_files_where_their_numbers_are_known() {
    struct Files;
    impl Probe for Files {
        fn gpus(&self, vendor: u32) -> Vec<ProbedGpu> {
            // The file of the GPU that is last on the bus has the first number.
            let numbers = alike().gpus(vendor).into_iter();
            let file = |pci: &str| {
                if pci == C {
                    0
                } else if pci == A {
                    1
                } else {
                    2
                }
            };
            numbers.map(|gpu| ProbedGpu { minor: Some(file(&gpu.pci)), ..gpu }).collect()
        }
    }
    let adapters = [A, B, C].map(|pci| Candidate { vendor: NVIDIA, pci: pci.to_owned() });
    let env = |name: &str| (name == "SLURM_JOB_GPUS").then(|| "0".to_owned());
    assert_eq!(visible(&env, &adapters, &Files), Ok(vec![false, false, true]));
}

/// Slurm without AutoDetect sets the variables of all vendors on every machine.
#[test]
fn variables_of_vendors_that_the_machine_has_not_say_nothing() {
    let all = ["CUDA_VISIBLE_DEVICES", "ROCR_VISIBLE_DEVICES", "GPU_DEVICE_ORDINAL", "ZE_AFFINITY_MASK"];
    let env: Vec<(&str, &str)> = all.iter().map(|name| (*name, "0")).collect();
    let one = Machine(vec![(NVIDIA, A, "", "")]);
    assert_eq!(seen(&one, &env), A);
    assert_eq!(
        seen(&Machine(vec![(AMD, B, "", "")]), &[("CUDA_VISIBLE_DEVICES", "0"), ("SLURM_JOB_GPUS", "0")]),
        B
    );
}
