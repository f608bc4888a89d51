// The largest key projection of a range of blocks of rows, over all heads, and how often it occurs. A workgroup a range.
struct Parameters { base: u32, groups: u32, heads: u32, lowest: f32 }
@group(0) @binding(0) var<uniform> p: Parameters;
@group(0) @binding(1) var<storage, read> references: array<vec2<f32>>;
@group(0) @binding(2) var<storage, read> offsets: array<u32>;
@group(0) @binding(3) var<storage, read_write> maxima: array<vec2<f32>>;

#import workgroup_max
#import workgroup_number

@compute @workgroup_size(64)
fn main(
    @builtin(workgroup_id) group: vec3<u32>,
    @builtin(num_workgroups) grid: vec3<u32>,
    @builtin(local_invocation_index) lane: u32,
) {
    let range = workgroup_number(group, grid);
    if range == NO_WORK {
        return;
    }
    let first = offsets[range] * p.heads;
    let end = offsets[range + 1u] * p.heads;
    var highest = p.lowest;
    for (var i = first + lane; i < end; i += 64u) {
        highest = select(highest, references[i].x, references[i].x > highest);
    }
    let largest = workgroup_max(lane, highest);
    var equal = 0.0;
    for (var i = first + lane; i < end; i += 64u) {
        equal += select(0.0, references[i].y, references[i].x == largest);
    }
    let ties = workgroup_sum(lane, equal);
    if lane == 0u {
        maxima[range] = vec2<f32>(largest, ties);
    }
}
