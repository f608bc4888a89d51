// The f32 of 16 stored bits, exactly: f16 with ELEMENT == 1, bf16 with ELEMENT == 2. Value i of a packed array is
// `widen(words[i / 2u] >> (i % 2u * 16u))`; bits above the lower 16 are ignored.
fn widen(stored: u32) -> f32 {
#if ELEMENT == 1
    let magnitude = stored & 0x7fffu;
    // Subnormal halves are integers times 2^-24; the driver might flush subnormal floats on the usual way.
    let small = f32(magnitude) * 5.9604644775390625e-8;
    let exponent = select(0x38000000u, 0x70000000u, magnitude >= 0x7c00u);
    let large = bitcast<f32>((magnitude << 13u) + exponent);
    let value = select(large, small, magnitude < 0x0400u);
    return bitcast<f32>(bitcast<u32>(value) | ((stored & 0x8000u) << 16u));
#else
    return bitcast<f32>(stored << 16u);
#end
}
