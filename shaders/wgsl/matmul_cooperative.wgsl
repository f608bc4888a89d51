// c = activation(a b + bias) by the cooperative matrices of an adapter (experimental in wgpu). A workgroup of 2 x 2 subgroups
// makes a tile of SIDE x SIDE values, FRAGMENTS x FRAGMENTS matrices of SIZE x SIZE each, from slices of f16 in workgroup
// memory; the sums are f32. With SPLIT every f32 factor is a sum of two halves, of which three products are taken: the
// accuracy of f32, relative to the largest values of the row and of the column.
enable f16;
enable wgpu_cooperative_matrix;

#import product
#import product_read x=a X=A sides=m
#import product_read x=b X=B sides=n
#if SPLIT
// Exponents of the powers of two that the rows of a and the columns of b are multiplied by (product_exponents.wgsl).
#if BIAS
@group(0) @binding(5) var<storage, read> a_exponents: array<i32>;
@group(0) @binding(6) var<storage, read> b_exponents: array<i32>;
#else
@group(0) @binding(4) var<storage, read> a_exponents: array<i32>;
@group(0) @binding(5) var<storage, read> b_exponents: array<i32>;
#end
#import split
#end
#import cooperative_slice x=a X=A sides=m
#import cooperative_slice x=b X=B sides=n
#import activation

// One matrix of sums for each subgroup: its elements cannot be reached otherwise.
var<workgroup> scratch: array<f32, ${SCRATCH}>;

@compute @workgroup_size(${THREADS})
fn main(
    @builtin(workgroup_id) group: vec3<u32>,
    @builtin(num_workgroups) grid: vec3<u32>,
    @builtin(local_invocation_index) lane: u32,
    @builtin(subgroup_id) wave: u32,
    @builtin(subgroup_invocation_id) member: u32,
) {
    // As in workgroup_number.wgsl, but the compiler must see that the whole workgroup returns: matrices need it.
    let number = group.y * grid.x + group.x;
    if number >= p.groups {
        return;
    }
    let batch = (p.base + number) / p.batch_groups;
    let tile = (p.base + number) % p.batch_groups;
    let across = (p.n + ${SIDE}u - 1u) / ${SIDE}u;
    let first_row = tile / across * ${SIDE}u;
    let first_column = tile % across * ${SIDE}u;
    let a_start = p.a_offset + batch * p.a_batch;
    let b_start = p.b_offset + batch * p.b_batch;
    // First row and column of this subgroup in the tile.
    let wave_row = wave / 2u * ${WAVE}u;
    let wave_column = wave % 2u * ${WAVE}u;
#repeat i FRAGMENTS
#repeat j FRAGMENTS
    var s${i}_${j} = coop_mat${SIZE}x${SIZE}<f32, C>();
#if SPLIT
    var t${i}_${j} = coop_mat${SIZE}x${SIZE}<f32, C>();
#end
#end
#end
#repeat l LOADS
    let e${l} = lane + ${l}u * ${THREADS}u;
    var a_next${l} = a_read(a_start, first_row + a_side(e${l}), a_depth(e${l}));
    var b_next${l} = b_read(b_start, first_column + b_side(e${l}), b_depth(e${l}));
#if SPLIT
    let a_power${l} = a_powers(batch, first_row + a_side(e${l}));
    let b_power${l} = b_powers(batch, first_column + b_side(e${l}));
#end
#end
    for (var start = 0u; start < p.k; start += ${DEPTH}u) {
#repeat l LOADS
#if SPLIT
        a_keep(e${l}, a_next${l} * a_power${l});
        b_keep(e${l}, b_next${l} * b_power${l});
#else
        a_keep(e${l}, a_next${l});
        b_keep(e${l}, b_next${l});
#end
#end
        workgroupBarrier();
        // The next slice is on its way while this one is used; past the end of k these are zeros.
#repeat l LOADS
        a_next${l} = a_read(a_start, first_row + a_side(e${l}), start + ${DEPTH}u + a_depth(e${l}));
        b_next${l} = b_read(b_start, first_column + b_side(e${l}), start + ${DEPTH}u + b_depth(e${l}));
#end
#repeat d STEPS
        {
#repeat i FRAGMENTS
            let a_at${i} = (wave_row + ${i}u * ${SIZE}u) * ${ROW}u + ${d}u * ${SIZE_FOURS}u;
            let b_at${i} = (wave_column + ${i}u * ${SIZE}u) * ${ROW}u + ${d}u * ${SIZE_FOURS}u;
            let a${i} = coopLoadT<coop_mat${SIZE}x${SIZE}<f16, A>>(&a_high[a_at${i}], ${ROW}u);
            let b${i} = coopLoad<coop_mat${SIZE}x${SIZE}<f16, B>>(&b_high[b_at${i}], ${ROW}u);
#if SPLIT
            let c${i} = coopLoadT<coop_mat${SIZE}x${SIZE}<f16, A>>(&a_low[a_at${i}], ${ROW}u);
            let d${i} = coopLoad<coop_mat${SIZE}x${SIZE}<f16, B>>(&b_low[b_at${i}], ${ROW}u);
#end
#end
#repeat i FRAGMENTS
#repeat j FRAGMENTS
            s${i}_${j} = coopMultiplyAdd(a${i}, b${j}, s${i}_${j});
#if SPLIT
            t${i}_${j} = coopMultiplyAdd(a${i}, d${j}, t${i}_${j});
            t${i}_${j} = coopMultiplyAdd(c${i}, b${j}, t${i}_${j});
#end
#end
#end
        }
#end
        workgroupBarrier();
    }
    let mine = wave * ${MATRIX}u;
    let stride = ${SIZE}u;
#repeat i FRAGMENTS
#repeat j FRAGMENTS
    {
        // Operands of a store must have names: naga 30 panics at expressions.
#if SPLIT
        let sums = s${i}_${j} + t${i}_${j} * 0.00048828125;
#else
        let sums = s${i}_${j};
#end
        coopStoreT(sums, &scratch[mine], stride);
        workgroupBarrier();
        for (var e = member; e < ${MATRIX}u; e += ${LANES}u) {
            let row = first_row + wave_row + ${i}u * ${SIZE}u + e / ${SIZE}u;
            let column = first_column + wave_column + ${j}u * ${SIZE}u + e % ${SIZE}u;
            if row < p.m && column < p.n {
                let at = p.c_offset + batch * p.c_batch + row * p.c_row + column;
                var value = scratch[mine + e];
#if SPLIT
                value = unscaled(value, a_exponent(batch, row) + b_exponent(batch, column));
#end
#if CONTINUED
                // c holds the sums over an earlier part of k.
                value += c[at];
#end
#if BIAS
                value += bias[p.bias_offset + column];
#end
                c[at] = activation(value);
            }
        }
        workgroupBarrier();
    }
#end
#end
}
