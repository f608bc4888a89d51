// Rescales sums over exponentials of keys to the maximum of their segment and adds the part of the constant: eps times the
// sum of the values, which is row `features`. One invocation a value.
struct Parameters {
    base: u32, groups: u32, count: u32, heads: u32, length: u32, columns: u32, features: u32,
    first_segment: u32, stride: u32, shift: f32, lowest: f32,
}
@group(0) @binding(0) var<uniform> p: Parameters;
@group(0) @binding(1) var<storage, read> references: array<vec2<f32>>;
@group(0) @binding(2) var<storage, read> offsets: array<u32>;
@group(0) @binding(3) var<storage, read> maxima: array<vec2<f32>>;
@group(0) @binding(4) var<storage, read_write> sums: array<f32>;

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
    let at = i % p.length;
    if at / p.columns == p.features {
        return;
    }
    let head = (i / p.length) % p.heads;
    let segment = p.first_segment + i / (p.length * p.heads);
    let start = offsets[segment];
    let end = offsets[segment + 1u];
    if start == end {
        return;
    }
    var largest = p.lowest;
    for (var block = start; block < end; block++) {
        let reference = references[block * p.heads + head].x;
        largest = select(largest, reference, reference > largest);
    }
    let maximum = maxima[segment * p.stride].x;
    let factor = select(exp(largest - maximum), 1.0, largest == maximum);
    let plain = sums[i - at + p.features * p.columns + at % p.columns];
    sums[i] = fma(sums[i], factor, p.shift * plain);
}
