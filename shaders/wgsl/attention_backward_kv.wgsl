// Gradients of the keys and values of ragged fused attention (Dao 2023): a workgroup takes 32 keys of one key head of one
// segment and walks over the query heads that share it and over their queries in tiles of 32, in this order. An
// invocation has 4 keys, and every eighth vector of columns of their gradients.
#import attention
#import attention_backward
@group(0) @binding(7) var<storage, read_write> dk: array<f32>;
@group(0) @binding(8) var<storage, read_write> dv: array<f32>;

// Weights of a pair of tiles and gradients of the scores, [query, key].
var<workgroup> weights: array<f32, 1024>;
var<workgroup> slopes: array<f32, 1024>;

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
    let kv_heads = p.heads / p.share;
    let item = (p.base + number) / kv_heads;
    let kv_head = (p.base + number) % kv_heads;
    let kv_at = kv_head * ${HEAD}u;
    let key = tiles[item / 2u * 3u] + item % 2u * SIDE;
    let start = tiles[item / 2u * 3u + 1u];
    let end = tiles[item / 2u * 3u + 2u];
    if key >= end {
        return;
    }
    let keys = min(SIDE, end - key);
    let side = lane / 8u;
    let across = lane % 8u;
#repeat r 4
    let row${r} = key + side * 4u + ${r}u;
#repeat t TURNS
    var dk${r}_${t} = vec4<f32>(0.0);
    var dv${r}_${t} = vec4<f32>(0.0);
#end
#end
#if CAUSAL
    let first = key;
#else
    let first = start;
#end
    let count = (end - first + SIDE - 1u) / SIDE;
    for (var turn = 0u; turn < p.share * count; turn++) {
        let head = kv_head * p.share + turn / count;
        let head_at = head * ${HEAD}u;
        let query = first + turn % count * SIDE;
        let queries = min(SIDE, end - query);
#import attention_products
#repeat r 4
        {
            let local_query = side * 4u + ${r}u;
            let known = stats[min(query + local_query, end - 1u) * p.heads + head];
#repeat j 4
            {
                let local = across + ${j}u * 8u;
#if CAUSAL
                let hidden = key + local > query + local_query;
#else
                let hidden = false;
#end
                let weight = select(exp2(s${r}_${j} * p.scale - known.x), 0.0, hidden);
                weights[local_query * SIDE + local] = weight;
                slopes[local_query * SIDE + local] = select(weight * (d${r}_${j} - known.y), 0.0, hidden);
            }
#end
        }
#end
        workgroupBarrier();
        for (var i = 0u; i < queries; i++) {
#repeat r 4
            let weight${r} = weights[i * SIDE + side * 4u + ${r}u];
            let slope${r} = slopes[i * SIDE + side * 4u + ${r}u];
#end
#repeat t TURNS
            if across + ${t}u * 8u < VECTORS {
                let at_v = load_g((query + i) * p.width + head_at, across + ${t}u * 8u);
                let at_k = load_q((query + i) * p.width + head_at, across + ${t}u * 8u);
#repeat r 4
#if CAUSAL
                // A gradient that this key must not see may be no number.
                if row${r} <= query + i {
                    dv${r}_${t} = fma(vec4<f32>(weight${r}), at_v, dv${r}_${t});
                    dk${r}_${t} = fma(vec4<f32>(slope${r}), at_k, dk${r}_${t});
                }
#else
                dv${r}_${t} = fma(vec4<f32>(weight${r}), at_v, dv${r}_${t});
                dk${r}_${t} = fma(vec4<f32>(slope${r}), at_k, dk${r}_${t});
#end
#end
            }
#end
        }
    }
#repeat r 4
    if row${r} < end {
#repeat t TURNS
        for (var c = 0u; c < 4u; c++) {
            let column = (across + ${t}u * 8u) * 4u + c;
            if column < ${HEAD}u {
                dk[row${r} * p.kv_width + kv_at + column] = dk${r}_${t}[c] * p.factor;
                dv[row${r} * p.kv_width + kv_at + column] = dv${r}_${t}[c];
            }
        }
#end
    }
#end
}
