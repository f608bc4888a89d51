// Offsets of the exponents of keys, one workgroup for each item and head. GIVEN: against the maximum of the segment, with
// the gradient that flows to each projection that equals it. Otherwise against the largest projection of the
// item's rows, which is kept with its number of occurrences.
struct Parameters {
    base: u32, groups: u32, heads: u32, first_item: u32, first_segment: u32, stride: u32, segments: u32, lowest: f32,
}
@group(0) @binding(0) var<uniform> p: Parameters;
@group(0) @binding(1) var<storage, read> items: array<vec4<u32>>;
@group(0) @binding(2) var<storage, read_write> statistics: array<vec4<f32>>;
#if GIVEN
@group(0) @binding(3) var<storage, read> maxima: array<vec2<f32>>;
@group(0) @binding(4) var<storage, read> slopes: array<f32>;
#else
@group(0) @binding(3) var<storage, read_write> references: array<vec2<f32>>;

#import workgroup_max
#end

#import workgroup_number

@compute @workgroup_size(64)
fn main(
    @builtin(workgroup_id) group: vec3<u32>,
    @builtin(num_workgroups) grid: vec3<u32>,
    @builtin(local_invocation_index) lane: u32,
) {
    let number = workgroup_number(group, grid);
    if number == NO_WORK {
        return;
    }
    let head = number % p.heads;
    let item = items[number / p.heads];
#if GIVEN
    let segment = p.first_segment + item.z;
    let maximum = maxima[segment * p.stride];
    var slope = 0.0;
    if p.stride == 1u {
        slope = slopes[segment];
    } else {
        for (var i = 0u; i < p.segments; i++) {
            slope += slopes[i];
        }
    }
    slope /= maximum.y;
    for (var row = lane; row < item.y; row += 64u) {
        let index = (item.x + row) * p.heads + head;
        let square = statistics[index].z;
        statistics[index] = vec4<f32>(maximum.x, slope, square, -(square + maximum.x));
    }
#else
    var highest = p.lowest;
    for (var row = lane; row < item.y; row += 64u) {
        let value = statistics[(item.x + row) * p.heads + head].x;
        highest = select(highest, value, value > highest);
    }
    let largest = workgroup_max(lane, highest);
    var equal = 0.0;
    for (var row = lane; row < item.y; row += 64u) {
        let index = (item.x + row) * p.heads + head;
        let found = statistics[index];
        equal += select(0.0, found.y, found.x == largest);
        statistics[index].w = -(found.z + largest);
    }
    let ties = workgroup_sum(lane, equal);
    if lane == 0u {
        references[(p.first_item + item.w) * p.heads + head] = vec2<f32>(largest, ties);
    }
#end
}
