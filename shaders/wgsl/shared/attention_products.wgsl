        // Inside a loop over pairs of tiles: products of `queries` queries from row `query` with `keys` keys from row `key`
        // (s), and of the gradients of the results with the values (d). An invocation has BLOCK queries and BLOCK keys.
#repeat r BLOCK
#repeat j BLOCK
        var s${r}_${j} = 0.0;
        var d${r}_${j} = 0.0;
#end
#end
        for (var chunk = 0u; chunk < VECTORS; chunk += 4u) {
            workgroupBarrier();
            for (var e = lane; e < 4u * SIDE; e += 64u) {
                let row = e / 4u;
                let vector = chunk + e % 4u;
                let at = e % 4u * SIDE + row;
                var values = array<vec4<f32>, 4>();
                if row < queries && vector < VECTORS {
                    values[0] = load_q((query + row) * p.width + head_at, vector);
                    values[1] = load_g((query + row) * p.width + head_at, vector);
                }
                if row < keys && vector < VECTORS {
                    values[2] = load_k((key + row) * p.kv_width + kv_at, vector);
                    values[3] = load_v((key + row) * p.kv_width + kv_at, vector);
                }
                q_tile[at] = values[0];
                g_tile[at] = values[1];
                k_tile[at] = values[2];
                v_tile[at] = values[3];
            }
            workgroupBarrier();
            for (var c = 0u; c < 4u * SIDE; c += SIDE) {
#repeat r BLOCK
                let q${r} = q_tile[c + side * BLOCK + ${r}u];
                let g${r} = g_tile[c + side * BLOCK + ${r}u];
#end
#repeat j BLOCK
                let k${j} = k_tile[c + across + ${j}u * 8u];
                let v${j} = v_tile[c + across + ${j}u * 8u];
#repeat r BLOCK
                s${r}_${j} = chain(s${r}_${j}, q${r}, k${j});
                d${r}_${j} = chain(d${r}_${j}, g${r}, v${j});
#end
#end
            }
        }
