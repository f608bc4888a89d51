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

#import norm_statistics
#import workgroup_number

@compute @workgroup_size(64)
fn main(
    @builtin(workgroup_id) group: vec3<u32>,
    @builtin(num_workgroups) grid: vec3<u32>,
    @builtin(local_invocation_index) lane: u32,
) {
    let part = workgroup_number(group, grid);
    if part == NO_WORK {
        return;
    }
    let start = part * p.width;
    let first = (part % p.parts) * p.width;
    let found = statistics(lane, start);
    let mean = found.mean;
    let scale = found.scale;
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
