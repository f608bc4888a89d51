// y[i] = (x[i] - shift[rows[i]]) / scale[rows[i]] from i = first on: values of rows relative to values of their segments,
// of which those from `first_segment` on are bound.
struct Parameters { base: u32, groups: u32, count: u32, first: u32, first_segment: u32 }
@group(0) @binding(0) var<uniform> p: Parameters;
@group(0) @binding(1) var<storage, read> x: array<f32>;
@group(0) @binding(2) var<storage, read> scale: array<f32>;
@group(0) @binding(3) var<storage, read> rows: array<u32>;
@group(0) @binding(4) var<storage, read_write> y: array<f32>;
#if SHIFT
@group(0) @binding(5) var<storage, read> shift: array<f32>;
#end

#import grid

@compute @workgroup_size(256)
fn main(
    @builtin(workgroup_id) group: vec3<u32>,
    @builtin(num_workgroups) grid: vec3<u32>,
    @builtin(local_invocation_index) lane: u32,
) {
    let number = element(group, grid, lane);
    if number == NO_WORK {
        return;
    }
    let i = p.first + number;
    let row = rows[i] - p.first_segment;
#if SHIFT
    y[i] = (x[i] - shift[row]) / scale[row];
#else
    y[i] = x[i] / scale[row];
#end
}
