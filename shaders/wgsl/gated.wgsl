// activation(gate) up and its backward passes. PART: 0 the result, 1 the gradient at the gate, 2 the gradient at up.
struct Parameters { base: u32, groups: u32, count: u32 }
@group(0) @binding(0) var<uniform> p: Parameters;
@group(0) @binding(1) var<storage, read> gate: array<f32>;
#if PART == 2
@group(0) @binding(2) var<storage, read> dy: array<f32>;
@group(0) @binding(3) var<storage, read_write> y: array<f32>;
#else
@group(0) @binding(2) var<storage, read> up: array<f32>;
#if PART == 1
@group(0) @binding(3) var<storage, read> dy: array<f32>;
@group(0) @binding(4) var<storage, read_write> y: array<f32>;
#else
@group(0) @binding(3) var<storage, read_write> y: array<f32>;
#end
#end

#import grid
#import activation_backward

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
#if PART == 0
    y[i] = activation(gate[i]) * up[i];
#end
#if PART == 1
#if FROM_RESULT
    y[i] = activation_backward(dy[i] * up[i], activation(gate[i]));
#else
    y[i] = activation_backward(dy[i] * up[i], gate[i]);
#end
#end
#if PART == 2
    y[i] = activation(gate[i]) * dy[i];
#end
}
