// Halves of f32 factors: `high` has the digits that f16 holds, `low` the rest times 2048. By bit masks: drivers fold
// conversions to f16 and back away.
struct Halves {
    high: vec4<f32>,
    low: vec4<f32>,
}
fn split(four: vec4<f32>) -> Halves {
    let high = bitcast<vec4<f32>>(bitcast<vec4<u32>>(four) & vec4<u32>(0xffffe000u));
    return Halves(high, (four - high) * 2048.0);
}

// 2^exponent, for exponents of normal numbers.
fn power(exponent: i32) -> f32 {
    return bitcast<f32>(u32(exponent + 127) << 23u);
}

// value / 2^exponent, in two steps: the power itself may be out of range.
fn unscaled(value: f32, exponent: i32) -> f32 {
    let half = exponent / 2;
    return value * power(-half) * power(half - exponent);
}
