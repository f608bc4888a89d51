// Gradients of the queries of ragged fused attention (Dao 2023): a workgroup takes SIDE queries of one head of one segment
// and walks over the keys in tiles of SIDE. Weights are computed again from the saved logarithms. An invocation has BLOCK
// queries, and every eighth vector of columns of their gradients.
#import attention
#import attention_backward
#import head_vectors x=dq binding=7 access=read_write
#import head_store x=dq

// Gradients of the scores of a pair of tiles, [key, query].
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
    let item = number / p.heads;
    let head = number % p.heads;
    let head_at = head * ${HEAD}u;
    let kv_at = head / p.share * ${HEAD}u;
    let tile = tiles[item / PIECES];
    let query = tile.x + item % PIECES * SIDE;
    let end = tile.y;
    if query >= end {
        return;
    }
    let queries = min(SIDE, end - query);
    let side = lane / 8u;
    let across = lane % 8u;
#repeat r BLOCK
    let row${r} = query + side * BLOCK + ${r}u;
    let seen${r} = seen_by(row${r}, tile.w);
    let stats${r} = stats[min(row${r}, end - 1u) * p.heads + head];
#repeat t TURNS
    var sum${r}_${t} = vec4<f32>(0.0);
#if PARTS
    if p.continued != 0u && row${r} < end && across + ${t}u * 8u < VECTORS {
        sum${r}_${t} = load_dq(row${r} * p.width + head_at, across + ${t}u * 8u);
    }
#end
#end
#end
    let stop = seen_by(query + SIDE - 1u, tile.w);
    for (var key = tile.z; key < stop; key += SIDE) {
        let keys = min(SIDE, stop - key);
#import attention_products
#repeat j BLOCK
#repeat r BLOCK
        {
            let local = across + ${j}u * 8u;
#if CAUSAL
            let hidden = key + local >= seen${r};
#else
            let hidden = local >= keys;
#end
            let weight = exp2(s${r}_${j} * p.scale - stats${r}.x);
            slopes[local * SIDE + side * BLOCK + ${r}u] = select(weight * (d${r}_${j} - stats${r}.y), 0.0, hidden);
        }
#end
#end
        workgroupBarrier();
        for (var i = 0u; i < keys; i++) {
#repeat r BLOCK
            let slope${r} = slopes[i * SIDE + side * BLOCK + ${r}u];
#end
#repeat t TURNS
            if across + ${t}u * 8u < VECTORS {
                let column = load_k((key + i) * p.kv_width + kv_at, across + ${t}u * 8u);
#repeat r BLOCK
#if CAUSAL
                let next${r} = fma(vec4<f32>(slope${r}), column, sum${r}_${t});
                sum${r}_${t} = select(next${r}, sum${r}_${t}, key + i >= seen${r});
#else
                sum${r}_${t} = fma(vec4<f32>(slope${r}), column, sum${r}_${t});
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
            store_dq(row${r} * p.width + head_at, across + ${t}u * 8u, sum${r}_${t} * factor);
        }
#end
    }
#end
}
