// Gradients at the numerators and the denominator of every row and head, from the gradient at their quotient. A workgroup
// each.
struct Parameters {
    base: u32, groups: u32, head_width: u32, offset: u32, denominator_offset: u32, least: f32, added: f32,
}
@group(0) @binding(0) var<uniform> p: Parameters;
@group(0) @binding(1) var<storage, read> gradient: array<f32>;
@group(0) @binding(2) var<storage, read> result: array<f32>;
@group(0) @binding(3) var<storage, read> denominators: array<f32>;
@group(0) @binding(4) var<storage, read_write> slopes: array<f32>;

#import workgroup_sum
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
    let at = p.offset + index * p.head_width;
    let to = index * (p.head_width + 1u);
    let total = denominators[p.denominator_offset + index];
    let divisor = select(total, p.least, total < p.least) + p.added;
    var products = 0.0;
    for (var column = lane; column < p.head_width; column += 64u) {
        products = fma(gradient[at + column], result[at + column], products);
        slopes[to + column] = gradient[at + column] / divisor;
    }
    let product = workgroup_sum(lane, products);
    if lane == 0u {
        slopes[to + p.head_width] = select(-product / divisor, 0.0, total < p.least);
    }
}
