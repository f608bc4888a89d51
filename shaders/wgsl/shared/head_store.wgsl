// Writing of a vector of four columns of a head of ${x}, which `head_vectors` declares.
fn store_${x}(at: u32, vector: u32, value: vec4<f32>) {
#if TAIL
    let first = at + vector * 4u;
    ${x}[first] = value.x;
    if vector == VECTORS - 1u {
#if TAIL == 2
        ${x}[first + 1u] = value.y;
#end
#if TAIL == 3
        ${x}[first + 1u] = value.y;
        ${x}[first + 2u] = value.z;
#end
        return;
    }
    ${x}[first + 1u] = value.y;
    ${x}[first + 2u] = value.z;
    ${x}[first + 3u] = value.w;
#else
    ${x}[at / 4u + vector] = value;
#end
}
