// One row of y for each item: a range of rows of x, and the divisor of their sum (MAX 0) or 0 for nothing to pool (both).
// Sums go by blocks of `block` rows. One invocation a value; neighbours read neighbours.
struct Parameters {
    base: u32, groups: u32, count: u32, columns: u32,
    first_item: u32, first_row: u32, block: u32, none: f32,
}
@group(0) @binding(0) var<uniform> p: Parameters;
@group(0) @binding(1) var<storage, read> x: array<f32>;
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
    let number = p.first_item + i / p.columns;
    let column = i % p.columns;
    let item = items[number];
    let at = number * p.columns + column;
    if item.z == 0u {
        y[at] = p.none;
        return;
    }
    let first = item.x - p.first_row;
    let end = item.y - p.first_row;
#if MAX
    var best = x[first * p.columns + column];
    for (var row = first + 1u; row < end; row++) {
        let value = x[row * p.columns + column];
        let best_is_number = (bitcast<u32>(best) & 0x7fffffffu) <= 0x7f800000u;
        let value_is_number = (bitcast<u32>(value) & 0x7fffffffu) <= 0x7f800000u;
        best = select(best, value, best_is_number && (value > best || !value_is_number));
    }
    y[at] = best;
#else
    var total = 0.0;
    for (var block = first; block < end; block += p.block) {
        var partial = 0.0;
        let stop = min(block + p.block, end);
        for (var row = block; row < stop; row++) {
            partial += x[row * p.columns + column];
        }
        total += partial;
    }
    // Divisions need not be exact: what is divided by one is left alone, so that cutting a range changes no bit.
    if item.z != 1u {
        total /= f32(item.z);
    }
    y[at] = total;
#end
}
