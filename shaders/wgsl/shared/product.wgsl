// What the matrix product kernels share: sizes, strides and operands of c = activation(a b + bias). Operand a is `m` rows,
// b is `n` columns. With A_K (B_K) an operand is contiguous along k and its stride leads to the next row (column);
// otherwise it is contiguous along its rows (columns) and the stride leads to the next k. With A_VEC (B_VEC,
// C_VEC) it is read (written) as vectors of four along its contiguous axis: size, stride and offset are multiples of four.
// With A_ELEMENT or B_ELEMENT that operand is stored in 16 bits, two to a word.
struct Parameters {
    base: u32, groups: u32,
    m: u32, n: u32, k: u32,
    a_stride: u32, b_stride: u32, c_row: u32, c_column: u32,
    a_offset: u32, b_offset: u32, c_offset: u32, bias_offset: u32,
    // Workgroups and values of one product of a batch.
    batch_groups: u32, a_batch: u32, b_batch: u32, c_batch: u32,
}
@group(0) @binding(0) var<uniform> p: Parameters;
#if C_VEC
@group(0) @binding(3) var<storage, read_write> c: array<vec4<f32>>;
#else
@group(0) @binding(3) var<storage, read_write> c: array<f32>;
#end
#if BIAS
@group(0) @binding(4) var<storage, read> bias: array<f32>;
#end
#if ELEMENT
#import half
#end

#if A_ELEMENT
#if A_VEC
@group(0) @binding(1) var<storage, read> a: array<vec2<u32>>;
fn a_four(at: u32) -> vec4<f32> {
    let words = a[at / 4u];
    return vec4<f32>(
        widen(words.x & 0xffffu), widen(words.x >> 16u), widen(words.y & 0xffffu), widen(words.y >> 16u),
    );
}
#else
@group(0) @binding(1) var<storage, read> a: array<u32>;
fn a_one(at: u32) -> f32 {
    return widen((a[at / 2u] >> (at % 2u * 16u)) & 0xffffu);
}
#end
#else
#if A_VEC
@group(0) @binding(1) var<storage, read> a: array<vec4<f32>>;
fn a_four(at: u32) -> vec4<f32> {
    return a[at / 4u];
}
#else
@group(0) @binding(1) var<storage, read> a: array<f32>;
fn a_one(at: u32) -> f32 {
    return a[at];
}
#end
#end

#if B_ELEMENT
#if B_VEC
@group(0) @binding(2) var<storage, read> b: array<vec2<u32>>;
fn b_four(at: u32) -> vec4<f32> {
    let words = b[at / 4u];
    return vec4<f32>(
        widen(words.x & 0xffffu), widen(words.x >> 16u), widen(words.y & 0xffffu), widen(words.y >> 16u),
    );
}
#else
@group(0) @binding(2) var<storage, read> b: array<u32>;
fn b_one(at: u32) -> f32 {
    return widen((b[at / 2u] >> (at % 2u * 16u)) & 0xffffu);
}
#end
#else
#if B_VEC
@group(0) @binding(2) var<storage, read> b: array<vec4<f32>>;
fn b_four(at: u32) -> vec4<f32> {
    return b[at / 4u];
}
#else
@group(0) @binding(2) var<storage, read> b: array<f32>;
fn b_one(at: u32) -> f32 {
    return b[at];
}
#end
#end
