//! Launches of the product kernel: what its template constants and parameters mean, with what most products share.

use crate::error::Result;
use crate::gpu::{Binding, Cost, Gpu, Launch};
use crate::kernels::Kernel;
use crate::segments::Ids;

/// Most columns of one workgroup: 9 for each of 16 invocations.
const WIDEST: usize = 144;

/// What the left operand holds.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Left {
    Values,
    /// Projections, of which features are made with the offsets of the statistics.
    Exponentials,
    Rectified,
}

/// What happens to the sums.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Epilogue {
    Scale,
    /// Divided by the denominator, which is the last column and is stored beside.
    Divide,
    /// A factor of the row times another operand is added.
    AddSide,
}

/// The template constants.
#[derive(Clone, Copy)]
pub(super) struct Variant {
    pub(super) left: Left,
    pub(super) along: bool,
    pub(super) left_ones: bool,
    pub(super) right_ones: bool,
    /// What counts as 1 is the weight of the row instead.
    pub(super) weighted: bool,
    pub(super) epilogue: Epilogue,
}

impl Variant {
    pub(super) const PLAIN: Variant = Variant {
        left: Left::Values,
        along: false,
        left_ones: false,
        right_ones: false,
        weighted: false,
        epilogue: Epilogue::Scale,
    };

    pub(super) fn kernel(&self, columns: usize) -> Kernel {
        let statistics = self.left == Left::Exponentials || self.epilogue == Epilogue::AddSide;
        Kernel::new(
            "linear_attention_product",
            &[
                ("LEFT", self.left as u32),
                ("ALONG", u32::from(self.along)),
                // The sums of the values themselves are wanted with the sums of the keys only.
                ("EXTRA", u32::from(self.right_ones)),
                ("LEFT_ONES", u32::from(self.left_ones)),
                ("RIGHT_ONES", u32::from(self.right_ones)),
                ("WEIGHTED", u32::from(self.weighted)),
                ("EPILOGUE", self.epilogue as u32),
                ("STATISTICS", u32::from(statistics)),
                ("SIDE", 5 + u32::from(statistics)),
                ("COLUMNS", columns as u32),
            ],
        )
    }
}

/// Where the operands lie. Distances are in values; `first` stands for the first row of an item.
#[derive(Clone, Copy, Default)]
pub(super) struct Places {
    /// Rows of the result if rows of `a` lie along the sums, and length of the sums otherwise.
    pub(super) size: usize,
    /// Columns of the result.
    pub(super) columns: usize,
    pub(super) a_offset: usize,
    pub(super) a_row: usize,
    pub(super) a_head: usize,
    pub(super) b_offset: usize,
    pub(super) b_first: usize,
    pub(super) b_segment: usize,
    pub(super) b_head: usize,
    pub(super) b_k: usize,
    pub(super) b_column: usize,
    pub(super) c_offset: usize,
    pub(super) c_first: usize,
    pub(super) c_item: usize,
    pub(super) c_head: usize,
    pub(super) c_row: usize,
    /// Column that counts as one, or holds the denominator.
    pub(super) ones: usize,
    /// Row that is the sum of `b`.
    pub(super) extra: usize,
    pub(super) side_offset: usize,
}

/// A launch of the product.
pub(super) struct Product<'a> {
    pub(super) variant: Variant,
    pub(super) places: Places,
    pub(super) heads: usize,
    /// Rows of the slab, for an estimate of the work.
    pub(super) rows: usize,
    pub(super) items: &'a Ids,
    pub(super) a: Binding<'a>,
    pub(super) b: Binding<'a>,
    pub(super) c: Binding<'a>,
    pub(super) statistics: Option<Binding<'a>>,
    /// Denominators, what is added, or weights of rows.
    pub(super) side: Option<Binding<'a>>,
    pub(super) scale: f32,
    /// What is added to features; least denominator; what is added to it.
    pub(super) constants: [f32; 3],
}

impl Product<'_> {
    pub(super) fn launch(&self, gpu: &Gpu, op: &'static str) -> Result<()> {
        let Places { size, columns, .. } = self.places;
        let tiles = columns.div_ceil(WIDEST);
        let kernel = self.variant.kernel(columns.div_ceil(16).div_ceil(tiles));
        let row_tiles = if self.variant.along { size.div_ceil(64) } else { 1 };
        let p = &self.places;
        let mut words: Vec<u32> = [
            self.heads,
            row_tiles,
            tiles,
            size,
            columns,
            size,
            p.a_offset,
            p.a_row,
            p.a_head,
            p.b_offset,
            p.b_first,
            p.b_segment,
            p.b_head,
            p.b_k,
            p.b_column,
            p.c_offset,
            p.c_first,
            p.c_item,
            p.c_head,
            p.c_row,
            p.ones,
            p.extra,
            p.side_offset,
        ]
        .map(|word| word as u32)
        .to_vec();
        words.extend([self.scale].iter().chain(&self.constants).map(|constant| constant.to_bits()));
        let mut buffers = vec![self.a, self.b, self.c, self.items.binding(op)?];
        buffers.extend(self.statistics);
        buffers.extend(self.side);
        let work = self.rows as f64 * (self.heads * size * columns) as f64;
        gpu.launch(&Launch {
            kernel,
            parameters: &words,
            buffers: &buffers,
            groups: (self.items.len() / 4 * self.heads * row_tiles * tiles) as u64,
            cost: Cost { flops: 2.0 * work, bytes: work / 8.0 },
        })?;
        Ok(())
    }
}
