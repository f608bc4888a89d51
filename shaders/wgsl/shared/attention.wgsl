// What all attention kernels share: operands, work list, and access to a vector of four columns of a head. Heads of a
// multiple of four columns are read as vectors; others value by value, and the last vector may have only TAIL columns
// (the rest count as zero). Query head h reads key and value head h / share.
struct Parameters {
    base: u32,
    groups: u32,
    // Columns of queries and results, and of keys and values.
    width: u32,
    kv_width: u32,
    heads: u32,
    share: u32,
    // The factor of the scores times log2(e): weights are powers of two. And the factor alone.
    scale: f32,
    factor: f32,
}
@group(0) @binding(0) var<uniform> p: Parameters;
#if TAIL
@group(0) @binding(1) var<storage, read> q: array<f32>;
@group(0) @binding(2) var<storage, read> k: array<f32>;
@group(0) @binding(3) var<storage, read> v: array<f32>;
#else
@group(0) @binding(1) var<storage, read> q: array<vec4<f32>>;
@group(0) @binding(2) var<storage, read> k: array<vec4<f32>>;
@group(0) @binding(3) var<storage, read> v: array<vec4<f32>>;
#end
// For each tile of ROWS rows: its first row, and the first row and the end of its segment.
@group(0) @binding(4) var<storage, read> tiles: array<u32>;

// Below every score that can occur, and finite: the first correction is 2^(-large) = 0, not a NaN.
const LOWEST: f32 = -3.0e38;
const ROWS: u32 = 64u;

fn load_q(at: u32, vector: u32) -> vec4<f32> {
#if TAIL
    let first = at + vector * 4u;
    if vector == ${VECTORS}u - 1u {
#if TAIL == 1
        return vec4<f32>(q[first], 0.0, 0.0, 0.0);
#end
#if TAIL == 2
        return vec4<f32>(q[first], q[first + 1u], 0.0, 0.0);
#end
#if TAIL == 3
        return vec4<f32>(q[first], q[first + 1u], q[first + 2u], 0.0);
#end
    }
    return vec4<f32>(q[first], q[first + 1u], q[first + 2u], q[first + 3u]);
#else
    return q[at / 4u + vector];
#end
}

fn load_k(at: u32, vector: u32) -> vec4<f32> {
#if TAIL
    let first = at + vector * 4u;
    if vector == ${VECTORS}u - 1u {
#if TAIL == 1
        return vec4<f32>(k[first], 0.0, 0.0, 0.0);
#end
#if TAIL == 2
        return vec4<f32>(k[first], k[first + 1u], 0.0, 0.0);
#end
#if TAIL == 3
        return vec4<f32>(k[first], k[first + 1u], k[first + 2u], 0.0);
#end
    }
    return vec4<f32>(k[first], k[first + 1u], k[first + 2u], k[first + 3u]);
#else
    return k[at / 4u + vector];
#end
}

fn load_v(at: u32, vector: u32) -> vec4<f32> {
#if TAIL
    let first = at + vector * 4u;
    if vector == ${VECTORS}u - 1u {
#if TAIL == 1
        return vec4<f32>(v[first], 0.0, 0.0, 0.0);
#end
#if TAIL == 2
        return vec4<f32>(v[first], v[first + 1u], 0.0, 0.0);
#end
#if TAIL == 3
        return vec4<f32>(v[first], v[first + 1u], v[first + 2u], 0.0);
#end
    }
    return vec4<f32>(v[first], v[first + 1u], v[first + 2u], v[first + 3u]);
#else
    return v[at / 4u + vector];
#end
}
