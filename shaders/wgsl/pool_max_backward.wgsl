// Backward pass of the largest value: each item is a block of rows, their segment, and the first item of that segment (or
// SKIPPED for rows that are not pooled). MARK 1: whether the block holds the value, as 1 or 0. MARK 0: the gradient at the
// rows; it goes to the first row that has the value, in the first block that is marked. One invocation an item and column.
struct Parameters {
    base: u32, groups: u32, count: u32, columns: u32,
    first_item: u32, first_listed: u32, first_row: u32, first_segment: u32, first_mark: u32,
}
@group(0) @binding(0) var<uniform> p: Parameters;
@group(0) @binding(1) var<storage, read> x: array<f32>;
@group(0) @binding(2) var<storage, read> items: array<vec4<u32>>;
@group(0) @binding(3) var<storage, read> pooled: array<f32>;
#if MARK
@group(0) @binding(4) var<storage, read_write> marks: array<f32>;
#else
@group(0) @binding(4) var<storage, read> marks: array<f32>;
@group(0) @binding(5) var<storage, read> gradient: array<f32>;
@group(0) @binding(6) var<storage, read_write> y: array<f32>;
#end

const SKIPPED: u32 = 0xffffffffu;

#import grid

fn is_number(value: f32) -> bool {
    return (bitcast<u32>(value) & 0x7fffffffu) <= 0x7f800000u;
}

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
    let number = p.first_item + i / p.columns;
    let column = i % p.columns;
    let item = items[number - p.first_listed];
    let segment = (item.z - p.first_segment) * p.columns + column;
    let largest = pooled[segment];
#if MARK
    var mark = 0.0;
    for (var row = item.x; row < item.y; row++) {
        let value = x[(row - p.first_row) * p.columns + column];
        if value == largest || !(is_number(value) || is_number(largest)) {
            mark = 1.0;
        }
    }
    marks[(number - p.first_mark) * p.columns + column] = mark;
#else
    var open = item.w != SKIPPED;
    if open {
        for (var before = item.w; before < number; before++) {
            open = open && marks[(before - p.first_mark) * p.columns + column] == 0.0;
        }
    }
    let slope = gradient[segment];
    for (var row = item.x; row < item.y; row++) {
        let at = (row - p.first_row) * p.columns + column;
        let value = x[at];
        let here = open && (value == largest || !(is_number(value) || is_number(largest)));
        y[at] = select(0.0, slope, here);
        open = open && !here;
    }
#end
}
