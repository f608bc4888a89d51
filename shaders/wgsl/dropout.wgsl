// y = x times 0 or the scale, as random words say. One invocation for four columns of a row, which share one block of
// the generator.
struct Parameters {
    base: u32, groups: u32, count: u32, quads: u32, columns: u32, first_row: u32,
    threshold: u32, scale: f32, seed_low: u32, seed_high: u32, stream_low: u32, stream_high: u32,
}
@group(0) @binding(0) var<uniform> p: Parameters;
@group(0) @binding(1) var<storage, read> x: array<f32>;
@group(0) @binding(2) var<storage, read_write> y: array<f32>;
#if KEYED
@group(0) @binding(3) var<storage, read> keys: array<u32>;
#end

#import grid
#import philox

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
    let row = i / p.quads;
    let quad = i % p.quads;
#if KEYED
    let key = keys[p.first_row + row];
#else
    let key = p.first_row + row;
#end
    let random = philox(vec4<u32>(quad, key, p.stream_low, p.stream_high), vec2<u32>(p.seed_low, p.seed_high));
    let at = row * p.columns + quad * 4u;
    let present = p.columns - quad * 4u;
#repeat j 4
    if ${j}u < present {
        y[at + ${j}u] = x[at + ${j}u] * select(p.scale, 0.0, random[${j}] < p.threshold);
    }
#end
}
