// Normalisation of one group of columns of one row per workgroup, then scale and shift. With CENTER, the mean is taken
// off first (layer and group norm); without, only the root of the mean square counts (RMS norm), and there is no shift.
// With RESIDUAL, x and the residual are added first. Sums are 64 strided partial sums joined in a fixed tree.
struct Parameters { base: u32, groups: u32, width: u32, parts: u32, eps: f32 }
@group(0) @binding(0) var<uniform> p: Parameters;
@group(0) @binding(1) var<storage, read> x: array<f32>;
@group(0) @binding(2) var<storage, read> gamma: array<f32>;
@group(0) @binding(3) var<storage, read_write> y: array<f32>;
#if RESIDUAL
@group(0) @binding(4) var<storage, read> residual: array<f32>;
#if CENTER
@group(0) @binding(5) var<storage, read> beta: array<f32>;
#end
#else
#if CENTER
@group(0) @binding(4) var<storage, read> beta: array<f32>;
#end
#end

#import workgroup_sum

fn input(at: u32) -> f32 {
#if RESIDUAL
    return x[at] + residual[at];
#else
    return x[at];
#end
}

@compute @workgroup_size(64)
fn main(
    @builtin(workgroup_id) group: vec3<u32>,
    @builtin(num_workgroups) grid: vec3<u32>,
    @builtin(local_invocation_index) lane: u32,
) {
    let number = group.y * grid.x + group.x;
    if number >= p.groups {
        return;
    }
    let part = p.base + number;
    let start = part * p.width;
    let first = (part % p.parts) * p.width;
#if CENTER
    var sum = 0.0;
    for (var column = lane; column < p.width; column += 64u) {
        sum += input(start + column);
    }
    let mean = workgroup_sum(lane, sum) / f32(p.width);
#else
    let mean = 0.0;
#end
    var squares = 0.0;
    for (var column = lane; column < p.width; column += 64u) {
        let distance = input(start + column) - mean;
        squares = fma(distance, distance, squares);
    }
    let variance = workgroup_sum(lane, squares) / f32(p.width);
    let scale = 1.0 / sqrt(variance + p.eps);
    for (var column = lane; column < p.width; column += 64u) {
        let at = start + column;
        let normed = (input(at) - mean) * scale;
#if CENTER
        y[at] = fma(normed, gamma[first + column], beta[first + column]);
#else
        y[at] = normed * gamma[first + column];
#end
    }
}
