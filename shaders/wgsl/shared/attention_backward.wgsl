// What both backward attention kernels share: the gradient of the result, what the forward pass left, and the tiles of
// SIDE queries and SIDE keys whose products they need. An invocation has BLOCK queries and BLOCK keys.
#import head_vectors x=g binding=5 access=read
// For each row and head the logarithm of the sum of the exponentials, and the product of the result with its gradient.
@group(0) @binding(6) var<storage, read> stats: array<vec2<f32>>;

const SIDE: u32 = ${SIDE}u;
const BLOCK: u32 = ${BLOCK}u;
// Workgroups of a tile of the work list.
const PIECES: u32 = ROWS / SIDE;
// Chunks of four vectors of columns, [vector, row].
var<workgroup> q_tile: array<vec4<f32>, 4u * SIDE>;
var<workgroup> g_tile: array<vec4<f32>, 4u * SIDE>;
var<workgroup> k_tile: array<vec4<f32>, 4u * SIDE>;
var<workgroup> v_tile: array<vec4<f32>, 4u * SIDE>;

fn chain(sum: f32, a: vec4<f32>, b: vec4<f32>) -> f32 {
    return fma(a.w, b.w, fma(a.z, b.z, fma(a.y, b.y, fma(a.x, b.x, sum))));
}
