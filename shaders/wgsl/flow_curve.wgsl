// KIND: 0 y = 1 / x, 1 y = e^x of x clamped to -1 to 1; with BACKWARD, the derivative times a gradient.
struct Parameters { base: u32, groups: u32, count: u32 }
@group(0) @binding(0) var<uniform> p: Parameters;
@group(0) @binding(1) var<storage, read> x: array<f32>;
#if BACKWARD
@group(0) @binding(2) var<storage, read> gradient: array<f32>;
@group(0) @binding(3) var<storage, read_write> y: array<f32>;
#else
@group(0) @binding(2) var<storage, read_write> y: array<f32>;
#end

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
#if KIND == 0
    let value = 1.0 / x[i];
#if BACKWARD
    y[i] = -gradient[i] * value * value;
#else
    y[i] = value;
#end
#else
    let low = select(x[i], 1.0, x[i] > 1.0);
    let value = exp(select(low, -1.0, low < -1.0));
#if BACKWARD
    y[i] = select(gradient[i] * value, 0.0, abs(x[i]) > 1.0);
#else
    y[i] = value;
#end
#end
}
