// A product c = a b of an attention by feature maps, for every item (rows of one segment) and head. A workgroup of 16 x 16
// invocations makes 64 rows and 16 * COLUMNS columns of c, four rows and COLUMNS columns each, from slices of 16 along
// k in workgroup memory. A value is one chain of multiply-adds over k in order.
//
// LEFT: a holds 0 values; 1 projections whose features exp(a + offset of the row) + shift count; 2 projections whose
// features max(a, 0) count. ALONG: the rows of a lie along k (their number is that of the item), and row `extra` of c is
// the sum of b. LEFT_ONES: column `ones` of a counts as 1; RIGHT_ONES: column `ones` of b does; WEIGHTED: as the weight of
// the row, which is in `side`.
// EPILOGUE: 0 c = scale * sum; 1 column `ones` of the sums times scale is the denominator of the others, and is stored
// beside; 2 as 0, plus a factor of the row times `side`.
struct Parameters {
    base: u32, groups: u32, heads: u32, row_tiles: u32, column_tiles: u32,
    m: u32, n: u32, k: u32,
    a_offset: u32, a_row: u32, a_head: u32,
    b_offset: u32, b_first: u32, b_segment: u32, b_head: u32, b_k: u32, b_column: u32,
    c_offset: u32, c_first: u32, c_item: u32, c_head: u32, c_row: u32,
    ones: u32, extra: u32, side_offset: u32,
    scale: f32, shift: f32, least: f32, added: f32,
}
@group(0) @binding(0) var<uniform> p: Parameters;
@group(0) @binding(1) var<storage, read> a: array<f32>;
@group(0) @binding(2) var<storage, read> b: array<f32>;
@group(0) @binding(3) var<storage, read_write> c: array<f32>;
// First row, rows, segment, number of the item.
@group(0) @binding(4) var<storage, read> items: array<vec4<u32>>;
#if STATISTICS
@group(0) @binding(5) var<storage, read> statistics: array<vec4<f32>>;
#end
#if EPILOGUE == 1
@group(0) @binding(${SIDE}) var<storage, read_write> side: array<f32>;
var<workgroup> totals: array<vec4<f32>, 16>;
#end
#if EPILOGUE == 2
@group(0) @binding(${SIDE}) var<storage, read> side: array<f32>;
#end
#if WEIGHTED
@group(0) @binding(${SIDE}) var<storage, read> side: array<f32>;
#end

const ACROSS: u32 = 16u * ${COLUMNS}u;
// 64 rows for each step along k, as vectors, and one vector of padding.
var<workgroup> left: array<vec4<f32>, 272>;
var<workgroup> right: array<f32, 256 * ${COLUMNS}>;

#import workgroup_number

@compute @workgroup_size(256)
fn main(
    @builtin(workgroup_id) group: vec3<u32>,
    @builtin(num_workgroups) grid: vec3<u32>,
    @builtin(local_invocation_index) lane: u32,
) {
    var job = workgroup_number(group, grid);
    if job == NO_WORK {
        return;
    }
    let first_column = (job % p.column_tiles) * ACROSS;
    job /= p.column_tiles;
    let first_row = (job % p.row_tiles) * 64u;
    job /= p.row_tiles;
    let head = job % p.heads;
    let item = items[job / p.heads];
#if ALONG
    let m = p.m;
    let k = item.y;
#else
    let m = item.y;
    let k = p.k;
#end
    let a_base = p.a_offset + item.x * p.a_row + head * p.a_head;
    let b_base = p.b_offset + item.x * p.b_first + item.z * p.b_segment + head * p.b_head;
    let my_row = lane / 16u;
    let my_column = lane % 16u;
#repeat j COLUMNS
    var sum${j} = vec4<f32>(0.0);
#end
    for (var start = 0u; start < k; start += 16u) {
        for (var load = 0u; load < 4u; load++) {
            let e = lane + load * 256u;
#if ALONG
            let side_row = e % 64u;
            let depth = e / 64u;
            let row = start + depth;
            let column = first_row + side_row;
            let inside = row < k && column < m;
#else
            let side_row = e / 16u;
            let depth = e % 16u;
            let row = first_row + side_row;
            let column = start + depth;
            let inside = row < m && column < k;
#end
            var value = 0.0;
            if inside {
#if ALONG
#if EXTRA
                if column == p.extra {
                    value = 1.0;
                } else {
#end
#end
#if LEFT_ONES
                if column == p.ones {
#if WEIGHTED
                    value = side[p.side_offset + item.x + row];
#else
                    value = 1.0;
#end
                } else {
                    value = a[a_base + row * p.a_row + column];
                }
#else
                value = a[a_base + row * p.a_row + column];
#end
#if LEFT == 1
                value = exp(value + statistics[(item.x + row) * p.heads + head].w) + p.shift;
#end
#if LEFT == 2
                value = select(value, 0.0, value < 0.0);
#end
#if ALONG
#if EXTRA
                }
#end
#end
            }
            left[depth * 17u + side_row / 4u][side_row % 4u] = value;
        }
        for (var load = 0u; load < ${COLUMNS}u; load++) {
            let e = lane + load * 256u;
            let near = p.b_column == 1u;
            let across = select(e / 16u, e % ACROSS, near);
            let depth = select(e % 16u, e / ACROSS, near);
            let column = first_column + across;
            let row = start + depth;
            var value = 0.0;
            if column < p.n && row < k {
#if RIGHT_ONES
                if column == p.ones {
#if WEIGHTED
                    value = side[p.side_offset + item.x + row];
#else
                    value = 1.0;
#end
                } else {
                    value = b[b_base + row * p.b_k + column * p.b_column];
                }
#else
                value = b[b_base + row * p.b_k + column * p.b_column];
#end
            }
            right[depth * ACROSS + across] = value;
        }
        workgroupBarrier();
        for (var step = 0u; step < 16u; step += 4u) {
#repeat d 4
            {
                let values = left[(step + ${d}u) * 17u + my_row];
                let at = (step + ${d}u) * ACROSS + my_column;
#repeat j COLUMNS
                sum${j} = fma(values, vec4<f32>(right[at + ${j}u * 16u]), sum${j});
#end
            }
#end
        }
        workgroupBarrier();
    }
#if EPILOGUE == 1
#repeat j COLUMNS
    if my_column + ${j}u * 16u == p.ones {
        totals[my_row] = sum${j};
    }
#end
    workgroupBarrier();
    let total = p.scale * totals[my_row];
    let divisor = select(total, vec4<f32>(p.least), total < vec4<f32>(p.least)) + p.added;
#end
    let c_base = p.c_offset + item.x * p.c_first + item.w * p.c_item + head * p.c_head;
#repeat i 4
    {
        let row = first_row + my_row * 4u + ${i}u;
        if row < m {
#if EPILOGUE == 1
            if my_column == 0u {
                side[p.side_offset + (item.x + row) * p.heads + head] = total[${i}];
            }
#end
#if EPILOGUE == 2
            let factor = statistics[(item.x + row) * p.heads + head].x;
            let side_base = p.side_offset + ((item.x + row) * p.heads + head) * p.n;
#end
#repeat j COLUMNS
            {
                let column = first_column + my_column + ${j}u * 16u;
                let at = c_base + row * p.c_row + column;
#if EPILOGUE == 0
                if column < p.n {
                    c[at] = p.scale * sum${j}[${i}];
                }
#end
#if EPILOGUE == 1
                if column < p.ones {
                    c[at] = sum${j}[${i}] / divisor[${i}];
                }
#end
#if EPILOGUE == 2
                if column < p.n {
                    c[at] = fma(factor, side[side_base + column], p.scale * sum${j}[${i}]);
                }
#end
            }
#end
        }
    }
#end
}
