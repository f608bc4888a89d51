//! Every variant of every kernel parses, passes naga's validator with default WebGPU limits, and translates to SPIR-V,
//! MSL and HLSL, so that nothing works on one driver only by accident. Needs no device.

use celldag_shaders::kernel_instances;
use naga::back::{hlsl, msl, spv};
use naga::valid::{Capabilities, ModuleInfo, ValidationFlags, Validator};

fn validated(label: &str, source: &str) -> (naga::Module, ModuleInfo) {
    let module = naga::front::wgsl::parse_str(source)
        .unwrap_or_else(|error| panic!("{label}:\n{}", error.emit_to_string_with_path(source, label)));
    let info = Validator::new(ValidationFlags::all(), Capabilities::empty())
        .validate(&module)
        .unwrap_or_else(|error| panic!("{label}:\n{}", error.emit_to_string_with_path(source, label)));
    (module, info)
}

#[test]
fn every_kernel_is_valid_wgsl_within_the_guaranteed_limits() {
    for instance in kernel_instances() {
        let (module, _) = validated(&instance.label, &instance.source);
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
        let (module, info) = validated(label, &instance.source);
        let words = spv::write_vec(&module, &info, &spv::Options::default(), None);
        assert!(words.unwrap_or_else(|error| panic!("{label}: SPIR-V: {error}")).len() > 100);
        let options = msl::Options { fake_missing_bindings: true, ..Default::default() };
        let metal = msl::write_string(&module, &info, &options, &msl::PipelineOptions::default());
        let (metal, _) = metal.unwrap_or_else(|error| panic!("{label}: MSL: {error}"));
        assert!(metal.contains("kernel void"), "{label}: MSL has no kernel");
        let mut text = String::new();
        let options = hlsl::Options { fake_missing_bindings: true, ..Default::default() };
        let pipeline = hlsl::PipelineOptions::default();
        hlsl::Writer::new(&mut text, &options, &pipeline)
            .write(&module, &info, None)
            .unwrap_or_else(|error| panic!("{label}: HLSL: {error}"));
        assert!(text.contains("numthreads"), "{label}: HLSL has no kernel");
    }
}
