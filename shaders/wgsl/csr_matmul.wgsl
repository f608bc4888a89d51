// Rows of a sparse matrix times a window of the rows of a dense one. Each item is a range of non-zeros; a range with a third
// number of 0 gives not a number. Sums go by blocks of `block` non-zeros; what lies outside of the window is skipped, and
// windows after the first add to y. One invocation for VECTOR neighbouring columns of an item; neighbours read neighbours.
struct Parameters {
    base: u32, groups: u32, count: u32, columns: u32,
    first_item: u32, first_nonzero: u32, first_row: u32, rows: u32, block: u32, window: u32, none: f32,
}
#if VECTOR == 4
alias Value = vec4<f32>;
#else
alias Value = f32;
#end
@group(0) @binding(0) var<uniform> p: Parameters;
@group(0) @binding(1) var<storage, read> values: array<f32>;
@group(0) @binding(2) var<storage, read> indices: array<u32>;
@group(0) @binding(3) var<storage, read> items: array<vec4<u32>>;
@group(0) @binding(4) var<storage, read> dense: array<Value>;
@group(0) @binding(5) var<storage, read_write> y: array<Value>;

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
    let number = p.first_item + i / p.columns;
    let column = i % p.columns;
    let item = items[number];
    let at = number * p.columns + column;
    if item.z == 0u {
        y[at] = Value(p.none);
        return;
    }
    var total = Value(0.0);
    let end = item.y - p.first_nonzero;
    for (var block = item.x - p.first_nonzero; block < end; block += p.block) {
        var partial = Value(0.0);
        let stop = min(block + p.block, end);
        for (var k = block; k < stop; k++) {
            // Rows before the window wrap to large numbers.
            let row = indices[k] - p.first_row;
            if row < p.rows {
                partial = fma(Value(values[k]), dense[row * p.columns + column], partial);
            }
        }
        total += partial;
    }
    if p.window != 0u {
        total += y[at];
    }
    y[at] = total;
}
