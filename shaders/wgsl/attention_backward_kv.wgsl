// Gradients of the keys and values of ragged fused attention (Dao 2023): a workgroup takes SIDE keys of one key head of one
// segment and walks over the query heads that share it and over their queries in tiles of SIDE, in this order. An
// invocation has BLOCK keys, and every eighth vector of columns of their gradients.
#import attention
#import attention_backward
#import head_vectors x=dk binding=7 access=read_write
#import head_vectors x=dv binding=8 access=read_write
#import head_store x=dk
#import head_store x=dv

// Weights of a pair of tiles and gradients of the scores, [query, key].
var<workgroup> weights: array<f32, SIDE * SIDE>;
var<workgroup> slopes: array<f32, SIDE * SIDE>;

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
    let kv_heads = p.heads / p.share;
    let item = number / kv_heads;
    let kv_head = number % kv_heads;
    let kv_at = kv_head * ${HEAD}u;
    let tile = tiles[item / PIECES];
    let key = tile.x + item % PIECES * SIDE;
    let end = tile.y;
    if key >= end {
        return;
    }
    let keys = min(SIDE, end - key);
    let side = lane / 8u;
    let across = lane % 8u;
#repeat r BLOCK
    let row${r} = key + side * BLOCK + ${r}u;
#repeat t TURNS
    var dk${r}_${t} = vec4<f32>(0.0);
    var dv${r}_${t} = vec4<f32>(0.0);
#if PARTS
    if p.continued != 0u && row${r} < end && across + ${t}u * 8u < VECTORS {
        dk${r}_${t} = load_dk(row${r} * p.kv_width + kv_at, across + ${t}u * 8u);
        dv${r}_${t} = load_dv(row${r} * p.kv_width + kv_at, across + ${t}u * 8u);
    }
#end
#end
#end
#if CAUSAL
    // The first query that sees the first key.
    let first = clamp(u32(max(i32(key) - p.ahead, 0)), tile.z, tile.w);
#else
    let first = tile.z;
#end
    let count = (tile.w - first + SIDE - 1u) / SIDE;
    for (var turn = 0u; turn < p.turns * count; turn++) {
        let head = kv_head * p.share + p.first_head + turn / count;
        let head_at = head * ${HEAD}u;
        let query = first + turn % count * SIDE;
        let queries = min(SIDE, tile.w - query);
#import attention_products
#repeat r BLOCK
        {
            let local_query = side * BLOCK + ${r}u;
            let seen = seen_by(query + local_query, end);
            let known = stats[min(query + local_query, tile.w - 1u) * p.heads + head];
#repeat j BLOCK
            {
                let local = across + ${j}u * 8u;
#if CAUSAL
                let hidden = key + local >= seen;
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
#repeat r BLOCK
            let weight${r} = weights[i * SIDE + side * BLOCK + ${r}u];
            let slope${r} = slopes[i * SIDE + side * BLOCK + ${r}u];
#end
#repeat t TURNS
            if across + ${t}u * 8u < VECTORS {
                let at_v = load_g((query + i) * p.width + head_at, across + ${t}u * 8u);
                let at_k = load_q((query + i) * p.width + head_at, across + ${t}u * 8u);
#repeat r BLOCK
#if CAUSAL
                // A gradient that this key must not see may be no number.
                if row${r} < seen_by(query + i, end) {
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
#if PARTS
    let factor = select(p.factor, 1.0, p.unfinished != 0u);
#else
    let factor = p.factor;
#end
#repeat r BLOCK
    if row${r} < end {
#repeat t TURNS
        if across + ${t}u * 8u < VECTORS {
            let at = row${r} * p.kv_width + kv_at;
            store_dk(at, across + ${t}u * 8u, dk${r}_${t} * factor);
            store_dv(at, across + ${t}u * 8u, dv${r}_${t});
        }
#end
    }
#end
}
