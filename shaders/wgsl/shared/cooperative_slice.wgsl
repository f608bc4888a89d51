// The slices of operand ${x} in workgroup memory: SIDE rows (columns) of DEPTH values as vectors, each with two vectors of
// padding against bank conflicts.
var<workgroup> ${x}_high: array<vec4<f16>, ${SLICE}>;
#if SPLIT
var<workgroup> ${x}_low: array<vec4<f16>, ${SLICE}>;
#end

// Which part of a slice load `e` is, and where it goes.
#if ${X}_K
fn ${x}_side(e: u32) -> u32 {
    return e / ${DEPTH_FOURS}u;
}
fn ${x}_depth(e: u32) -> u32 {
    return e % ${DEPTH_FOURS}u * 4u;
}
fn ${x}_keep(e: u32, four: vec4<f32>) {
    let at = ${x}_side(e) * ${ROW}u + ${x}_depth(e) / 4u;
#if SPLIT
    let halves = split(four);
    ${x}_high[at] = vec4<f16>(halves.high);
    ${x}_low[at] = vec4<f16>(halves.low);
#else
    ${x}_high[at] = vec4<f16>(four);
#end
}
#else
fn ${x}_side(e: u32) -> u32 {
    return e % ${FOURS}u * 4u;
}
fn ${x}_depth(e: u32) -> u32 {
    return e / ${FOURS}u;
}
fn ${x}_keep(e: u32, four: vec4<f32>) {
    let at = ${x}_side(e) * ${ROW}u + ${x}_depth(e) / 4u;
    let part = ${x}_depth(e) % 4u;
#if SPLIT
    let halves = split(four);
#end
#repeat i 4
#if SPLIT
    ${x}_high[at + ${i}u * ${ROW}u][part] = f16(halves.high[${i}]);
    ${x}_low[at + ${i}u * ${ROW}u][part] = f16(halves.low[${i}]);
#else
    ${x}_high[at + ${i}u * ${ROW}u][part] = f16(four[${i}]);
#end
#end
}
#end
#if SPLIT

// The exponent for row (column) `side`; past the end that of the last one.
fn ${x}_exponent(batch: u32, side: u32) -> i32 {
    let first = select(batch * p.${sides}, 0u, p.${x}_batch == 0u);
    return ${x}_exponents[first + min(side, p.${sides} - 1u)];
}
// The powers of two for the four values of a part that begins at row (column) `side`.
fn ${x}_powers(batch: u32, side: u32) -> vec4<f32> {
#if ${X}_K
    return vec4<f32>(power(${x}_exponent(batch, side)));
#else
    return vec4<f32>(
        power(${x}_exponent(batch, side)),
        power(${x}_exponent(batch, side + 1u)),
        power(${x}_exponent(batch, side + 2u)),
        power(${x}_exponent(batch, side + 3u)),
    );
#end
}
#end
