// Row i of y is the sum, in order, of the rows of x that list i names: entries offsets[i] to offsets[i + 1] of `order`, or
// those rows themselves. One invocation a value. x may be a window of rows: launches with the windows in order add
// up to the same chain of additions as one launch with all rows.
struct Parameters {
    base: u32, groups: u32,
    count: u32, columns: u32,
    // The first list in `offsets` and in y, and the number of the first entry of `order`: what is bound may begin earlier
    // or later.
    first_list: u32, first_out: u32, first_entry: u32,
    // Rows of the window of x.
    first_row: u32, rows: u32,
    // Whether the sums of earlier windows are in y.
    continued: u32,
}
@group(0) @binding(0) var<uniform> p: Parameters;
@group(0) @binding(1) var<storage, read> x: array<f32>;
@group(0) @binding(2) var<storage, read> offsets: array<u32>;
@group(0) @binding(3) var<storage, read_write> y: array<f32>;
#if ORDER
@group(0) @binding(4) var<storage, read> order: array<u32>;
#end

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
    let list = p.first_list + i / p.columns;
    let column = i % p.columns;
    let to = p.first_out * p.columns + i;
    var sum = 0.0;
    if p.continued != 0u {
        sum = y[to];
    }
    let end = offsets[list + 1u];
    for (var at = offsets[list]; at < end; at++) {
#if ORDER
        let row = order[at - p.first_entry] - p.first_row;
#else
        let row = at - p.first_row;
#end
        if row < p.rows {
            sum += x[row * p.columns + column];
        }
    }
    y[to] = sum;
}
