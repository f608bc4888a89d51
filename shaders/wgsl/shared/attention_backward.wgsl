// What both backward attention kernels share: the gradient of the result, what the forward pass left, and the tiles of
// 32 queries and 32 keys whose products they need.
#if TAIL
@group(0) @binding(5) var<storage, read> g: array<f32>;
#else
@group(0) @binding(5) var<storage, read> g: array<vec4<f32>>;
#end
// For each row and head the logarithm of the sum of the exponentials, and the product of the result with its gradient.
@group(0) @binding(6) var<storage, read> stats: array<vec2<f32>>;

const SIDE: u32 = 32u;
const VECTORS: u32 = ${VECTORS}u;
// Chunks of four vectors of columns, [vector, row].
var<workgroup> q_tile: array<vec4<f32>, 128>;
var<workgroup> g_tile: array<vec4<f32>, 128>;
var<workgroup> k_tile: array<vec4<f32>, 128>;
var<workgroup> v_tile: array<vec4<f32>, 128>;

fn chain(sum: f32, a: vec4<f32>, b: vec4<f32>) -> f32 {
    return fma(a.w, b.w, fma(a.z, b.z, fma(a.y, b.y, fma(a.x, b.x, sum))));
}

fn load_g(at: u32, vector: u32) -> vec4<f32> {
#if TAIL
    let first = at + vector * 4u;
    if vector == ${VECTORS}u - 1u {
#if TAIL == 1
        return vec4<f32>(g[first], 0.0, 0.0, 0.0);
#end
#if TAIL == 2
        return vec4<f32>(g[first], g[first + 1u], 0.0, 0.0);
#end
#if TAIL == 3
        return vec4<f32>(g[first], g[first + 1u], g[first + 2u], 0.0);
#end
    }
    return vec4<f32>(g[first], g[first + 1u], g[first + 2u], g[first + 3u]);
#else
    return g[at / 4u + vector];
#end
}
