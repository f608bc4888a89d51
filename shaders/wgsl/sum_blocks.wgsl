// Row i of y, whose values begin at `to`, is the sum, in order, of `block` rows of x from row i * block on (SQUARE: of their
// squares). Values of x are at `start` to `end` of what is bound; the last row may be incomplete. Rows of a block that do
// not fit into one launch are added to what y holds. One invocation a value; neighbours read neighbours.
struct Parameters {
    base: u32, groups: u32, count: u32, columns: u32, block: u32, start: u32, end: u32, to: u32,
    continued: u32,
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
    let first = p.start + (i / p.columns) * p.block * p.columns + i % p.columns;
    let end = min(first + p.block * p.columns, p.end);
    var sum = 0.0;
    if p.continued != 0u {
        sum = y[p.to + i];
    }
    for (var at = first; at < end; at += p.columns) {
#if SQUARE
        sum = fma(x[at], x[at], sum);
#else
        sum += x[at];
#end
    }
    y[p.to + i] = sum;
}
