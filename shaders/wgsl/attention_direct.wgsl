// Ragged fused attention for drivers that run shaders on a CPU: keys and values are read directly and used for
// QUERIES queries at a time, because such drivers have no fast workgroup memory. A workgroup takes 64 queries of one head of one
// segment. Same order of operations per query as attention_tile.wgsl: both give the same bits.
#import attention
#import attention_forward

@compute @workgroup_size(8)
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
    for (var base = tile.x; base < min(tile.y, tile.x + ROWS); base += 8u * ${QUERIES}u) {
        // Queries past the end work on the last row and store nothing.
#repeat r QUERIES
        let row${r} = min(base + lane + ${r}u * 8u, tile.y - 1u);
        let my_row${r} = row${r} * p.width + head_at;
        let begin${r} = begin(row${r}, head);
        var largest${r} = begin${r}.x;
        var total${r} = begin${r}.y;
        let seen${r} = seen_by(row${r}, tile.w);
#repeat c VECTORS
        let q${r}_${c} = load_q(my_row${r}, ${c}u);
        var sum${r}_${c} = begin_sum(my_row${r}, ${c}u);
#end
#end
        let stop = seen_by(base + 8u * ${QUERIES}u - 1u, tile.w);
        for (var key = tile.z; key < stop; key++) {
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
            let hidden${r} = key >= seen${r};
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
        if base + lane + ${r}u * 8u < tile.y {
            let scale = finish(row${r}, head, largest${r}, total${r}, true);
#repeat c VECTORS
            store_y(my_row${r}, ${c}u, sum${r}_${c} * scale);
#end
        }
#end
    }
}
