// What all attention kernels share: operands and work list. Query head h reads key and value head h / share.
struct Parameters {
    base: u32,
    groups: u32,
    // Columns of queries and results, and of keys and values.
    width: u32,
    kv_width: u32,
    heads: u32,
    share: u32,
    // The factor of the scores times log2(e): weights are powers of two. And the factor alone.
    scale: f32,
    factor: f32,
    // With CAUSAL: query i sees the keys up to i + ahead. Not 0 if the first bound rows of both are not the same.
    ahead: i32,
    // With PARTS: whether the sums go on from those of an earlier launch, and whether a later one goes on from these.
    continued: u32,
    unfinished: u32,
    // For gradients of keys and values: which of the query heads that share a key head.
    first_head: u32,
    turns: u32,
}
@group(0) @binding(0) var<uniform> p: Parameters;
#import head_vectors x=q binding=1 access=read
#import head_vectors x=k binding=2 access=read
#import head_vectors x=v binding=3 access=read
// For each tile of ROWS rows: its first row and the end of its part of the segment, and the first row and the end of the
// part of the segment that it attends to.
@group(0) @binding(4) var<storage, read> tiles: array<vec4<u32>>;

#import workgroup_number

// Below every score that can occur, and finite: the first correction is 2^(-large) = 0, not a NaN.
const LOWEST: f32 = -3.0e38;
const ROWS: u32 = 64u;
const VECTORS: u32 = ${VECTORS}u;

// The end of the keys that a query sees.
fn seen_by(query: u32, end: u32) -> u32 {
#if CAUSAL
    return min(end, u32(max(i32(query) + 1 + p.ahead, 0)));
#else
    return end;
#end
}
