// The largest of one value of each of 64 invocations; not a number is skipped. All invocations must call it. With
// `workgroup_sum`, whose memory it uses.
#import workgroup_sum

fn workgroup_max(lane: u32, value: f32) -> f32 {
    partial[lane] = value;
    workgroupBarrier();
#repeat step 6
    if lane < (32u >> ${step}u) && partial[lane + (32u >> ${step}u)] > partial[lane] {
        partial[lane] = partial[lane + (32u >> ${step}u)];
    }
    workgroupBarrier();
#end
    let largest = partial[0];
    workgroupBarrier();
    return largest;
}
