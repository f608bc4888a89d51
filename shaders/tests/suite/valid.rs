//! Every variant of every kernel parses, passes naga's validator with default WebGPU limits, and translates to SPIR-V,
//! MSL and HLSL, so that nothing works on one driver only by accident. Needs no device.

use celldag_shaders::{KernelInstance, kernel_instances};
use naga::back::{hlsl, msl, spv};
use naga::valid::{Capabilities, ModuleInfo, ShaderStages, SubgroupOperationSet, ValidationFlags, Validator};

/// Parsed and validated with the WebGPU baseline and what the kernel says it needs, so that launchers can rely on that.
fn validated(KernelInstance { label, source, needs, .. }: &KernelInstance) -> (naga::Module, ModuleInfo) {
    let module = naga::front::wgsl::parse_str(source)
        .unwrap_or_else(|error| panic!("{label}:\n{}", error.emit_to_string_with_path(source, label)));
    let mut capabilities = Capabilities::empty();
    for need in needs {
        capabilities |= match *need {
            "subgroups" => Capabilities::SUBGROUP,
            "shader-f16" => Capabilities::SHADER_FLOAT16,
            "cooperative-matrix" => Capabilities::COOPERATIVE_MATRIX,
            "immediates" => Capabilities::IMMEDIATES,
            other => panic!("{label}: {other} is unknown"),
        };
    }
    let mut validator = Validator::new(ValidationFlags::all(), capabilities);
    if needs.contains(&"subgroups") {
        validator.subgroup_stages(ShaderStages::COMPUTE).subgroup_operations(SubgroupOperationSet::all());
    }
    let info = validator
        .validate(&module)
        .unwrap_or_else(|error| panic!("{label}:\n{}", error.emit_to_string_with_path(source, label)));
    (module, info)
}

#[test]
fn every_kernel_is_valid_wgsl_within_the_guaranteed_limits() {
    for instance in kernel_instances() {
        let (module, _) = validated(&instance);
        let mut layouter = naga::proc::Layouter::default();
        layouter.update(module.to_ctx()).unwrap();
        let workgroup: u32 = module
            .global_variables
            .iter()
            .filter(|(_, variable)| variable.space == naga::AddressSpace::WorkGroup)
            .map(|(_, variable)| layouter[variable.ty].size)
            .sum();
        assert!(workgroup <= 16_384, "{}: {workgroup} bytes of workgroup memory", instance.label);
        let storage = module
            .global_variables
            .iter()
            .filter(|(_, variable)| matches!(variable.space, naga::AddressSpace::Storage { .. }))
            .count();
        assert!(storage <= 8, "{}: {storage} storage buffers", instance.label);
        assert_eq!(module.entry_points.len(), 1, "{}", instance.label);
        let size: u32 = module.entry_points[0].workgroup_size.iter().product();
        assert!(size <= 256, "{}: {size} invocations", instance.label);
    }
}

#[test]
fn every_kernel_translates_to_every_shader_language() {
    for instance in kernel_instances() {
        let label = &instance.label;
        let (module, info) = validated(&instance);
        let words = spv::write_vec(&module, &info, &spv::Options::default(), None);
        assert!(words.unwrap_or_else(|error| panic!("{label}: SPIR-V: {error}")).len() > 100);
        let cooperative = instance.needs.contains(&"cooperative-matrix");
        let lang_version = if cooperative { (2, 3) } else { msl::Options::default().lang_version };
        let options = msl::Options { fake_missing_bindings: true, lang_version, ..Default::default() };
        let metal = msl::write_string(&module, &info, &options, &msl::PipelineOptions::default());
        let (metal, _) = metal.unwrap_or_else(|error| panic!("{label}: MSL: {error}"));
        assert!(metal.contains("kernel void"), "{label}: MSL has no kernel");
        if cooperative {
            // naga 30 cannot write them in HLSL; wgpu does not offer them on DX12.
            continue;
        }
        let mut text = String::new();
        let options = hlsl::Options { fake_missing_bindings: true, ..Default::default() };
        let pipeline = hlsl::PipelineOptions::default();
        hlsl::Writer::new(&mut text, &options, &pipeline)
            .write(&module, &info, None)
            .unwrap_or_else(|error| panic!("{label}: HLSL: {error}"));
        assert!(text.contains("numthreads"), "{label}: HLSL has no kernel");
    }
}

/// Adapters with immediate data find the parameters there. The other form of a kernel differs in one line, so one instance of
/// each file will do.
#[test]
fn every_kernel_is_valid_with_its_parameters_as_immediate_data() {
    let mut files = std::collections::BTreeSet::new();
    for instance in kernel_instances() {
        if !files.insert(instance.label.split('[').next().unwrap_or_default().to_owned()) {
            continue;
        }
        let label = &instance.label;
        let mut needs = instance.needs.clone();
        needs.push("immediates");
        let instance = KernelInstance { source: instance.with_immediates(), needs, ..instance.clone() };
        assert!(!instance.source.contains("var<uniform>"), "{label} declares its parameters in its own way");
        let (module, info) = validated(&instance);
        let mut layouter = naga::proc::Layouter::default();
        layouter.update(module.to_ctx()).unwrap();
        let sizes: Vec<u32> = module
            .global_variables
            .iter()
            .filter(|(_, variable)| variable.space == naga::AddressSpace::Immediate)
            .map(|(_, variable)| layouter[variable.ty].size)
            .collect();
        assert!(sizes.len() == 1 && sizes[0] <= 128, "{label}: {sizes:?} bytes of immediate data");
        spv::write_vec(&module, &info, &spv::Options::default(), None)
            .unwrap_or_else(|error| panic!("{label}: SPIR-V: {error}"));
        if instance.needs.contains(&"cooperative-matrix") {
            continue;
        }
        let options = msl::Options { fake_missing_bindings: true, ..Default::default() };
        msl::write_string(&module, &info, &options, &msl::PipelineOptions::default())
            .unwrap_or_else(|error| panic!("{label}: MSL: {error}"));
        let immediates_target = Some(hlsl::BindTarget::default());
        let options = hlsl::Options { fake_missing_bindings: true, immediates_target, ..Default::default() };
        hlsl::Writer::new(&mut String::new(), &options, &hlsl::PipelineOptions::default())
            .write(&module, &info, None)
            .unwrap_or_else(|error| panic!("{label}: HLSL: {error}"));
    }
}

/// `docs/kernels.md` is the table of the kernels: none may be missing from it, and none be in it that is gone.
#[test]
fn the_table_of_kernels_is_complete() {
    let table = include_str!("../../../docs/kernels.md");
    let named: Vec<&str> = table
        .lines()
        .filter_map(|line| line.strip_prefix("| `"))
        .flat_map(|line| line.split(" |").next().unwrap_or_default().split(", "))
        .map(|name| name.trim_matches('`'))
        .collect();
    let files: std::collections::BTreeSet<String> = kernel_instances()
        .iter()
        .map(|instance| instance.label.split('[').next().unwrap_or_default().to_owned())
        .collect();
    for file in &files {
        assert!(named.contains(&file.as_str()), "docs/kernels.md does not mention {file}");
    }
    for name in named {
        assert!(files.contains(name), "docs/kernels.md mentions {name}, which is gone");
    }
}
