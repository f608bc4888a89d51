// y[i] is the dot product of row rows[i] of `left` and row columns[i] of `right`, of which a window is seen: what lies
// outside is left alone. One workgroup a product.
struct Parameters {
    base: u32, groups: u32, width: u32, first_item: u32, first_left: u32, first_out: u32, first_right: u32, rights: u32,
}
@group(0) @binding(0) var<uniform> p: Parameters;
@group(0) @binding(1) var<storage, read> rows: array<u32>;
@group(0) @binding(2) var<storage, read> columns: array<u32>;
@group(0) @binding(3) var<storage, read> left: array<f32>;
@group(0) @binding(4) var<storage, read> right: array<f32>;
@group(0) @binding(5) var<storage, read_write> y: array<f32>;

#import workgroup_sum
#import workgroup_number

@compute @workgroup_size(64)
fn main(
    @builtin(workgroup_id) group: vec3<u32>,
    @builtin(num_workgroups) grid: vec3<u32>,
    @builtin(local_invocation_index) lane: u32,
) {
    let entry = workgroup_number(group, grid);
    if entry == NO_WORK {
        return;
    }
    let number = p.first_item + entry;
    let row = columns[number] - p.first_right;
    if row >= p.rights {
        return;
    }
    let a = (rows[number] - p.first_left) * p.width;
    let b = row * p.width;
    var sum = 0.0;
    for (var column = lane; column < p.width; column += 64u) {
        sum = fma(left[a + column], right[b + column], sum);
    }
    let total = workgroup_sum(lane, sum);
    if lane == 0u {
        y[number - p.first_out] = total;
    }
}
