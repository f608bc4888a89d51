// Philox4x32-10 (Salmon and others 2011): four random words for a counter and a key, by integer arithmetic alone, so
// that every device gives the same bits. The twin of `cpu/philox.rs`.

// The upper word of a product; WGSL has no 64-bit integers, so it is made of products of halves.
fn multiply_high(a: u32, b: u32) -> u32 {
    let a_low = a & 0xffffu;
    let a_high = a >> 16u;
    let b_low = b & 0xffffu;
    let b_high = b >> 16u;
    let middle = a_high * b_low + ((a_low * b_low) >> 16u);
    let carry = a_low * b_high + (middle & 0xffffu);
    return a_high * b_high + (middle >> 16u) + (carry >> 16u);
}

fn philox(counter: vec4<u32>, key: vec2<u32>) -> vec4<u32> {
    var c = counter;
    var k = key;
#repeat round 10
    c = vec4<u32>(
        multiply_high(0xcd9e8d57u, c.z) ^ c.y ^ k.x,
        0xcd9e8d57u * c.z,
        multiply_high(0xd2511f53u, c.x) ^ c.w ^ k.y,
        0xd2511f53u * c.x,
    );
    k += vec2<u32>(0x9e3779b9u, 0xbb67ae85u);
#end
    return c;
}
