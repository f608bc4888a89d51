// One step of Adagrad, in place.
struct Parameters { base: u32, groups: u32, count: u32, rate: f32, l2: f32, eps: f32 }
@group(0) @binding(0) var<uniform> p: Parameters;
@group(0) @binding(1) var<storage, read> gradient: array<f32>;
@group(0) @binding(2) var<storage, read_write> value: array<f32>;
@group(0) @binding(3) var<storage, read_write> squares: array<f32>;

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
    let sum = fma(g, g, squares[i]);
    squares[i] = sum;
    value[i] = before - p.rate * (g / (sqrt(sum) + p.eps));
}
