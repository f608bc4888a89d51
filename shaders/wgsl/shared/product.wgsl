// What the matrix product kernels share: sizes, strides and operands of c = activation(a b + bias). Operand a is `m` rows,
// b is `n` columns. With A_K (B_K) an operand is contiguous along k and its stride leads to the next row (column);
// otherwise it is contiguous along its rows (columns) and the stride leads to the next k. With A_VEC (B_VEC,
// C_VEC) it is read (written) as vectors of four along its contiguous axis: size, stride and offset are multiples of four.
// With A_ELEMENT or B_ELEMENT that operand is stored in 16 bits, two to a word.
struct Parameters {
    base: u32, groups: u32,
    m: u32, n: u32, k: u32,
    a_stride: u32, b_stride: u32, c_row: u32, c_column: u32,
    a_offset: u32, b_offset: u32, c_offset: u32, bias_offset: u32,
    // Workgroups and values of one product of a batch.
    batch_groups: u32, a_batch: u32, b_batch: u32, c_batch: u32,
}
@group(0) @binding(0) var<uniform> p: Parameters;
#if C_VEC
@group(0) @binding(3) var<storage, read_write> c: array<vec4<f32>>;
#else
@group(0) @binding(3) var<storage, read_write> c: array<f32>;
#end
#if BIAS
@group(0) @binding(4) var<storage, read> bias: array<f32>;
#end
#if ELEMENT
#import half
#end
#import product_operand x=a X=A binding=1
#import product_operand x=b X=B binding=2
