// Gradients of the queries of ragged fused attention (Dao 2023): a workgroup takes 32 queries of one head of one segment
// and walks over the keys in tiles of 32. Weights are computed again from the saved logarithms. An invocation has 4
// queries, and every eighth vector of columns of their gradients.
#import attention
#import attention_backward
@group(0) @binding(7) var<storage, read_write> dq: array<f32>;

// Gradients of the scores of a pair of tiles, [key, query].
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
    let item = (p.base + number) / p.heads;
    let head = (p.base + number) % p.heads;
    let head_at = head * ${HEAD}u;
    let kv_at = head / p.share * ${HEAD}u;
    let query = tiles[item / 2u * 3u] + item % 2u * SIDE;
    let start = tiles[item / 2u * 3u + 1u];
    let end = tiles[item / 2u * 3u + 2u];
    if query >= end {
        return;
    }
    let queries = min(SIDE, end - query);
    let side = lane / 8u;
    let across = lane % 8u;
#repeat r 4
    let row${r} = query + side * 4u + ${r}u;
    let stats${r} = stats[min(row${r}, end - 1u) * p.heads + head];
#repeat t TURNS
    var sum${r}_${t} = vec4<f32>(0.0);
#end
#end
#if CAUSAL
    let stop = min(end, query + SIDE);
#else
    let stop = end;
#end
    for (var key = start; key < stop; key += SIDE) {
        let keys = min(SIDE, stop - key);
#import attention_products
#repeat j 4
#repeat r 4
        {
            let local = across + ${j}u * 8u;
#if CAUSAL
            let hidden = key + local > row${r};
#else
            let hidden = local >= keys;
#end
            let weight = exp2(s${r}_${j} * p.scale - stats${r}.x);
            slopes[local * SIDE + side * 4u + ${r}u] = select(weight * (d${r}_${j} - stats${r}.y), 0.0, hidden);
        }
#end
#end
        workgroupBarrier();
        for (var i = 0u; i < keys; i++) {
#repeat r 4
            let slope${r} = slopes[i * SIDE + side * 4u + ${r}u];
#end
#repeat t TURNS
            if across + ${t}u * 8u < VECTORS {
                let column = load_k((key + i) * p.kv_width + kv_at, across + ${t}u * 8u);
#repeat r 4
#if CAUSAL
                let next${r} = fma(vec4<f32>(slope${r}), column, sum${r}_${t});
                sum${r}_${t} = select(next${r}, sum${r}_${t}, key + i > row${r});
#else
                sum${r}_${t} = fma(vec4<f32>(slope${r}), column, sum${r}_${t});
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
                dq[row${r} * p.width + head_at + column] = sum${r}_${t}[c] * p.factor;
            }
        }
#end
    }
#end
}
