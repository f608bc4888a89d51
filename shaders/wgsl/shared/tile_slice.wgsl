// The slices of operand ${x} in workgroup memory: per step of k the values along its side, as vectors; one vector of
// padding against bank conflicts.
var<workgroup> ${x}_slice: array<vec4<f32>, ${${X}_SLICE}>;

// Which part of a slice load `e` is: neighbouring invocations read neighbouring addresses, whichever way the operand is
// stored; and where it goes.
#if ${X}_K
fn ${x}_side(e: u32) -> u32 {
    return e / ${DEPTH_FOURS}u;
}
fn ${x}_depth(e: u32) -> u32 {
    return e % ${DEPTH_FOURS}u * 4u;
}
fn ${x}_keep(e: u32, four: vec4<f32>) {
    let side = ${x}_side(e);
    let at = ${x}_depth(e) * ${${X}_ROW}u + side / 4u;
#repeat i 4
    ${x}_slice[at + ${i}u * ${${X}_ROW}u][side % 4u] = four[${i}];
#end
}
#else
fn ${x}_side(e: u32) -> u32 {
    return e % ${${X}_FOURS}u * 4u;
}
fn ${x}_depth(e: u32) -> u32 {
    return e / ${${X}_FOURS}u;
}
fn ${x}_keep(e: u32, four: vec4<f32>) {
    ${x}_slice[${x}_depth(e) * ${${X}_ROW}u + e % ${${X}_FOURS}u] = four;
}
#end
