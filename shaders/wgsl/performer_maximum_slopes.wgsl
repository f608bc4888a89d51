// The gradient at the largest key projection of a segment: eps times the sum over heads, features and columns of the
// gradients at the sums over the keys, times the sums of the values. A workgroup a segment.
struct Parameters {
    base: u32, groups: u32, heads: u32, features: u32, columns: u32, first_segment: u32, shift: f32,
}
@group(0) @binding(0) var<uniform> p: Parameters;
@group(0) @binding(1) var<storage, read> slopes: array<f32>;
@group(0) @binding(2) var<storage, read> sums: array<f32>;
@group(0) @binding(3) var<storage, read> offsets: array<u32>;
@group(0) @binding(4) var<storage, read_write> totals: array<f32>;

#import workgroup_sum
#import workgroup_number

@compute @workgroup_size(64)
fn main(
    @builtin(workgroup_id) group: vec3<u32>,
    @builtin(num_workgroups) grid: vec3<u32>,
    @builtin(local_invocation_index) lane: u32,
) {
    let segment = workgroup_number(group, grid);
    if segment == NO_WORK {
        return;
    }
    // Nothing was summed for a segment without rows.
    let heads = select(p.heads, 0u, offsets[p.first_segment + segment] == offsets[p.first_segment + segment + 1u]);
    var sum = 0.0;
    for (var head = 0u; head < heads; head++) {
        let origin = (segment * p.heads + head) * p.features * p.columns;
        let values = ((segment * p.heads + head + 1u) * (p.features + 1u) - 1u) * p.columns;
        for (var i = lane; i < p.features * p.columns; i += 64u) {
            sum = fma(slopes[origin + i], sums[values + i % p.columns], sum);
        }
    }
    let total = workgroup_sum(lane, sum);
    if lane == 0u {
        totals[p.first_segment + segment] = p.shift * total;
    }
}
