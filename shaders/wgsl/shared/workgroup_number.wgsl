// A launch may be cut into several dispatches (`base` is the first workgroup of this one, `groups` their number), and a
// long dispatch is folded to two axes; the last row of the fold may run past the end.
const NO_WORK: u32 = 0xffffffffu;

// The number of this workgroup in the whole launch, or NO_WORK.
fn workgroup_number(group: vec3<u32>, grid: vec3<u32>) -> u32 {
    let number = group.y * grid.x + group.x;
    return select(p.base + number, NO_WORK, number >= p.groups);
}
