// Backward of norm.wgsl, one group of columns of one row per workgroup. With n the normalised values and g = dy gamma:
// dx = (g - mean(g) - n mean(g n)) / deviation, without the mean of g if there is no CENTER. With PRODUCT, also
// dy n, whose column sums are the gradient at gamma. Mean and deviation are computed again.
struct Parameters { base: u32, groups: u32, width: u32, parts: u32, eps: f32 }
@group(0) @binding(0) var<uniform> p: Parameters;
@group(0) @binding(1) var<storage, read> dy: array<f32>;
@group(0) @binding(2) var<storage, read> x: array<f32>;
@group(0) @binding(3) var<storage, read> gamma: array<f32>;
@group(0) @binding(4) var<storage, read_write> dx: array<f32>;
#if RESIDUAL
@group(0) @binding(5) var<storage, read> residual: array<f32>;
#if PRODUCT
@group(0) @binding(6) var<storage, read_write> product: array<f32>;
#end
#else
#if PRODUCT
@group(0) @binding(5) var<storage, read_write> product: array<f32>;
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
    let count = f32(p.width);
    let found = statistics(lane, start);
    let mean = found.mean;
    let scale = found.scale;
    var slopes = 0.0;
    var aligned = 0.0;
    for (var column = lane; column < p.width; column += 64u) {
        let slope = dy[start + column] * gamma[first + column];
        slopes += slope;
        aligned = fma(slope, (input(start + column) - mean) * scale, aligned);
    }
#if CENTER
    let mean_slope = workgroup_sum(lane, slopes) / count;
#else
    let mean_slope = 0.0;
#end
    let mean_aligned = workgroup_sum(lane, aligned) / count;
    for (var column = lane; column < p.width; column += 64u) {
        let at = start + column;
        let normed = (input(at) - mean) * scale;
        let slope = dy[at] * gamma[first + column];
        dx[at] = ((slope - mean_slope) - normed * mean_aligned) * scale;
#if PRODUCT
        product[at] = dy[at] * normed;
#end
    }
}
