//! The kernels for matrix products, and which of them suit a shape. All variants of f32 add up in the same order, so the
//! choice never shows in the bits.

use crate::gpu::Cooperative;

/// A kernel with the sizes of its tile.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Variant {
    /// `matmul_tile.wgsl`: a tile in the workgroup memory of hardware.
    Tile(&'static Tile),
    /// `matmul_register.wgsl`: `8 g` rows in the registers of a software driver; shared by broadcast or read by everybody.
    Register { g: usize, broadcast: bool },
    /// `matmul_cooperative.wgsl`, for the precisions that are not f32.
    Cooperative(Cooperative),
}

/// Sizes of `matmul_tile.wgsl`.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Tile {
    name: &'static str,
    pub(super) rows: usize,
    pub(super) columns: usize,
    /// Steps of the inner sum in workgroup memory.
    pub(super) depth: usize,
    /// Invocations across and down.
    pub(super) x: usize,
    pub(super) y: usize,
}

const fn tile(name: &'static str, [rows, columns, depth]: [usize; 3], [x, y]: [usize; 2]) -> Tile {
    Tile { name, rows, columns, depth, x, y }
}

/// 8 x 8 values an invocation: most arithmetic for each read.
const LARGE: Tile = tile("tile-128x128", [128, 128, 8], [16, 16]);
const WIDE: Tile = tile("tile-128x64", [128, 64, 16], [16, 16]);
const MEDIUM: Tile = tile("tile-64x64", [64, 64, 16], [16, 16]);
/// For results of few values: more workgroups.
const SMALL: Tile = tile("tile-32x32", [32, 32, 16], [8, 8]);
/// Few columns: heads, the first factor of an adapter of low rank.
const TALL: Tile = tile("tile-256x16", [256, 16, 8], [4, 64]);
/// Few rows: single cells.
const FLAT: Tile = tile("tile-16x256", [16, 256, 8], [64, 4]);

/// Columns of the tiles of `matmul_register.wgsl`.
const REGISTER_COLUMNS: usize = 32;

/// Workgroups that keep a large GPU busy.
const BUSY_GROUPS: usize = 128;

/// Multiply-adds below which software drivers need longer to compile the large kernels than the small one to work.
const SMALL_WORK: f64 = 1e7;

impl Variant {
    /// Those of f32.
    pub(super) const ALL: [Variant; 10] = [
        Variant::Tile(&LARGE),
        Variant::Tile(&WIDE),
        Variant::Tile(&MEDIUM),
        Variant::Tile(&SMALL),
        Variant::Tile(&TALL),
        Variant::Tile(&FLAT),
        Variant::Register { g: 1, broadcast: true },
        Variant::Register { g: 2, broadcast: true },
        Variant::Register { g: 4, broadcast: true },
        Variant::Register { g: 2, broadcast: false },
    ];

    /// The name in tables of measured choices.
    pub(super) fn name(self) -> &'static str {
        match self {
            Variant::Tile(tile) => tile.name,
            Variant::Register { g: 1, .. } => "register-8",
            Variant::Register { g: 2, broadcast: true } => "register-16",
            Variant::Register { g: 2, .. } => "direct-16",
            Variant::Register { .. } => "register-32",
            Variant::Cooperative(_) => "cooperative",
        }
    }

    pub(super) fn named(name: &str) -> Option<Variant> {
        Variant::ALL.into_iter().find(|variant| variant.name() == name)
    }

    /// Rows and columns of a workgroup.
    pub(super) fn tile(self) -> [usize; 2] {
        match self {
            Variant::Tile(tile) => [tile.rows, tile.columns],
            Variant::Register { g, .. } => [8 * g, REGISTER_COLUMNS],
            Variant::Cooperative(cooperative) => [cooperative.side(); 2],
        }
    }

    /// Whether it gives right results on an adapter with subgroups of these sizes: broadcasts reach one vector.
    pub(super) fn runs_with(self, subgroups: Option<(u32, u32)>) -> bool {
        !matches!(self, Variant::Register { broadcast: true, .. }) || subgroups == Some((8, 8))
    }

    /// Whether its factors are split into halves, whose exponents it binds.
    pub(super) fn splits(self) -> bool {
        matches!(self, Variant::Cooperative(cooperative) if cooperative.split())
    }

    /// Whether to compute the transposed product: the register kernel has few rows and many columns.
    pub(super) fn swaps(self, [m, n, _]: [usize; 3]) -> bool {
        matches!(self, Variant::Register { .. }) && n <= 16 && n < m
    }
}

/// Names of the matrix product kernels of f32, for [`use_product_kernel`](crate::testing::use_product_kernel). Those called
/// `register` need subgroups of 8 invocations.
pub(crate) fn product_kernels() -> Vec<&'static str> {
    Variant::ALL.iter().map(|variant| variant.name()).collect()
}

/// The tiled kernels worth trying for a shape, the likely best first.
pub(super) fn tiled([m, n, _]: [usize; 3], batches: usize) -> Vec<Variant> {
    let groups = |tile: &Tile| batches * m.div_ceil(tile.rows) * n.div_ceil(tile.columns);
    let mut order: Vec<&'static Tile> = if n <= 32 && m > n {
        vec![&TALL, &SMALL, &MEDIUM]
    } else if m <= 32 {
        vec![&FLAT, &SMALL, &MEDIUM]
    } else {
        vec![&LARGE, &WIDE, &MEDIUM, &SMALL]
    };
    // A tile that leaves most of the adapter idle goes behind the smaller ones.
    order.sort_by_key(|tile| groups(tile) < BUSY_GROUPS);
    if order.iter().all(|tile| groups(tile) < BUSY_GROUPS) {
        order.sort_by_key(|tile| std::cmp::Reverse(groups(tile)));
    }
    order.truncate(3);
    order.into_iter().map(Variant::Tile).collect()
}

/// The register kernels worth trying for a shape, the likely best first. Broadcasts need subgroups of exactly 8.
pub(super) fn register([m, n, k]: [usize; 3], batches: usize, subgroups: Option<(u32, u32)>) -> Vec<Variant> {
    if !(Variant::Register { g: 1, broadcast: true }).runs_with(subgroups) {
        return vec![Variant::Register { g: 2, broadcast: false }];
    }
    let rows = if n <= 16 && n < m { n } else { m };
    let small = (batches * m * n) as f64 * (k as f64) < SMALL_WORK;
    let order: &[usize] = match rows {
        0..=8 => &[1],
        _ if small => &[1],
        9..=16 => &[2, 1],
        _ => &[4, 2],
    };
    order.iter().map(|&g| Variant::Register { g, broadcast: true }).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn best(size: [usize; 3]) -> &'static str {
        tiled(size, 1)[0].name()
    }

    #[test]
    fn shapes_get_kernels_that_fit_them() {
        assert_eq!(best([16_384, 512, 512]), "tile-128x128");
        assert_eq!(best([2048, 512, 512]), "tile-128x64");
        assert_eq!(best([1024, 512, 512]), "tile-64x64");
        assert_eq!(best([64, 512, 512]), "tile-32x32");
        assert_eq!(best([100_000, 8, 512]), "tile-256x16");
        assert_eq!(best([4, 60_000, 512]), "tile-16x256");
        assert_eq!(register([2048, 512, 512], 1, Some((8, 8)))[0].name(), "register-32");
        assert_eq!(register([33, 40, 20], 1, Some((8, 8)))[0].name(), "register-8");
        assert_eq!(register([2048, 8, 512], 1, Some((8, 8)))[0].name(), "register-8");
        assert_eq!(register([2048, 8, 512], 1, Some((4, 4)))[0].name(), "direct-16");
    }

    #[test]
    fn names_are_unique_and_tiles_fill_their_workgroups() {
        for variant in Variant::ALL {
            assert_eq!(Variant::named(variant.name()), Some(variant));
        }
        for variant in Variant::ALL {
            let Variant::Tile(tile) = variant else { continue };
            assert!(
                tile.x * tile.y <= 256 && tile.rows % (4 * tile.y) == 0 && tile.columns % (4 * tile.x) == 0
            );
            // Slices of f32 with one vector of padding, in the 16 KiB that WebGPU guarantees.
            assert!((tile.rows + tile.columns + 8) * tile.depth * 4 <= 16_384, "{}", tile.name);
        }
    }
}
