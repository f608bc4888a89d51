// For each row and head: the logarithm that the forward pass of attention saved, and the product of the result of the head
// with its gradient.
struct Parameters { base: u32, groups: u32, count: u32, head_width: u32 }
@group(0) @binding(0) var<uniform> p: Parameters;
@group(0) @binding(1) var<storage, read> y: array<f32>;
@group(0) @binding(2) var<storage, read> g: array<f32>;
@group(0) @binding(3) var<storage, read> lse: array<f32>;
@group(0) @binding(4) var<storage, read_write> stats: array<vec2<f32>>;

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
    var sum = 0.0;
    for (var at = i * p.head_width; at < (i + 1u) * p.head_width; at++) {
        sum = fma(y[at], g[at], sum);
    }
    stats[i] = vec2<f32>(lse[i], sum);
}
