// c = activation(a b + bias) by the cooperative matrices of an adapter (experimental in wgpu). A workgroup of 2 x 2 subgroups
// makes a tile of SIDE x SIDE values, FRAGMENTS x FRAGMENTS matrices of SIZE x SIZE each, from slices of f16 in workgroup
// memory; the sums are f32. With SPLIT every f32 factor is a sum of two halves, of which three products are taken: the
// accuracy of f32 for factors between 1e-4 and 65,504.
enable f16;
enable wgpu_cooperative_matrix;

#import product
#import product_read
#import activation

// SIDE rows (columns) of DEPTH values as vectors, each with two vectors of padding against bank conflicts.
var<workgroup> a_high: array<vec4<f16>, ${SLICE}>;
var<workgroup> b_high: array<vec4<f16>, ${SLICE}>;
#if SPLIT
var<workgroup> a_low: array<vec4<f16>, ${SLICE}>;
var<workgroup> b_low: array<vec4<f16>, ${SLICE}>;
#end
// One matrix of sums for each subgroup: its elements cannot be reached otherwise.
var<workgroup> scratch: array<f32, ${SCRATCH}>;

// The part of the values that f16 holds exactly. By bit masks: drivers fold conversions to f16 and back away.
fn high(four: vec4<f32>) -> vec4<f32> {
#if SPLIT
    return bitcast<vec4<f32>>(bitcast<vec4<u32>>(four) & vec4<u32>(0xffffe000u));
#else
    return four;
#end
}

// Which part of a slice load `e` is, and where it goes.
#if A_K
fn a_side(e: u32) -> u32 {
    return e / ${DEPTH_FOURS}u;
}
fn a_depth(e: u32) -> u32 {
    return e % ${DEPTH_FOURS}u * 4u;
}
fn a_keep(e: u32, four: vec4<f32>) {
    let at = a_side(e) * ${ROW}u + a_depth(e) / 4u;
    let head = high(four);
    a_high[at] = vec4<f16>(head);
#if SPLIT
    a_low[at] = vec4<f16>((four - head) * 2048.0);
#end
}
#else
fn a_side(e: u32) -> u32 {
    return e % ${FOURS}u * 4u;
}
fn a_depth(e: u32) -> u32 {
    return e / ${FOURS}u;
}
fn a_keep(e: u32, four: vec4<f32>) {
    let at = a_side(e) * ${ROW}u + a_depth(e) / 4u;
    let part = a_depth(e) % 4u;
    let head = high(four);
#if SPLIT
    let tail = (four - head) * 2048.0;
#end
#repeat i 4
    a_high[at + ${i}u * ${ROW}u][part] = f16(head[${i}]);
#if SPLIT
    a_low[at + ${i}u * ${ROW}u][part] = f16(tail[${i}]);
#end
#end
}
#end
#if B_K
fn b_side(e: u32) -> u32 {
    return e / ${DEPTH_FOURS}u;
}
fn b_depth(e: u32) -> u32 {
    return e % ${DEPTH_FOURS}u * 4u;
}
fn b_keep(e: u32, four: vec4<f32>) {
    let at = b_side(e) * ${ROW}u + b_depth(e) / 4u;
    let head = high(four);
    b_high[at] = vec4<f16>(head);
#if SPLIT
    b_low[at] = vec4<f16>((four - head) * 2048.0);
#end
}
#else
fn b_side(e: u32) -> u32 {
    return e % ${FOURS}u * 4u;
}
fn b_depth(e: u32) -> u32 {
    return e / ${FOURS}u;
}
fn b_keep(e: u32, four: vec4<f32>) {
    let at = b_side(e) * ${ROW}u + b_depth(e) / 4u;
    let part = b_depth(e) % 4u;
    let head = high(four);
#if SPLIT
    let tail = (four - head) * 2048.0;
#end
#repeat i 4
    b_high[at + ${i}u * ${ROW}u][part] = f16(head[${i}]);
#if SPLIT
    b_low[at + ${i}u * ${ROW}u][part] = f16(tail[${i}]);
#end
#end
}
#end

@compute @workgroup_size(${THREADS})
fn main(
    @builtin(workgroup_id) group: vec3<u32>,
    @builtin(num_workgroups) grid: vec3<u32>,
    @builtin(local_invocation_index) lane: u32,
    @builtin(subgroup_id) wave: u32,
    @builtin(subgroup_invocation_id) member: u32,
) {
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
#end
    for (var start = 0u; start < p.k; start += ${DEPTH}u) {
#repeat l LOADS
        a_keep(e${l}, a_next${l});
        b_keep(e${l}, b_next${l});
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
