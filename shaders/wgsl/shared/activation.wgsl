// The functions of `ops::Activation`, chosen by its code. The polynomial is that of `cpu/math.rs`.
#if ACTIVATION == 2
fn erfc_positive(z: f32) -> f32 {
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
    return q * t * exp(-z * z);
}
#end

fn activation(v: f32) -> f32 {
#if ACTIVATION == 0
    return v;
#end
#if ACTIVATION == 1
    return select(v, 0.0, v < 0.0);
#end
#if ACTIVATION == 2
    let tail = 0.5 * erfc_positive(abs(v) * 0.70710678);
    return select(v - v * tail, v * tail, v < 0.0);
#end
#if ACTIVATION == 3
    let inner = 1.5957691 * fma(0.044715 * v * v, v, v);
    return v / (1.0 + exp(-inner));
#end
#if ACTIVATION == 4
    return 1.0 / (1.0 + exp(-v));
#end
}
