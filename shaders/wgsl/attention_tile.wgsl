// Ragged fused attention for GPUs: a workgroup takes 64 queries of one head of one segment, one query per invocation, and
// walks over the keys in tiles of KEYS that the workgroup loads together. Online softmax: a new largest score scales
// what was summed so far. Same order of operations per query as attention_direct.wgsl: both give the same bits.
#import attention
#import attention_forward

const KEYS: u32 = ${KEYS}u;
var<workgroup> k_tile: array<vec4<f32>, KEYS * VECTORS>;
var<workgroup> v_tile: array<vec4<f32>, KEYS * VECTORS>;

@compute @workgroup_size(64)
fn main(
    @builtin(workgroup_id) group: vec3<u32>,
    @builtin(num_workgroups) grid: vec3<u32>,
    @builtin(local_invocation_index) lane: u32,
) {
    let number = workgroup_number(group, grid);
    if number == NO_WORK {
        return;
    }
    let tile = tiles[number / p.heads];
    let head = number % p.heads;
    let head_at = head * ${HEAD}u;
    let kv_at = head / p.share * ${HEAD}u;
    let present = tile.x + lane < tile.y;
    // Invocations past the end work on the last row and store nothing: all must reach the barriers.
    let row = min(tile.x + lane, tile.y - 1u);
    let my_row = row * p.width + head_at;
#repeat c VECTORS
    let q${c} = load_q(my_row, ${c}u);
    var sum${c} = begin_sum(my_row, ${c}u);
#end
    let begin = begin(row, head);
    var largest = begin.x;
    var total = begin.y;
    let my_stop = seen_by(row, tile.w);
    let stop = seen_by(tile.x + ROWS - 1u, tile.w);
    for (var first = tile.z; first < stop; first += KEYS) {
        let count = min(KEYS, stop - first);
        for (var e = lane; e < count * VECTORS; e += 64u) {
            let at = (first + e / VECTORS) * p.kv_width + kv_at;
            k_tile[e] = load_k(at, e % VECTORS);
            v_tile[e] = load_v(at, e % VECTORS);
        }
        workgroupBarrier();
        let seen = clamp(my_stop, first, first + count) - first;
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
        let scale = finish(row, head, largest, total, true);
#repeat c VECTORS
        store_y(my_row, ${c}u, sum${c} * scale);
#end
    }
}
