// Operand ${x} of an attention kernel, at binding ${binding}: heads of a multiple of four columns are read as vectors; others
// value by value, and the last vector may have only TAIL columns (the rest count as zero). `at` is the first value of a
// head, `vector` counts vectors of four columns.
#if TAIL
@group(0) @binding(${binding}) var<storage, ${access}> ${x}: array<f32>;
#else
@group(0) @binding(${binding}) var<storage, ${access}> ${x}: array<vec4<f32>>;
#end

fn load_${x}(at: u32, vector: u32) -> vec4<f32> {
#if TAIL
    let first = at + vector * 4u;
    if vector == ${VECTORS}u - 1u {
#if TAIL == 1
        return vec4<f32>(${x}[first], 0.0, 0.0, 0.0);
#end
#if TAIL == 2
        return vec4<f32>(${x}[first], ${x}[first + 1u], 0.0, 0.0);
#end
#if TAIL == 3
        return vec4<f32>(${x}[first], ${x}[first + 1u], ${x}[first + 2u], 0.0);
#end
    }
    return vec4<f32>(${x}[first], ${x}[first + 1u], ${x}[first + 2u], ${x}[first + 3u]);
#else
    return ${x}[at / 4u + vector];
#end
}
