// Results of the forward attention kernels: a vector of four columns of a head, and the base 2 logarithm of the sum of the
// exponentials of the scores of each row and head, for the backward pass.
#import head_vectors x=y binding=5 access=read_write
#import head_store x=y
#if LSE
@group(0) @binding(6) var<storage, read_write> lse: array<f32>;
#end
#if PARTS
// For each row and head the largest score and the sum of the weights so far; y has the sums that they belong to.
#if LSE
@group(0) @binding(7) var<storage, read_write> state: array<vec2<f32>>;
#else
@group(0) @binding(6) var<storage, read_write> state: array<vec2<f32>>;
#end
#end

// The factor of the sums of a query, whose largest score and sum of weights are given. What belongs to the row and head is
// stored, by the invocation that `writes`.
fn finish(row: u32, head: u32, largest: f32, total: f32, writes: bool) -> f32 {
    let at = row * p.heads + head;
#if PARTS
    if p.unfinished != 0u {
        if writes {
            state[at] = vec2<f32>(largest, total);
        }
        return 1.0;
    }
#end
#if LSE
    if writes {
        lse[at] = largest + log2(total);
    }
#end
    return 1.0 / total;
}

// The largest score and the sum of the weights to go on from.
fn begin(row: u32, head: u32) -> vec2<f32> {
#if PARTS
    if p.continued != 0u {
        return state[row * p.heads + head];
    }
#end
    return vec2<f32>(LOWEST, 0.0);
}

// The sums to go on from.
fn begin_sum(at: u32, vector: u32) -> vec4<f32> {
#if PARTS
    if p.continued != 0u {
        return load_y(at, vector);
    }
#end
    return vec4<f32>(0.0);
}
