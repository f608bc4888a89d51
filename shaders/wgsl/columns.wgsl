// Columns `first` on of y, `width` of them, are columns of x: that number `shift` goes first. 0 where x has no such column.
// One invocation a value.
struct Parameters {
    base: u32, groups: u32, count: u32, width: u32, x_columns: u32, y_columns: u32, first: u32, shift: u32,
}
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
    let row = i / p.width;
    let column = i % p.width;
    let source = column + p.shift;
    var value = 0.0;
    if source < p.x_columns {
        value = x[row * p.x_columns + source];
    }
    y[row * p.y_columns + p.first + column] = value;
}
