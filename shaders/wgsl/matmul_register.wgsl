// c = activation(a b + bias) for drivers that run shaders on a CPU: no workgroup memory, one vector of 8 invocations, each
// with 16 x 8 values in registers, because loads are dear there and arithmetic is cheap. A value is one chain of
// multiply-adds over k in order, as in matmul_tile.wgsl: both give the same bits.
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

@compute @workgroup_size(8)
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
    let first_row = ((p.base + number) / across) * 16u;
    let first_column = ((p.base + number) % across) * 64u + lane * 8u;
    // Rows and columns past the edge repeat the last one; their sums are not stored.
#repeat i 16
    var a${i} = min(first_row + ${i}u, p.m - 1u) * p.a_row;
    var low${i} = vec4<f32>(0.0);
    var high${i} = vec4<f32>(0.0);
#end
#repeat j 8
    var b${j} = min(first_column + ${j}u, p.n - 1u) * p.b_column;
#end
    for (var step = 0u; step < p.k; step++) {
        let low = vec4<f32>(b[b0], b[b1], b[b2], b[b3]);
        let high = vec4<f32>(b[b4], b[b5], b[b6], b[b7]);
#repeat i 16
        {
            let left = vec4<f32>(a[a${i}]);
            low${i} = fma(left, low, low${i});
            high${i} = fma(left, high, high${i});
            a${i} += p.a_k;
        }
#end
#repeat j 8
        b${j} += p.b_k;
#end
    }
    let present = min(first_column + 8u, p.n);
#repeat i 16
    if first_row + ${i}u < p.m {
        var values = array<f32, 8>(
            low${i}.x, low${i}.y, low${i}.z, low${i}.w, high${i}.x, high${i}.y, high${i}.z, high${i}.w,
        );
        for (var column = first_column; column < present; column++) {
            c[(first_row + ${i}u) * p.n + column] = values[column - first_column];
        }
    }
#end
#if EPILOGUE
    // Once over this invocation's own values, so that the activation is compiled once and not for every register.
    for (var row = first_row; row < min(first_row + 16u, p.m); row++) {
        for (var column = first_column; column < present; column++) {
            let at = row * p.n + column;
#if BIAS
            c[at] = activation(c[at] + bias[column]);
#else
            c[at] = activation(c[at]);
#end
        }
    }
#end
}
