// The gradient at the operand of `activation`: dy times the derivative, computed from v, which is the result for codes
// 1, 4 and 6 and the operand for all others.
#import activation

fn activation_backward(dy: f32, v: f32) -> f32 {
#if ACTIVATION == 0
    return dy;
#else
#if ACTIVATION == 1
    return select(dy, 0.0, v <= 0.0);
#else
#if ACTIVATION == 2
    let e = exp(-0.5 * v * v);
    let tail = 0.5 * erfc_scaled(abs(v) * 0.70710678) * e;
    return dy * fma(v, 0.39894228 * e, select(1.0 - tail, tail, v < 0.0));
#else
#if ACTIVATION == 3
    let square = 0.044715 * v * v;
    let inner = 1.5957691 * fma(square, v, v);
    return dy * gate_slope(v, inner, 1.5957691 * fma(3.0, square, 1.0));
#else
#if ACTIVATION == 4
    return dy * (v * (1.0 - v));
#else
#if ACTIVATION == 5
    return dy * gate_slope(v, v, 1.0);
#else
#if ACTIVATION == 6
    return dy * ((1.0 - v) * (1.0 + v));
#else
    return select(dy * bitcast<f32>(${ACTIVATION}u), dy, v > 0.0);
#end
#end
#end
#end
#end
#end
#end
}

// The derivative of v sigmoid(inner(v)), given the derivative of `inner`. The product of the sigmoid and its complement
// comes from the small one of the two, so that nothing cancels.
fn gate_slope(v: f32, inner: f32, inner_slope: f32) -> f32 {
    let e = exp(-abs(inner));
    let large = 1.0 / (1.0 + e);
    let small = e * large;
    let sigmoid = select(large, small, inner < 0.0);
    // Far out the second part is 0, whatever its factors are.
    return select(fma(v * (large * small), inner_slope, sigmoid), sigmoid, e == 0.0);
}
