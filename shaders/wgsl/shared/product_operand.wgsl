// Operand ${x} of a product, at binding ${binding}: single values (${x}_one), or with ${X}_VEC vectors of four (${x}_four).
#if ${X}_ELEMENT
#if ${X}_VEC
@group(0) @binding(${binding}) var<storage, read> ${x}: array<vec2<u32>>;
fn ${x}_four(at: u32) -> vec4<f32> {
    let words = ${x}[at / 4u];
    return vec4<f32>(
        widen(words.x & 0xffffu), widen(words.x >> 16u), widen(words.y & 0xffffu), widen(words.y >> 16u),
    );
}
#else
@group(0) @binding(${binding}) var<storage, read> ${x}: array<u32>;
fn ${x}_one(at: u32) -> f32 {
    return widen((${x}[at / 2u] >> (at % 2u * 16u)) & 0xffffu);
}
#end
#else
#if ${X}_VEC
@group(0) @binding(${binding}) var<storage, read> ${x}: array<vec4<f32>>;
fn ${x}_four(at: u32) -> vec4<f32> {
    return ${x}[at / 4u];
}
#else
@group(0) @binding(${binding}) var<storage, read> ${x}: array<f32>;
fn ${x}_one(at: u32) -> f32 {
    return ${x}[at];
}
#end
#end
