// For kernels with one invocation for each of `count` values.
#import workgroup_number

// The value that this invocation works on, or NO_WORK.
fn element(group: vec3<u32>, grid: vec3<u32>, lane: u32) -> u32 {
    let number = workgroup_number(group, grid);
    let index = number * 256u + lane;
    return select(index, NO_WORK, number == NO_WORK || index >= p.count);
}
