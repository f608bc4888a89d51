// Of every row and head: the largest projection, how often it occurs, the exponent's share of the square of the vector,
// and the offset of the exponents of a query (minus both). A workgroup each.
struct Parameters { base: u32, groups: u32, features: u32, head_width: u32, offset: u32, half_scale: f32, lowest: f32 }
@group(0) @binding(0) var<uniform> p: Parameters;
@group(0) @binding(1) var<storage, read> projected: array<f32>;
@group(0) @binding(2) var<storage, read> z: array<f32>;
@group(0) @binding(3) var<storage, read_write> statistics: array<vec4<f32>>;

#import workgroup_max
#import workgroup_number

@compute @workgroup_size(64)
fn main(
    @builtin(workgroup_id) group: vec3<u32>,
    @builtin(num_workgroups) grid: vec3<u32>,
    @builtin(local_invocation_index) lane: u32,
) {
    let index = workgroup_number(group, grid);
    if index == NO_WORK {
        return;
    }
    let at = index * p.features;
    var highest = p.lowest;
    for (var feature = lane; feature < p.features; feature += 64u) {
        let value = projected[at + feature];
        highest = select(highest, value, value > highest);
    }
    let largest = workgroup_max(lane, highest);
    var equal = 0.0;
    for (var feature = lane; feature < p.features; feature += 64u) {
        equal += select(0.0, 1.0, projected[at + feature] == largest);
    }
    let ties = workgroup_sum(lane, equal);
    var squares = 0.0;
    for (var column = lane; column < p.head_width; column += 64u) {
        let value = z[p.offset + index * p.head_width + column];
        squares = fma(value, value, squares);
    }
    let square = p.half_scale * workgroup_sum(lane, squares);
    if lane == 0u {
        statistics[index] = vec4<f32>(largest, ties, square, -(square + largest));
    }
}
