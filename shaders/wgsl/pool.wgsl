// One row of y per segment of x. KIND: 0 mean, 1 first row, 2 largest value. One invocation a value.
struct Parameters { base: u32, groups: u32, count: u32, columns: u32, skip_first: u32, skip_last: u32, none: f32 }
@group(0) @binding(0) var<uniform> p: Parameters;
@group(0) @binding(1) var<storage, read> x: array<f32>;
@group(0) @binding(2) var<storage, read> offsets: array<u32>;
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
    let segment = i / p.columns;
    let column = i % p.columns;
    var first = offsets[segment];
    var end = offsets[segment + 1u];
#if KIND == 0
    // Written so that nothing wraps below zero.
    let kept = end - first;
    let skipped = p.skip_first + p.skip_last;
    if kept <= skipped {
        y[i] = p.none;
        return;
    }
    first += p.skip_first;
    end -= p.skip_last;
    var total = 0.0;
    for (var block = first; block < end; block += 32u) {
        var partial = 0.0;
        let stop = min(block + 32u, end);
        for (var row = block; row < stop; row++) {
            partial += x[row * p.columns + column];
        }
        total += partial;
    }
    y[i] = total / f32(end - first);
#else
    if first == end {
        y[i] = p.none;
        return;
    }
    var best = x[first * p.columns + column];
#if KIND == 2
    for (var row = first + 1u; row < end; row++) {
        let value = x[row * p.columns + column];
        let best_is_number = (bitcast<u32>(best) & 0x7fffffffu) <= 0x7f800000u;
        let value_is_number = (bitcast<u32>(value) & 0x7fffffffu) <= 0x7f800000u;
        best = select(best, value, best_is_number && (value > best || !value_is_number));
    }
#end
    y[i] = best;
#end
}
