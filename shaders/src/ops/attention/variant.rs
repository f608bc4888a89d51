//! The kernels of attention, and which of them suit a head width and an adapter. All variants of a pass add up in the same
//! order, so the choice never shows in the bits. None shares work between the invocations of a subgroup: the largest score
//! of an online softmax goes from key to key, and a maximum over a subgroup would give other bits.

use crate::cpu::attention::Shape;
use crate::error::Result;
use crate::gpu::Gpu;
use crate::kernels::Kernel;
use crate::ops::heads::TYPICAL_HEADS;

/// What a kernel computes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Pass {
    /// The result.
    Forward,
    /// The gradients of the queries.
    Queries,
    /// The gradients of the keys and values.
    Keys,
}

impl Pass {
    /// The name in tables of measured choices.
    fn name(self) -> &'static str {
        match self {
            Pass::Forward => "attention",
            Pass::Queries => "attention dq",
            Pass::Keys => "attention dk dv",
        }
    }
}

/// A kernel with the sizes of its tiles.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Variant {
    /// `attention_tile.wgsl`: a query for each invocation; keys and values in tiles of workgroup memory.
    Tile { keys: u32 },
    /// `attention_direct.wgsl`: no workgroup memory, some queries for each invocation.
    Direct { queries: u32 },
    /// `attention_backward_q.wgsl` and `attention_backward_kv.wgsl`: tiles of 8 times these queries and keys.
    Backward { block: u32 },
}

impl Variant {
    const ALL: [Variant; 7] = [
        Variant::Tile { keys: 32 },
        Variant::Tile { keys: 16 },
        Variant::Direct { queries: 4 },
        Variant::Direct { queries: 2 },
        Variant::Direct { queries: 1 },
        Variant::Backward { block: 4 },
        Variant::Backward { block: 2 },
    ];

    /// The name in tables of measured choices.
    fn name(self) -> &'static str {
        match self {
            Variant::Tile { keys: 32 } => "tile-32",
            Variant::Tile { .. } => "tile-16",
            Variant::Direct { queries: 4 } => "direct-4",
            Variant::Direct { queries: 2 } => "direct-2",
            Variant::Direct { .. } => "direct-1",
            Variant::Backward { block: 4 } => "backward-32",
            Variant::Backward { .. } => "backward-16",
        }
    }

    /// Whether the kernel exists for heads of this width.
    fn serves(self, head_width: usize) -> bool {
        match self {
            // Two tiles of keys and values in the 16 KiB of workgroup memory that WebGPU guarantees.
            Variant::Tile { keys } => keys as usize * head_width.next_multiple_of(4) * 8 <= 16_384,
            // Registers for the queries and the sums; heads that end within a vector compile for long.
            Variant::Direct { queries: 4 } => head_width <= 64,
            Variant::Direct { queries: 2 } => head_width.is_multiple_of(4) || head_width <= 64,
            Variant::Direct { .. } | Variant::Backward { .. } => true,
        }
    }

    /// Workgroups of a tile of the work list.
    pub(super) fn groups(self) -> usize {
        match self {
            Variant::Tile { .. } | Variant::Direct { .. } => 1,
            Variant::Backward { block } => 8 / block as usize,
        }
    }

    /// The forward kernel, which leaves logarithms for the backward pass with `save`, and works on parts of segments with
    /// `parts`.
    pub(super) fn forward(self, head_width: usize, causal: bool, save: bool, parts: bool) -> Kernel {
        let mut constants = constants(head_width, causal, parts);
        constants.push(("LSE", u32::from(save)));
        match self {
            Variant::Direct { queries } => {
                constants.push(("QUERIES", queries));
                Kernel::new("attention_direct", &constants)
            }
            Variant::Tile { .. } | Variant::Backward { .. } => {
                // Every width has tiles of 16 keys.
                constants.push(("KEYS", if let Variant::Tile { keys } = self { keys } else { 16 }));
                Kernel::new("attention_tile", &constants)
            }
        }
    }

    /// The kernel for one of the two backward passes.
    pub(super) fn backward(self, pass: Pass, head_width: usize, causal: bool, parts: bool) -> Kernel {
        let block = if let Variant::Backward { block } = self { block } else { 4 };
        let mut constants = constants(head_width, causal, parts);
        constants.extend([turns(head_width), ("BLOCK", block), ("SIDE", 8 * block)]);
        let name = if pass == Pass::Keys { "attention_backward_kv" } else { "attention_backward_q" };
        Kernel::new(name, &constants)
    }
}

/// Template constants that all attention kernels have: registers hold heads as vectors of four.
fn constants(head_width: usize, causal: bool, parts: bool) -> Vec<(&'static str, u32)> {
    vec![
        ("HEAD", head_width as u32),
        ("VECTORS", head_width.div_ceil(4) as u32),
        ("TAIL", (head_width % 4) as u32),
        ("CAUSAL", u32::from(causal)),
        ("PARTS", u32::from(parts)),
    ]
}

/// Vectors of columns of one of the eight invocations that share rows.
fn turns(head_width: usize) -> (&'static str, u32) {
    ("TURNS", head_width.div_ceil(32) as u32)
}

/// The forward kernels worth trying, the likely best first: with tiles in workgroup memory for hardware, without for
/// drivers that run shaders on a CPU.
fn forward_candidates(tiled: bool, head_width: usize) -> Vec<Variant> {
    let order: &[Variant] = if tiled { &Variant::ALL[..2] } else { &Variant::ALL[2..5] };
    order.iter().copied().filter(|variant| variant.serves(head_width)).take(3).collect()
}

/// The backward kernels worth trying. All have tiles in workgroup memory. A software driver runs them at the speed of the
/// forward kernel with such tiles, a third of the direct one's: enough for tests, and training without a GPU is the business
/// of the native backend, two hundred times faster.
fn backward_candidates() -> [Variant; 2] {
    [Variant::Backward { block: 4 }, Variant::Backward { block: 2 }]
}

/// Names of the attention kernels, for [`use_attention_kernel`](crate::testing::use_attention_kernel): those of the forward
/// and, called `backward`, of the backward pass.
pub(crate) fn attention_kernels() -> Vec<&'static str> {
    Variant::ALL.iter().map(|variant| variant.name()).collect()
}

/// The kernel for a pass over `rows` rows that takes `work` floating-point operations; `time` measures one.
pub(super) fn choose(
    gpu: &Gpu,
    shape: &Shape,
    pass: Pass,
    rows: usize,
    work: f64,
    mut time: impl FnMut(Variant) -> Result<f64>,
) -> Result<Variant> {
    let candidates = match pass {
        Pass::Forward => forward_candidates(gpu.tiled(), shape.head_width),
        Pass::Queries | Pass::Keys => backward_candidates().to_vec(),
    };
    let names: Vec<&'static str> = candidates.iter().map(|variant| variant.name()).collect();
    let mask = if shape.causal { " causal" } else { "" };
    let key = format!("{} {} 2^{}{mask}", pass.name(), shape.head_width, rows.max(1).ilog2());
    let named = |name: &str| Variant::ALL.into_iter().find(|variant| variant.name() == name);
    let chosen = gpu.choose_kernel("attention", &key, &names, work, |name| {
        named(name).map_or(Ok(f64::INFINITY), &mut time)
    })?;
    // A name that was forced may be of the other pass, or not exist for this width.
    let fits = |variant: &Variant| {
        matches!(variant, Variant::Backward { .. }) == (pass != Pass::Forward)
            && variant.serves(shape.head_width)
    };
    Ok(named(&chosen).filter(fits).unwrap_or(candidates[0]))
}

/// The kernels of attention: every variant for typical head widths; saved logarithms and parts of segments, which do not
/// depend on the width, for two of them.
pub(super) fn kernels() -> Vec<Kernel> {
    let mut kernels = Vec::new();
    for head_width in TYPICAL_HEADS {
        for flags in 0..8 {
            let [causal, save, parts] = [1, 2, 4].map(|flag| flags & flag != 0);
            if (save || parts) && ![10, 64].contains(&head_width) {
                continue;
            }
            for variant in Variant::ALL.into_iter().filter(|variant| variant.serves(head_width)) {
                match variant {
                    Variant::Backward { .. } if save => {}
                    Variant::Backward { .. } => kernels.extend(
                        [Pass::Queries, Pass::Keys]
                            .map(|pass| variant.backward(pass, head_width, causal, parts)),
                    ),
                    _ => kernels.push(variant.forward(head_width, causal, save, parts)),
                }
            }
        }
    }
    kernels
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_width_has_a_kernel_that_serves_it() {
        let names = |tiled, width| -> Vec<&str> {
            forward_candidates(tiled, width).iter().map(|variant| variant.name()).collect()
        };
        for width in 1..=128 {
            assert!(!names(true, width).is_empty() && !names(false, width).is_empty(), "{width}");
        }
        assert_eq!(names(true, 64), ["tile-32", "tile-16"]);
        assert_eq!(names(true, 10), ["tile-32", "tile-16"]);
        assert_eq!(names(true, 128), ["tile-16"]);
        assert_eq!(names(false, 64)[0], "direct-4");
        assert_eq!(names(false, 96)[0], "direct-2");
        assert_eq!(names(false, 127), ["direct-1"]);
    }
}
