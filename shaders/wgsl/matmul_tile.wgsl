// c = activation(a b + bias) for GPUs: a workgroup of X x Y invocations makes a tile of ROWS x COLUMNS values from slices
// of DEPTH along k in workgroup memory; an invocation makes 4 A_BLOCKS x 4 B_BLOCKS of them in registers, and reads its
// part of the next slice while it works on this one. A value is one chain of multiply-adds over k in order, as in
// matmul_register.wgsl: all variants give the same bits.
#import product
#import product_read x=a X=A sides=m
#import product_read x=b X=B sides=n
#import tile_slice x=a X=A
#import tile_slice x=b X=B
#import activation
#import workgroup_number

@compute @workgroup_size(${THREADS})
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
    let across = (p.n + ${COLUMNS}u - 1u) / ${COLUMNS}u;
    let first_row = tile / across * ${ROWS}u;
    let first_column = tile % across * ${COLUMNS}u;
    let a_start = p.a_offset + batch * p.a_batch;
    let b_start = p.b_offset + batch * p.b_batch;
    // 32 neighbouring invocations read few different vectors of the slices: WARP of b, 32 / WARP of a.
    let my_column = lane % ${WARP}u + ${WARP}u * (lane / 32u % ${X_WARPS}u);
    let my_row = lane / ${WARP}u % ${WARP_ROWS}u + ${WARP_ROWS}u * (lane / ${WARPS}u);
#repeat r A_BLOCKS
#repeat i 4
#repeat h B_BLOCKS
    var s${r}_${i}_${h} = vec4<f32>(0.0);
#end
#end
#end
#if CONTINUED
    // c holds the sums over an earlier part of k.
#repeat r A_BLOCKS
#repeat i 4
#repeat h B_BLOCKS
    {
        let row = first_row + ${r}u * ${A_BLOCK}u + my_row * 4u + ${i}u;
        let column = first_column + ${h}u * ${B_BLOCK}u + my_column * 4u;
        let at = p.c_offset + batch * p.c_batch + row * p.c_row + column;
#if C_VEC
        if row < p.m && column < p.n {
            s${r}_${i}_${h} = c[at / 4u];
        }
#else
#repeat j 4
        if row < p.m && column + ${j}u < p.n {
            s${r}_${i}_${h}[${j}] = c[at + ${j}u];
        }
#end
#end
    }
#end
#end
#end
#end
#repeat l A_LOADS
    let a_e${l} = lane + ${l}u * ${THREADS}u;
    var a_next${l} = a_read(a_start, first_row + a_side(a_e${l}), a_depth(a_e${l}));
#end
#repeat l B_LOADS
    let b_e${l} = lane + ${l}u * ${THREADS}u;
    var b_next${l} = b_read(b_start, first_column + b_side(b_e${l}), b_depth(b_e${l}));
#end
    for (var start = 0u; start < p.k; start += ${DEPTH}u) {
#repeat l A_LOADS
#if A_PARTIAL
        if a_e${l} < ${A_PARTS}u {
            a_keep(a_e${l}, a_next${l});
        }
#else
        a_keep(a_e${l}, a_next${l});
#end
#end
#repeat l B_LOADS
#if B_PARTIAL
        if b_e${l} < ${B_PARTS}u {
            b_keep(b_e${l}, b_next${l});
        }
#else
        b_keep(b_e${l}, b_next${l});
#end
#end
        workgroupBarrier();
        // The next slice is on its way while this one is used; past the end of k these are zeros.
#repeat l A_LOADS
        a_next${l} = a_read(a_start, first_row + a_side(a_e${l}), start + ${DEPTH}u + a_depth(a_e${l}));
#end
#repeat l B_LOADS
        b_next${l} = b_read(b_start, first_column + b_side(b_e${l}), start + ${DEPTH}u + b_depth(b_e${l}));
#end
#repeat d DEPTH
        {
#repeat r A_BLOCKS
            let left${r} = a_slice[${d}u * ${A_ROW}u + ${r}u * ${Y}u + my_row];
#end
#repeat h B_BLOCKS
            let right${h} = b_slice[${d}u * ${B_ROW}u + ${h}u * ${X}u + my_column];
#end
#repeat r A_BLOCKS
#repeat i 4
#repeat h B_BLOCKS
            s${r}_${i}_${h} = fma(vec4<f32>(left${r}[${i}]), right${h}, s${r}_${i}_${h});
#end
#end
#end
        }
#end
        workgroupBarrier();
    }
#repeat r A_BLOCKS
#repeat i 4
#repeat h B_BLOCKS
    {
        let row = first_row + ${r}u * ${A_BLOCK}u + my_row * 4u + ${i}u;
        let column = first_column + ${h}u * ${B_BLOCK}u + my_column * 4u;
        let at = p.c_offset + batch * p.c_batch + row * p.c_row + column;
#if C_VEC
        if row < p.m && column < p.n {
            var four = s${r}_${i}_${h};
#if BIAS
            let shift = p.bias_offset + column;
            four += vec4<f32>(bias[shift], bias[shift + 1u], bias[shift + 2u], bias[shift + 3u]);
#end
            c[at / 4u] = vec4<f32>(activation(four.x), activation(four.y), activation(four.z), activation(four.w));
        }
#else
#repeat j 4
        if row < p.m && column + ${j}u < p.n {
#if BIAS
            c[at + ${j}u] = activation(s${r}_${i}_${h}[${j}] + bias[p.bias_offset + column + ${j}u]);
#else
            c[at + ${j}u] = activation(s${r}_${i}_${h}[${j}]);
#end
        }
#end
#end
    }
#end
#end
#end
}
