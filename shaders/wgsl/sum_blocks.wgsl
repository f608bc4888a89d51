// Row i of y is the sum, in order, of `block` rows of x from row i * block on. One invocation a value.
struct Parameters { base: u32, groups: u32, count: u32, rows: u32, columns: u32, block: u32 }
@group(0) @binding(0) var<uniform> p: Parameters;
@group(0) @binding(1) var<storage, read> x: array<f32>;
@group(0) @binding(2) var<storage, read_write> y: array<f32>;

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
    let first = (i / p.columns) * p.block;
    let end = min(first + p.block, p.rows);
    let column = i % p.columns;
    var sum = 0.0;
    for (var row = first; row < end; row++) {
        sum += x[row * p.columns + column];
    }
    y[i] = sum;
}
