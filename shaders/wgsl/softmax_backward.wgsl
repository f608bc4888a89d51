// dx = y (dy - sum of dy y), one row per workgroup.
struct Parameters { base: u32, groups: u32, columns: u32 }
@group(0) @binding(0) var<uniform> p: Parameters;
@group(0) @binding(1) var<storage, read> dy: array<f32>;
@group(0) @binding(2) var<storage, read> y: array<f32>;
@group(0) @binding(3) var<storage, read_write> dx: array<f32>;

#import workgroup_sum
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
    let start = number * p.columns;
    var sum = 0.0;
    for (var column = lane; column < p.columns; column += 64u) {
        sum = fma(dy[start + column], y[start + column], sum);
    }
    let shared_part = workgroup_sum(lane, sum);
    for (var column = lane; column < p.columns; column += 64u) {
        let at = start + column;
        dx[at] = y[at] * (dy[at] - shared_part);
    }
}
