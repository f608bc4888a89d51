// c = activation(a b + bias) for GPUs: a workgroup of 16 x 16 invocations makes a tile of 64 x 64, 4 x 4 values each,
// from slices of 16 along k in workgroup memory. Strides give the layout (NN, NT, TN). A value is one chain of
// multiply-adds over k in order, as in matmul_register.wgsl: both give the same bits.
struct Parameters {
    base: u32, groups: u32,
    m: u32, n: u32, k: u32,
    a_row: u32, a_k: u32, b_k: u32, b_column: u32,
}
@group(0) @binding(0) var<uniform> p: Parameters;
@group(0) @binding(1) var<storage, read> a: array<f32>;
@group(0) @binding(2) var<storage, read> b: array<f32>;
@group(0) @binding(3) var<storage, read_write> c: array<f32>;
#if BIAS
@group(0) @binding(4) var<storage, read> bias: array<f32>;
#end

#import activation

// 64 values along one side per step of k, as vectors; one vector of padding against bank conflicts.
const STRIDE: u32 = 17u;
var<workgroup> a_slice: array<vec4<f32>, 272>;
var<workgroup> b_slice: array<vec4<f32>, 272>;

@compute @workgroup_size(256)
fn main(
    @builtin(workgroup_id) group: vec3<u32>,
    @builtin(num_workgroups) grid: vec3<u32>,
    @builtin(local_invocation_index) lane: u32,
) {
    let number = group.y * grid.x + group.x;
    if number >= p.groups {
        return;
    }
    let across = (p.n + 63u) / 64u;
    let first_row = ((p.base + number) / across) * 64u;
    let first_column = ((p.base + number) % across) * 64u;
    let my_row = lane / 16u;
    let my_column = lane % 16u;
#repeat i 4
    var sum${i} = vec4<f32>(0.0);
#end
    for (var start = 0u; start < p.k; start += 16u) {
        // Neighbouring invocations read neighbouring addresses, whichever way the operand is stored.
#repeat load 4
        {
            let e = lane + ${load}u * 256u;
            let side = select(e % 64u, e / 16u, p.a_k == 1u);
            let depth = select(e / 64u, e % 16u, p.a_k == 1u);
            let row = first_row + side;
            let at = start + depth;
            var value = 0.0;
            if row < p.m && at < p.k {
                value = a[row * p.a_row + at * p.a_k];
            }
            a_slice[depth * STRIDE + side / 4u][side % 4u] = value;
        }
        {
            let e = lane + ${load}u * 256u;
            let side = select(e % 64u, e / 16u, p.b_k == 1u);
            let depth = select(e / 64u, e % 16u, p.b_k == 1u);
            let column = first_column + side;
            let at = start + depth;
            var value = 0.0;
            if column < p.n && at < p.k {
                value = b[column * p.b_column + at * p.b_k];
            }
            b_slice[depth * STRIDE + side / 4u][side % 4u] = value;
        }
#end
        workgroupBarrier();
        // Past the end of k the slices hold zeros, which leave the sums as they are.
#repeat d 16
        {
            let left = a_slice[${d}u * STRIDE + my_row];
            let right = b_slice[${d}u * STRIDE + my_column];
#repeat i 4
            sum${i} = fma(vec4<f32>(left[${i}]), right, sum${i});
#end
        }
#end
        workgroupBarrier();
    }
#repeat i 4
    {
        let row = first_row + my_row * 4u + ${i}u;
#repeat j 4
        {
            let column = first_column + my_column * 4u + ${j}u;
            if row < p.m && column < p.n {
#if BIAS
                c[row * p.n + column] = activation(sum${i}[${j}] + bias[column]);
#else
                c[row * p.n + column] = activation(sum${i}[${j}]);
#end
            }
        }
#end
    }
#end
}
