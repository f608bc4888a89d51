// Softmax of one row per workgroup. A NaN is skipped by the maximum and comes out of the exponentials; a row of -inf has
// no finite maximum and becomes NaN.
struct Parameters { base: u32, groups: u32, columns: u32 }
@group(0) @binding(0) var<uniform> p: Parameters;
@group(0) @binding(1) var<storage, read> x: array<f32>;
@group(0) @binding(2) var<storage, read_write> y: array<f32>;

#import workgroup_max
#import workgroup_number

@compute @workgroup_size(64)
fn main(
    @builtin(workgroup_id) group: vec3<u32>,
    @builtin(num_workgroups) grid: vec3<u32>,
    @builtin(local_invocation_index) lane: u32,
) {
    let number = workgroup_number(group, grid);
    if number == NO_WORK {
        return;
    }
    let start = number * p.columns;
    var largest = x[start];
    for (var column = lane; column < p.columns; column += 64u) {
        let value = x[start + column];
        largest = select(largest, value, value > largest);
    }
    largest = workgroup_max(lane, largest);
    var total = 0.0;
    for (var column = lane; column < p.columns; column += 64u) {
        let weight = exp(x[start + column] - largest);
        y[start + column] = weight;
        total += weight;
    }
    total = workgroup_sum(lane, total);
    for (var column = lane; column < p.columns; column += 64u) {
        y[start + column] /= total;
    }
}
