// y = a b. KIND: 0 b has the shape of a, 1 one factor a column, 2 one factor a row.
struct Parameters { base: u32, groups: u32, count: u32, columns: u32 }
@group(0) @binding(0) var<uniform> p: Parameters;
@group(0) @binding(1) var<storage, read> a: array<f32>;
@group(0) @binding(2) var<storage, read> b: array<f32>;
@group(0) @binding(3) var<storage, read_write> y: array<f32>;

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
    y[i] = a[i] * b[i];
#end
#if KIND == 1
    y[i] = a[i] * b[i % p.columns];
#end
#if KIND == 2
    y[i] = a[i] * b[i / p.columns];
#end
}
