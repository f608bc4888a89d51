// One step of Adam or AdamW, in place. AdamW has l2 = 0 and keep = 1 - lr * decay; Adam has keep = 1.
struct Parameters {
    base: u32, groups: u32, count: u32,
    l2: f32, keep: f32, beta1: f32, beta2: f32, eps: f32, step_size: f32, root_scale: f32,
}
@group(0) @binding(0) var<uniform> p: Parameters;
@group(0) @binding(1) var<storage, read> gradient: array<f32>;
@group(0) @binding(2) var<storage, read_write> value: array<f32>;
@group(0) @binding(3) var<storage, read_write> first: array<f32>;
@group(0) @binding(4) var<storage, read_write> second: array<f32>;

#import grid

@compute @workgroup_size(256)
fn main(
    @builtin(workgroup_id) group: vec3<u32>,
    @builtin(num_workgroups) grid: vec3<u32>,
    @builtin(local_invocation_index) lane: u32,
) {
    let i = element(group, grid, lane);
    if i == NO_WORK {
        return;
    }
    let before = value[i];
    let g = fma(p.l2, before, gradient[i]);
    let m = first[i] + (g - first[i]) * (1.0 - p.beta1);
    let v = p.beta2 * second[i] + (1.0 - p.beta2) * g * g;
    first[i] = m;
    second[i] = v;
    value[i] = before * p.keep - p.step_size * (m / (sqrt(v) * p.root_scale + p.eps));
}
