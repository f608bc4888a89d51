// The norm from a sum of squares, and the factor that makes it `most` at most. A factor that is not a number stays.
struct Parameters { base: u32, groups: u32, most: f32 }
@group(0) @binding(0) var<uniform> p: Parameters;
@group(0) @binding(1) var<storage, read> total: array<f32>;
@group(0) @binding(2) var<storage, read_write> norm: array<f32>;
@group(0) @binding(3) var<storage, read_write> factor: array<f32>;

@compute @workgroup_size(1)
fn main() {
    let length = sqrt(total[0]);
    norm[0] = length;
    let ratio = p.most / (length + 1e-6);
    factor[0] = select(ratio, 1.0, ratio >= 1.0);
}
