// Binary cross entropy: mean loss of each row, gradient of the mean over all values. One invocation a row.
struct Parameters { base: u32, groups: u32, count: u32, columns: u32, first_row: u32, share: f32 }
@group(0) @binding(0) var<uniform> p: Parameters;
@group(0) @binding(1) var<storage, read> logits: array<f32>;
@group(0) @binding(2) var<storage, read> targets: array<f32>;
@group(0) @binding(3) var<storage, read_write> loss: array<f32>;
@group(0) @binding(4) var<storage, read_write> gradient: array<f32>;
#if WEIGHTED
@group(0) @binding(5) var<storage, read> pos_weight: array<f32>;
#end

#import grid

// log(1 + e) for 0 <= e <= 1 by the series of the inverse hyperbolic tangent; drivers may compute `log` to 2^-21 only.
fn log_one_plus(e: f32) -> f32 {
    let s = e / (2.0 + e);
    let z = s * s;
    var q = 1.0 / 15.0;
    q = fma(q, z, 1.0 / 13.0);
    q = fma(q, z, 1.0 / 11.0);
    q = fma(q, z, 1.0 / 9.0);
    q = fma(q, z, 1.0 / 7.0);
    q = fma(q, z, 1.0 / 5.0);
    q = fma(q, z, 1.0 / 3.0);
    q = fma(q, z, 1.0);
    return 2.0 * s * q;
}

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
    var total = 0.0;
    for (var column = 0u; column < p.columns; column++) {
        let at = i * p.columns + column;
        let x = logits[at];
        let y = targets[at];
#if WEIGHTED
        let weight = pos_weight[column];
#else
        let weight = 1.0;
#end
        let e = exp(-abs(x));
        let rest = log_one_plus(e);
        let up = rest + select(x, 0.0, x < 0.0);
        let down = rest + select(-x, 0.0, x > 0.0);
        // The larger of sigmoid(x) and sigmoid(-x), and the smaller without cancellation.
        let large = 1.0 / (1.0 + e);
        let small = e * large;
        let sigmoid = select(large, small, x < 0.0);
        let other = select(small, large, x < 0.0);
        total += weight * y * down + (1.0 - y) * up;
        gradient[at] = ((1.0 - y) * sigmoid - weight * y * other) * p.share;
    }
    loss[i] = total / f32(p.columns);
}
