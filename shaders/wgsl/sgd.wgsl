// One step of gradient descent with momentum, in place.
struct Parameters { base: u32, groups: u32, count: u32, lr: f32, momentum: f32, l2: f32 }
@group(0) @binding(0) var<uniform> p: Parameters;
@group(0) @binding(1) var<storage, read> gradient: array<f32>;
@group(0) @binding(2) var<storage, read_write> value: array<f32>;
@group(0) @binding(3) var<storage, read_write> velocity: array<f32>;

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
    let v = p.momentum * velocity[i] + fma(p.l2, value[i], gradient[i]);
    velocity[i] = v;
    value[i] -= p.lr * v;
}
