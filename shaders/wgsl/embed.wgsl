// Row i of y is row ids[first_id + i] of the table. One invocation a value; neighbours read neighbours. The table may be
// a window of rows: ids of other rows are left to launches with the other windows.
struct Parameters {
    base: u32, groups: u32,
    count: u32, columns: u32, first_id: u32,
    // Rows of the window.
    first_row: u32, rows: u32,
}
@group(0) @binding(0) var<uniform> p: Parameters;
#if ELEMENT
@group(0) @binding(1) var<storage, read> table: array<u32>;
#else
@group(0) @binding(1) var<storage, read> table: array<f32>;
#end
@group(0) @binding(2) var<storage, read> ids: array<u32>;
@group(0) @binding(3) var<storage, read_write> y: array<f32>;

#import grid
#if ELEMENT
#import half
#end

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
    // Ids below the window wrap around to large numbers.
    let row = ids[p.first_id + i / p.columns] - p.first_row;
    if row >= p.rows {
        return;
    }
    let at = row * p.columns + i % p.columns;
#if ELEMENT
    y[i] = widen(table[at / 2u] >> (at % 2u * 16u));
#else
    y[i] = table[at];
#end
}
