// Adds the partial sums of the blocks of a segment to its total, in the order of the rows. One invocation a value. With
// REFERENCES, sums are of exponentials against the largest projection of each block, and are rescaled to the largest so
// far, as in an online softmax; row `features` of each head is a plain sum.
struct Parameters { base: u32, groups: u32, heads: u32, length: u32, columns: u32, features: u32, lowest: f32 }
@group(0) @binding(0) var<uniform> p: Parameters;
@group(0) @binding(1) var<storage, read> partial: array<f32>;
// Segment, its first block in the batch, first block and end of those in `partial` (by their numbers in the batch), and
// the number of the first in `partial`.
@group(0) @binding(2) var<storage, read> joins: array<u32>;
@group(0) @binding(3) var<storage, read_write> total: array<f32>;
#if REFERENCES
@group(0) @binding(4) var<storage, read> references: array<vec2<f32>>;

fn shrink(before: f32, now: f32) -> f32 {
    return select(exp(before - now), 1.0, before == now);
}
#end

#import workgroup_number

@compute @workgroup_size(256)
fn main(
    @builtin(workgroup_id) group: vec3<u32>,
    @builtin(num_workgroups) grid: vec3<u32>,
    @builtin(local_invocation_index) lane: u32,
) {
    let number = workgroup_number(group, grid);
    if number == NO_WORK {
        return;
    }
    let whole = p.heads * p.length;
    let across = (whole + 255u) / 256u;
    let join = (number / across) * 5u;
    let at = (number % across) * 256u + lane;
    if at >= whole {
        return;
    }
    let segment = joins[join];
    let start = joins[join + 1u];
    let first = joins[join + 2u];
    let end = joins[join + 3u];
    let origin = joins[join + 4u];
    var sum = 0.0;
    if first > start {
        sum = total[segment * whole + at];
    }
#if REFERENCES
    let head = at / p.length;
    let scaled = (at % p.length) / p.columns != p.features;
    var largest = p.lowest;
    for (var block = start; block < first; block++) {
        let reference = references[block * p.heads + head].x;
        largest = select(largest, reference, reference > largest);
    }
#end
    for (var block = first; block < end; block++) {
        let value = partial[(block - origin) * whole + at];
#if REFERENCES
        if scaled {
            let reference = references[block * p.heads + head].x;
            let now = select(largest, reference, reference > largest);
            if block > start {
                sum *= shrink(largest, now);
            }
            sum = fma(value, shrink(reference, now), sum);
            largest = now;
        } else {
            sum += value;
        }
#else
        sum += value;
#end
    }
    total[segment * whole + at] = sum;
}
