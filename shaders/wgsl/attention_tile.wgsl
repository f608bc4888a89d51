// Ragged fused attention for GPUs: a workgroup takes 64 queries of one head of one segment, one query per invocation, and
// walks over the keys in tiles of KEYS that the workgroup loads together. Online softmax: a new largest score scales
// what was summed so far. Same order of operations per query as attention_direct.wgsl: both give the same bits.
#import attention
#import attention_forward

const KEYS: u32 = ${KEYS}u;
const VECTORS: u32 = ${VECTORS}u;
var<workgroup> k_tile: array<vec4<f32>, KEYS * VECTORS>;
var<workgroup> v_tile: array<vec4<f32>, KEYS * VECTORS>;

@compute @workgroup_size(64)
fn main(
    @builtin(workgroup_id) group: vec3<u32>,
    @builtin(num_workgroups) grid: vec3<u32>,
    @builtin(local_invocation_index) lane: u32,
) {
    let number = group.y * grid.x + group.x;
    if number >= p.groups {
        return;
    }
    let tile = (p.base + number) / p.heads * 3u;
    let head = (p.base + number) % p.heads;
    let head_at = head * ${HEAD}u;
    let kv_at = head / p.share * ${HEAD}u;
    let tile_first = tiles[tile];
    let start = tiles[tile + 1u];
    let end = tiles[tile + 2u];
    let present = tile_first + lane < end;
    // Invocations past the end work on the last row and store nothing: all must reach the barriers.
    let row = min(tile_first + lane, end - 1u);
    let my_row = row * p.width + head_at;
#repeat c VECTORS
    let q${c} = load_q(my_row, ${c}u);
    var sum${c} = vec4<f32>(0.0);
#end
    var largest = LOWEST;
    var total = 0.0;
#if CAUSAL
    let stop = min(end, tile_first + ROWS);
#else
    let stop = end;
#end
    for (var first = start; first < stop; first += KEYS) {
        let count = min(KEYS, stop - first);
        for (var e = lane; e < count * VECTORS; e += 64u) {
            let at = (first + e / VECTORS) * p.kv_width + kv_at;
            k_tile[e] = load_k(at, e % VECTORS);
            v_tile[e] = load_v(at, e % VECTORS);
        }
        workgroupBarrier();
#if CAUSAL
        let seen = clamp(row + 1u, first, first + count) - first;
#else
        let seen = count;
#end
        for (var key = 0u; key < seen; key++) {
            let at = key * VECTORS;
            var product = vec4<f32>(0.0);
#repeat c VECTORS
            product = fma(q${c}, k_tile[at + ${c}u], product);
#end
            let score = ((product.x + product.y) + (product.z + product.w)) * p.scale;
            if score > largest {
                let correction = exp2(largest - score);
                largest = score;
                total *= correction;
#repeat c VECTORS
                sum${c} *= correction;
#end
            }
            let weight = exp2(score - largest);
            total += weight;
#repeat c VECTORS
            sum${c} = fma(vec4<f32>(weight), v_tile[at + ${c}u], sum${c});
#end
        }
        workgroupBarrier();
    }
    if present {
        let scale = 1.0 / total;
#repeat c VECTORS
        store(my_row, ${c}u, sum${c} * scale);
#end
#if LSE
        lse[row * p.heads + head] = largest + log2(total);
#end
    }
}
