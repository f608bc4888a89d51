// Mean squared error of each row, and the gradient of the mean over all values. One invocation a row.
struct Parameters { base: u32, groups: u32, count: u32, columns: u32, first_row: u32, share: f32 }
@group(0) @binding(0) var<uniform> p: Parameters;
@group(0) @binding(1) var<storage, read> x: array<f32>;
@group(0) @binding(2) var<storage, read> targets: array<f32>;
@group(0) @binding(3) var<storage, read_write> loss: array<f32>;
@group(0) @binding(4) var<storage, read_write> gradient: array<f32>;

#import grid

@compute @workgroup_size(256)
fn main(
    @builtin(workgroup_id) group: vec3<u32>,
    @builtin(num_workgroups) grid: vec3<u32>,
    @builtin(local_invocation_index) lane: u32,
) {
    let i = element(group, grid, lane);
    if i == NO_WORK {
        return;
    }
    // Blocks keep the rounding error of wide rows small.
    var total = 0.0;
    for (var block = 0u; block < p.columns; block += 64u) {
        var partial = 0.0;
        let stop = min(block + 64u, p.columns);
        for (var column = block; column < stop; column++) {
            let at = i * p.columns + column;
            let error = x[at] - targets[at];
            partial = fma(error, error, partial);
            gradient[at] = error * p.share;
        }
        total += partial;
    }
    loss[i] = total / f32(p.columns);
}
