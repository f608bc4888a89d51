// Cross entropy of the softmax of a row against its class, and the gradient of the mean. WEIGHTED: with class weights and
// labels of which a share is spread over all classes; losses are scaled such that their mean is the weighted one. One
// invocation a row.
struct Parameters {
    base: u32, groups: u32, count: u32, columns: u32, first_row: u32, share: f32,
#if WEIGHTED
    keep: f32, spread: f32, row_scale: f32,
#end
}
@group(0) @binding(0) var<uniform> p: Parameters;
@group(0) @binding(1) var<storage, read> logits: array<f32>;
@group(0) @binding(2) var<storage, read_write> loss: array<f32>;
@group(0) @binding(3) var<storage, read_write> gradient: array<f32>;
@group(0) @binding(4) var<storage, read> labels: array<u32>;
#if WEIGHTED
@group(0) @binding(5) var<storage, read> weights: array<f32>;
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
    let start = i * p.columns;
    let label = labels[p.first_row + i];
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
#if WEIGHTED
    let of_label = p.keep * weights[label];
    var goals = 0.0;
    var sum = 0.0;
    for (var column = 0u; column < p.columns; column++) {
        let goal = fma(p.spread, weights[column], select(0.0, of_label, column == label));
        goals += goal;
        // A class that is no target does not count, even where its probability is 0.
        if goal != 0.0 {
            sum = fma(goal, log(total) + (largest - logits[start + column]), sum);
        }
    }
    loss[i] = sum * p.row_scale;
    for (var column = 0u; column < p.columns; column++) {
        let goal = fma(p.spread, weights[column], select(0.0, of_label, column == label));
        gradient[start + column] = (gradient[start + column] / total * goals - goal) * p.share;
    }
#else
    loss[i] = log(total) + (largest - logits[start + label]);
    for (var column = 0u; column < p.columns; column++) {
        let goal = select(0.0, 1.0, column == label);
        gradient[start + column] = (gradient[start + column] / total - goal) * p.share;
    }
#end
}
