// Turns pairs of values, one of each half of a head, by the angle of the row's position. One invocation a pair.
struct Parameters {
    base: u32, groups: u32, count: u32, columns: u32, half: u32, first_row: u32, direction: f32,
}
@group(0) @binding(0) var<uniform> p: Parameters;
@group(0) @binding(1) var<storage, read> x: array<f32>;
@group(0) @binding(2) var<storage, read> cosines: array<f32>;
@group(0) @binding(3) var<storage, read> sines: array<f32>;
@group(0) @binding(4) var<storage, read> positions: array<u32>;
@group(0) @binding(5) var<storage, read_write> y: array<f32>;

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
    // Heads follow each other within a row and rows within the tensor, so pair i / half is a head of some row.
    let pair = i % p.half;
    let first = (i / p.half) * 2u * p.half + pair;
    let second = first + p.half;
    let angle = positions[p.first_row + first / p.columns] * p.half + pair;
    let cosine = cosines[angle];
    let sine = sines[angle] * p.direction;
    y[first] = x[first] * cosine - x[second] * sine;
    y[second] = x[second] * cosine + x[first] * sine;
}
