// For each row of a factor (a column of the second one) the exponent of the power of two that brings its largest value to
// 2^14: factors of any size fit into halves then, and the small ones of a row keep their digits. The sizes of other rows do
// not matter, so a row's product does not depend on what else is in the batch.
struct Parameters {
    base: u32, groups: u32,
    // Rows of a matrix, values of a row, from one row (with ALONG: value) to the next, the first, from matrix to matrix.
    sides: u32, k: u32, stride: u32, offset: u32, batch: u32,
    // Workgroups of a matrix.
    batch_groups: u32,
}
@group(0) @binding(0) var<uniform> p: Parameters;
#if ELEMENT
#import half
#end
#import product_operand x=a X=A binding=1
@group(0) @binding(2) var<storage, read_write> exponents: array<i32>;

#import workgroup_number

// Magnitudes of floats are ordered as their bits are.
fn magnitude(value: f32) -> u32 {
    return bitcast<u32>(value) & 0x7fffffffu;
}

fn exponent(largest: u32) -> i32 {
    // Values that are no numbers stay what they are.
    let finite = min(largest, 0x7f7fffffu);
    return clamp(14 + 127 - i32(finite >> 23u), -126, 126);
}

#if A_K
// A row for each workgroup: neighbouring invocations read neighbouring values.
var<workgroup> partial: array<u32, 64>;
#end

@compute @workgroup_size(64)
fn main(
    @builtin(workgroup_id) group: vec3<u32>,
    @builtin(num_workgroups) grid: vec3<u32>,
    @builtin(local_invocation_index) lane: u32,
) {
    let number = workgroup_number(group, grid);
    if number == NO_WORK {
        return;
    }
    let matrix = number / p.batch_groups;
    let start = p.offset + matrix * p.batch;
    var largest = 0u;
#if A_K
    let side = number % p.batch_groups;
    for (var at = lane; at < p.k; at += 64u) {
        largest = max(largest, magnitude(a_one(start + side * p.stride + at)));
    }
    partial[lane] = largest;
    workgroupBarrier();
    for (var half = 32u; half > 0u; half /= 2u) {
        if lane < half {
            partial[lane] = max(partial[lane], partial[lane + half]);
        }
        workgroupBarrier();
    }
    if lane == 0u {
        exponents[matrix * p.sides + side] = exponent(partial[0]);
    }
#else
    let side = number % p.batch_groups * 64u + lane;
    if side >= p.sides {
        return;
    }
    for (var at = 0u; at < p.k; at++) {
        largest = max(largest, magnitude(a_one(start + at * p.stride + side)));
    }
    exponents[matrix * p.sides + side] = exponent(largest);
#end
}
