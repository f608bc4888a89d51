// dx = dy where the rectifier let the value through, else 0.
struct Parameters { base: u32, groups: u32, count: u32 }
@group(0) @binding(0) var<uniform> p: Parameters;
@group(0) @binding(1) var<storage, read> dy: array<f32>;
@group(0) @binding(2) var<storage, read> y: array<f32>;
@group(0) @binding(3) var<storage, read_write> dx: array<f32>;

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
    dx[i] = select(dy[i], 0.0, y[i] <= 0.0);
}
