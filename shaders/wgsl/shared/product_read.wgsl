// Reading of operands in parts, for kernels that gather slices in workgroup memory; to be imported after `product`.

// Four values of a along its contiguous axis from (row `side`, step `at` of k); zeros outside, which leave the sums as
// they are.
fn a_read(start: u32, side: u32, at: u32) -> vec4<f32> {
    var four = vec4<f32>(0.0);
#if A_K
#if A_VEC
    if side < p.m && at < p.k {
        four = a_four(start + side * p.a_stride + at);
    }
#else
#repeat i 4
    if side < p.m && at + ${i}u < p.k {
        four[${i}] = a_one(start + side * p.a_stride + at + ${i}u);
    }
#end
#end
#else
#if A_VEC
    if side < p.m && at < p.k {
        four = a_four(start + at * p.a_stride + side);
    }
#else
#repeat i 4
    if side + ${i}u < p.m && at < p.k {
        four[${i}] = a_one(start + at * p.a_stride + side + ${i}u);
    }
#end
#end
#end
    return four;
}

// Four values of b along its contiguous axis from (column `side`, step `at` of k); zeros outside, which leave the sums as
// they are.
fn b_read(start: u32, side: u32, at: u32) -> vec4<f32> {
    var four = vec4<f32>(0.0);
#if B_K
#if B_VEC
    if side < p.n && at < p.k {
        four = b_four(start + side * p.b_stride + at);
    }
#else
#repeat i 4
    if side < p.n && at + ${i}u < p.k {
        four[${i}] = b_one(start + side * p.b_stride + at + ${i}u);
    }
#end
#end
#else
#if B_VEC
    if side < p.n && at < p.k {
        four = b_four(start + at * p.b_stride + side);
    }
#else
#repeat i 4
    if side + ${i}u < p.n && at < p.k {
        four[${i}] = b_one(start + at * p.b_stride + side + ${i}u);
    }
#end
#end
#end
    return four;
}
