// Each item is a block of rows of y, their segment, and the divisor of the segment's gradient, or 0 for rows that get none.
// One invocation an item and column; neighbours write neighbours.
struct Parameters {
    base: u32, groups: u32, count: u32, columns: u32, first_item: u32, first_row: u32, first_segment: u32,
}
@group(0) @binding(0) var<uniform> p: Parameters;
@group(0) @binding(1) var<storage, read> gradient: array<f32>;
@group(0) @binding(2) var<storage, read> items: array<vec4<u32>>;
@group(0) @binding(3) var<storage, read_write> y: array<f32>;

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
    let item = items[p.first_item + i / p.columns];
    let column = i % p.columns;
    var share = 0.0;
    if item.w != 0u {
        share = gradient[(item.z - p.first_segment) * p.columns + column] / f32(item.w);
    }
    for (var row = item.x; row < item.y; row++) {
        y[(row - p.first_row) * p.columns + column] = share;
    }
}
