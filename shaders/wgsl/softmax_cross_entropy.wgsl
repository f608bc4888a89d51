// Cross entropy of the softmax of a row against its class, and the gradient of the mean. One invocation a row.
struct Parameters { base: u32, groups: u32, count: u32, columns: u32 }
@group(0) @binding(0) var<uniform> p: Parameters;
@group(0) @binding(1) var<storage, read> logits: array<f32>;
@group(0) @binding(2) var<storage, read> labels: array<u32>;
@group(0) @binding(3) var<storage, read_write> loss: array<f32>;
@group(0) @binding(4) var<storage, read_write> gradient: array<f32>;

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
    let start = i * p.columns;
    let label = labels[i];
    var largest = logits[start];
    for (var column = 1u; column < p.columns; column++) {
        largest = select(largest, logits[start + column], logits[start + column] > largest);
    }
    var total = 0.0;
    for (var column = 0u; column < p.columns; column++) {
        let weight = exp(logits[start + column] - largest);
        gradient[start + column] = weight;
        total += weight;
    }
    loss[i] = log(total) + (largest - logits[start + label]);
    let share = 1.0 / f32(p.count);
    for (var column = 0u; column < p.columns; column++) {
        let goal = select(0.0, 1.0, column == label);
        gradient[start + column] = (gradient[start + column] / total - goal) * share;
    }
}
