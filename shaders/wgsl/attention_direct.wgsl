// Ragged fused attention for drivers that run shaders on a CPU: keys and values are read directly and used for
// QUERIES queries at a time, because such drivers have no fast workgroup memory. A workgroup takes 64 queries of one head of one
// segment. Same order of operations per query as attention_tile.wgsl: both give the same bits.
#import attention
#import attention_forward

const VECTORS: u32 = ${VECTORS}u;

@compute @workgroup_size(8)
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
    for (var base = tile_first; base < min(end, tile_first + ROWS); base += 8u * ${QUERIES}u) {
        // Queries past the end work on the last row and store nothing.
#repeat r QUERIES
        let row${r} = min(base + lane + ${r}u * 8u, end - 1u);
        let my_row${r} = row${r} * p.width + head_at;
        var largest${r} = LOWEST;
        var total${r} = 0.0;
#repeat c VECTORS
        let q${r}_${c} = load_q(my_row${r}, ${c}u);
        var sum${r}_${c} = vec4<f32>(0.0);
#end
#end
#if CAUSAL
        let stop = min(end, base + 8u * ${QUERIES}u);
#else
        let stop = end;
#end
        for (var key = start; key < stop; key++) {
            let at = key * p.kv_width + kv_at;
#repeat r QUERIES
            var product${r} = vec4<f32>(0.0);
#end
#repeat c VECTORS
            {
                let column = load_k(at, ${c}u);
#repeat r QUERIES
                product${r} = fma(q${r}_${c}, column, product${r});
#end
            }
#end
#repeat r QUERIES
#if CAUSAL
            let hidden${r} = key > row${r};
#else
            let hidden${r} = false;
#end
            let score${r} = ((product${r}.x + product${r}.y) + (product${r}.z + product${r}.w)) * p.scale;
            if score${r} > largest${r} && !hidden${r} {
                let correction = exp2(largest${r} - score${r});
                largest${r} = score${r};
                total${r} *= correction;
#repeat c VECTORS
                sum${r}_${c} *= correction;
#end
            }
            let weight${r} = select(exp2(score${r} - largest${r}), 0.0, hidden${r});
            total${r} += weight${r};
#end
#repeat c VECTORS
            {
                let column = load_v(at, ${c}u);
#repeat r QUERIES
#if CAUSAL
                // A value that the query must not see may be no number.
                sum${r}_${c} = select(fma(vec4<f32>(weight${r}), column, sum${r}_${c}), sum${r}_${c}, hidden${r});
#else
                sum${r}_${c} = fma(vec4<f32>(weight${r}), column, sum${r}_${c});
#end
#end
            }
#end
        }
#repeat r QUERIES
        if base + lane + ${r}u * 8u < end {
            let scale = 1.0 / total${r};
#repeat c VECTORS
            store(my_row${r}, ${c}u, sum${r}_${c} * scale);
#end
#if LSE
            lse[row${r} * p.heads + head] = largest${r} + log2(total${r});
#end
        }
#end
    }
}
