// The sum of one value of each of 64 invocations, in a fixed tree. All invocations must call it.
var<workgroup> partial: array<f32, 64>;

fn workgroup_sum(lane: u32, value: f32) -> f32 {
    partial[lane] = value;
    workgroupBarrier();
#repeat step 6
    if lane < (32u >> ${step}u) {
        partial[lane] += partial[lane + (32u >> ${step}u)];
    }
    workgroupBarrier();
#end
    let sum = partial[0];
    workgroupBarrier();
    return sum;
}
