// Value i of y is the dot product of row i of a with row i of b: one workgroup a row, 64 strided partial sums joined in
// a fixed tree.
struct Parameters { base: u32, groups: u32, columns: u32 }
@group(0) @binding(0) var<uniform> p: Parameters;
@group(0) @binding(1) var<storage, read> a: array<f32>;
@group(0) @binding(2) var<storage, read> b: array<f32>;
@group(0) @binding(3) var<storage, read_write> y: array<f32>;

#import workgroup_sum
#import workgroup_number

@compute @workgroup_size(64)
fn main(
    @builtin(workgroup_id) group: vec3<u32>,
    @builtin(num_workgroups) grid: vec3<u32>,
    @builtin(local_invocation_index) lane: u32,
) {
    let row = workgroup_number(group, grid);
    if row == NO_WORK {
        return;
    }
    var sum = 0.0;
    for (var column = lane; column < p.columns; column += 64u) {
        let at = row * p.columns + column;
        sum = fma(a[at], b[at], sum);
    }
    let total = workgroup_sum(lane, sum);
    if lane == 0u {
        y[row] = total;
    }
}
