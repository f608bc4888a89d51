// The functions of `ops::Activation`, chosen by its code; every code above 6 is a leaky rectifier, and the bits of its
// slope. The polynomials are those of `cpu/math.rs`.
#if ACTIVATION == 2
// The complement of the error function for z >= 0, times exp(z z).
fn erfc_scaled(z: f32) -> f32 {
    let t = 1.0 / fma(z, 0.35, 1.0);
    var q = 0.039071802;
    q = fma(q, t, -0.162569);
    q = fma(q, t, 0.19001754);
    q = fma(q, t, -0.039110754);
    q = fma(q, t, 0.0965018);
    q = fma(q, t, 0.14095154);
    q = fma(q, t, 0.15294729);
    q = fma(q, t, 0.18752436);
    q = fma(q, t, 0.197184);
    q = fma(q, t, 0.19748142);
    return q * t;
}
#end

fn activation(v: f32) -> f32 {
#if ACTIVATION == 0
    return v;
#else
#if ACTIVATION == 1
    return select(v, 0.0, v < 0.0);
#else
#if ACTIVATION == 2
    let z = abs(v) * 0.70710678;
    let tail = 0.5 * (erfc_scaled(z) * exp(-z * z));
    return select(v - v * tail, v * tail, v < 0.0);
#else
#if ACTIVATION == 3
    let inner = 1.5957691 * fma(0.044715 * v * v, v, v);
    return v / (1.0 + exp(-inner));
#else
#if ACTIVATION == 4
    return 1.0 / (1.0 + exp(-v));
#else
#if ACTIVATION == 5
    return v / (1.0 + exp(-v));
#else
#if ACTIVATION == 6
    // The series near 0, where the difference from 1 would lose digits.
    let z = v * v;
    var q = -0.0062691197;
    q = fma(q, z, 0.02111096);
    q = fma(q, z, -0.05387395);
    q = fma(q, z, 0.13332915);
    q = fma(q, z, -0.3333333);
    let large = 1.0 - 2.0 / (exp(2.0 * abs(v)) + 1.0);
    return select(select(large, -large, v < 0.0), fma(v * z, q, v), z < 0.36);
#else
    return select(v, v * bitcast<f32>(${ACTIVATION}u), v < 0.0);
#end
#end
#end
#end
#end
#end
#end
}
