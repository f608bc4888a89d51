// From gradients at features to gradients at projections, in place; a workgroup for every row and head. MAP: 0 queries
// with exponential features, whose maximum is their own largest projection; 1 keys with exponential features, where
// the statistics hold the maximum and what flows to each projection that equals it; 2 max(a, 0). For exponentials the
// factor of the vector itself, through its square, is left in the statistics.
struct Parameters { base: u32, groups: u32, features: u32, square_scale: f32 }
@group(0) @binding(0) var<uniform> p: Parameters;
@group(0) @binding(1) var<storage, read> projected: array<f32>;
@group(0) @binding(2) var<storage, read_write> slopes: array<f32>;
#if EXPONENTIAL
@group(0) @binding(3) var<storage, read_write> statistics: array<vec4<f32>>;

#import workgroup_sum
#end
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
    let at = index * p.features;
#if MAP == 2
    for (var feature = lane; feature < p.features; feature += 64u) {
        slopes[at + feature] = select(0.0, slopes[at + feature], projected[at + feature] > 0.0);
    }
#else
    let found = statistics[index];
    var sum = 0.0;
    for (var feature = lane; feature < p.features; feature += 64u) {
        let slope = slopes[at + feature] * exp(projected[at + feature] + found.w);
        slopes[at + feature] = slope;
        sum += slope;
    }
    let total = workgroup_sum(lane, sum);
#if MAP == 0
    let share = -total / found.y;
#else
    let share = found.y;
#end
    for (var feature = lane; feature < p.features; feature += 64u) {
        if projected[at + feature] == found.x {
            slopes[at + feature] += share;
        }
    }
    if lane == 0u {
        statistics[index].x = -total * p.square_scale;
    }
#end
}
