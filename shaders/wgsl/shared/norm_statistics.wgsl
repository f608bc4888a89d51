// What the normalisation of a group of columns and its backward pass both need: the values that are normalised, their mean
// (0 without CENTER) and the factor 1 / deviation. All invocations must call `statistics`.
#import workgroup_sum

struct Statistics { mean: f32, scale: f32 }

fn input(at: u32) -> f32 {
#if RESIDUAL
    return x[at] + residual[at];
#else
    return x[at];
#end
}

fn statistics(lane: u32, start: u32) -> Statistics {
#if CENTER
    var sum = 0.0;
    for (var column = lane; column < p.width; column += 64u) {
        sum += input(start + column);
    }
    let mean = workgroup_sum(lane, sum) / f32(p.width);
#else
    let mean = 0.0;
#end
    var squares = 0.0;
    for (var column = lane; column < p.width; column += 64u) {
        let distance = input(start + column) - mean;
        squares = fma(distance, distance, squares);
    }
    let variance = workgroup_sum(lane, squares) / f32(p.width);
    return Statistics(mean, 1.0 / sqrt(variance + p.eps));
}
