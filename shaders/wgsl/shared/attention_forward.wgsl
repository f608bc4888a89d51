// Results of the forward attention kernels: a vector of four columns of a head, and the base 2 logarithm of the sum of the
// exponentials of the scores of each row and head, for the backward pass.
#if TAIL
@group(0) @binding(5) var<storage, read_write> y: array<f32>;
#else
@group(0) @binding(5) var<storage, read_write> y: array<vec4<f32>>;
#end
#if LSE
@group(0) @binding(6) var<storage, read_write> lse: array<f32>;
#end

fn store(at: u32, vector: u32, value: vec4<f32>) {
#if TAIL
    let first = at + vector * 4u;
    y[first] = value.x;
    if vector == ${VECTORS}u - 1u {
#if TAIL == 2
        y[first + 1u] = value.y;
#end
#if TAIL == 3
        y[first + 1u] = value.y;
        y[first + 2u] = value.z;
#end
        return;
    }
    y[first + 1u] = value.y;
    y[first + 2u] = value.z;
    y[first + 3u] = value.w;
#else
    y[at / 4u + vector] = value;
#end
}
