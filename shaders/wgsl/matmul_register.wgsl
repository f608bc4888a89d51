// c = activation(a b + bias) for drivers that run shaders on a CPU: no workgroup memory, one vector of 8 invocations, each
// with 8 G rows x 4 columns in registers. Loads are dear there (one scalar load for each invocation and component) and
// arithmetic is cheap: with SUBGROUP, each invocation loads 1/8 of the rows' values and the vector shares them by
// broadcast. A value is one chain of multiply-adds over k in order, as in matmul_tile.wgsl: both give the same bits.
#import product
#import activation
#import workgroup_number

@compute @workgroup_size(8)
fn main(
    @builtin(workgroup_id) group: vec3<u32>,
    @builtin(num_workgroups) grid: vec3<u32>,
    @builtin(local_invocation_index) lane: u32,
) {
    let number = workgroup_number(group, grid);
    if number == NO_WORK {
        return;
    }
    let batch = number / p.batch_groups;
    let tile = number % p.batch_groups;
    let across = (p.n + 31u) / 32u;
    let first_row = tile / across * ${ROWS}u;
    let first_column = tile % across * 32u + lane * 4u;
    // Rows and columns past the edge repeat the last one; their sums are not stored.
    let a_start = p.a_offset + batch * p.a_batch;
    let b_start = p.b_offset + batch * p.b_batch;
#if A_K
    let a_side = p.a_stride;
#else
    let a_side = 1u;
#end
#repeat g G
#if SUBGROUP
    let a${g} = a_start + min(first_row + ${g}u * 8u + lane, p.m - 1u) * a_side;
#else
#repeat e 8
    let a${g}_${e} = a_start + min(first_row + ${g}u * 8u + ${e}u, p.m - 1u) * a_side;
#end
#end
#end
#if B_K
#repeat j 4
    let b${j} = b_start + min(first_column + ${j}u, p.n - 1u) * p.b_stride;
#end
#else
#if B_VEC
    let b0 = b_start + min(first_column, p.n - 4u);
#else
#repeat j 4
    let b${j} = b_start + min(first_column + ${j}u, p.n - 1u);
#end
#end
#end
    let c_start = p.c_offset + batch * p.c_batch + first_column * p.c_column;
    let present = min(first_column + 4u, p.n) - min(first_column, p.n);
#if CONTINUED
    // c holds the sums over an earlier part of k.
    var sums = array<vec4<f32>, ${ROWS}>();
    for (var row = first_row; row < min(first_row + ${ROWS}u, p.m); row++) {
        for (var column = 0u; column < present; column++) {
            sums[row - first_row][column] = c[c_start + row * p.c_row + column * p.c_column];
        }
    }
#end
#repeat g G
#repeat e 8
#if CONTINUED
    var s${g}_${e} = sums[${g}u * 8u + ${e}u];
#else
    var s${g}_${e} = vec4<f32>(0.0);
#end
#end
#end
    for (var step = 0u; step < p.k; step += ${STEPS}u) {
#if A_VEC
#repeat g G
#if SUBGROUP
        let l${g} = a_four(a${g} + step);
#else
#repeat e 8
        let l${g}_${e} = a_four(a${g}_${e} + step);
#end
#end
#end
#end
#if B_K
#if B_VEC
#repeat j 4
        let r${j} = b_four(b${j} + step);
#end
#end
#end
#repeat t STEPS
        {
#if B_K
#if B_VEC
            let right = vec4<f32>(r0[${t}], r1[${t}], r2[${t}], r3[${t}]);
#else
            let at = step + ${t}u;
            let right = vec4<f32>(b_one(b0 + at), b_one(b1 + at), b_one(b2 + at), b_one(b3 + at));
#end
#else
            let at = (step + ${t}u) * p.b_stride;
#if B_VEC
            let right = b_four(b0 + at);
#else
            let right = vec4<f32>(b_one(b0 + at), b_one(b1 + at), b_one(b2 + at), b_one(b3 + at));
#end
#end
#repeat g G
#if SUBGROUP
#if A_VEC
            let mine${g} = l${g}[${t}];
#else
#if A_K
            let mine${g} = a_one(a${g} + step + ${t}u);
#else
            let mine${g} = a_one(a${g} + (step + ${t}u) * p.a_stride);
#end
#end
#end
#repeat e 8
            {
#if SUBGROUP
                let left = subgroupBroadcast(mine${g}, ${e}u);
#else
#if A_VEC
                let left = l${g}_${e}[${t}];
#else
#if A_K
                let left = a_one(a${g}_${e} + step + ${t}u);
#else
                let left = a_one(a${g}_${e} + (step + ${t}u) * p.a_stride);
#end
#end
#end
                s${g}_${e} = fma(vec4<f32>(left), right, s${g}_${e});
            }
#end
#end
        }
#end
    }
    // A loop over copies, so that the store and the activation are compiled once and not for every register.
    var values = array<vec4<f32>, ${ROWS}>(
#repeat g G
#repeat e 8
        s${g}_${e},
#end
#end
    );
    for (var row = first_row; row < min(first_row + ${ROWS}u, p.m); row++) {
        for (var column = 0u; column < present; column++) {
#if BIAS
#if SWAPPED
            let value = values[row - first_row][column] + bias[p.bias_offset + row];
#else
            let value = values[row - first_row][column] + bias[p.bias_offset + first_column + column];
#end
#else
            let value = values[row - first_row][column];
#end
            c[c_start + row * p.c_row + column * p.c_column] = activation(value);
        }
    }
}
