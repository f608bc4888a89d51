// Reading of operand ${x} in parts, for kernels that gather slices in workgroup memory; to be imported after `product`.
// Four values along its contiguous axis from (row or column `side`, step `at` of k); zeros outside, which leave the sums
// as they are.
fn ${x}_read(start: u32, side: u32, at: u32) -> vec4<f32> {
    var four = vec4<f32>(0.0);
#if ${X}_K
#if ${X}_VEC
    if side < p.${sides} && at < p.k {
        four = ${x}_four(start + side * p.${x}_stride + at);
    }
#else
#repeat i 4
    if side < p.${sides} && at + ${i}u < p.k {
        four[${i}] = ${x}_one(start + side * p.${x}_stride + at + ${i}u);
    }
#end
#end
#else
#if ${X}_VEC
    if side < p.${sides} && at < p.k {
        four = ${x}_four(start + at * p.${x}_stride + side);
    }
#else
#repeat i 4
    if side + ${i}u < p.${sides} && at < p.k {
        four[${i}] = ${x}_one(start + at * p.${x}_stride + side + ${i}u);
    }
#end
#end
#end
    return four;
}
