// Layer normalisation of one row per workgroup: mean, then variance around it, then scale and shift. With RESIDUAL, x
// and the residual are added first. Sums are 64 strided partial sums joined in a fixed tree.
struct Parameters { base: u32, groups: u32, columns: u32, eps: f32 }
@group(0) @binding(0) var<uniform> p: Parameters;
@group(0) @binding(1) var<storage, read> x: array<f32>;
@group(0) @binding(2) var<storage, read> gamma: array<f32>;
@group(0) @binding(3) var<storage, read> beta: array<f32>;
@group(0) @binding(4) var<storage, read_write> y: array<f32>;
#if RESIDUAL
@group(0) @binding(5) var<storage, read> residual: array<f32>;
#end

var<workgroup> partial: array<f32, 64>;

fn workgroup_sum(lane: u32, value: f32) -> f32 {
    partial[lane] = value;
    workgroupBarrier();
#repeat step 6
    if lane < (32u >> ${step}u) {
        partial[lane] += partial[lane + (32u >> ${step}u)];
    }
    workgroupBarrier();
#end
    let sum = partial[0];
    workgroupBarrier();
    return sum;
}

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
    let start = (p.base + number) * p.columns;
    var sum = 0.0;
    for (var column = lane; column < p.columns; column += 64u) {
        sum += input(start + column);
    }
    let mean = workgroup_sum(lane, sum) / f32(p.columns);
    var squares = 0.0;
    for (var column = lane; column < p.columns; column += 64u) {
        let distance = input(start + column) - mean;
        squares = fma(distance, distance, squares);
    }
    let variance = workgroup_sum(lane, squares) / f32(p.columns);
    let scale = 1.0 / sqrt(variance + p.eps);
    for (var column = lane; column < p.columns; column += 64u) {
        let at = start + column;
        y[at] = fma((input(at) - mean) * scale, gamma[column], beta[column]);
    }
}
