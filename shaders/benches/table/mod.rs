//! The table of docs/kernels.md: every kernel file with what it computes, and how to run it for the `kernels` bench.

mod attention;
mod losses;
mod products;
mod rows;

use celldag_shaders::measure::pattern;
use celldag_shaders::{Device, Ids, Precision, Result, Segments, Tensor};

/// Columns of the row-wise cases, and of attention (8 heads of 64).
pub(crate) const WIDTH: usize = 512;
pub(crate) const HEADS: usize = 8;

/// Which kernels a row is about, where a device has several for one operation.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Set {
    Any,
    /// Products with tiles in workgroup memory.
    Tiled,
    /// Products without workgroup memory.
    Direct,
    /// The attention kernel of this name.
    Attention(&'static str),
    /// Products of cooperative matrices in this precision.
    Cooperative(Precision),
}

/// Kernels that were measured together.
pub(crate) struct Row {
    pub(crate) files: &'static [&'static str],
    pub(crate) computes: &'static str,
    /// The least memory to read and write; n rows, w columns.
    pub(crate) moves: &'static str,
    /// Floating-point operations a byte.
    pub(crate) intensity: &'static str,
    pub(crate) set: Set,
    pub(crate) make: fn(&Operands) -> Result<Work>,
}

/// What a row does when it is run.
pub(crate) struct Work {
    /// Floating-point operations.
    pub(crate) flops: f64,
    /// Values of 4 bytes that must be read and written at least.
    pub(crate) values: f64,
    pub(crate) run: Box<dyn Fn() -> Result<Tensor>>,
}

impl Work {
    pub(crate) fn new(flops: f64, values: f64, run: impl Fn() -> Result<Tensor> + 'static) -> Result<Work> {
        Ok(Work { flops, values, run: Box::new(run) })
    }
}

/// What most rows work on.
pub(crate) struct Operands {
    pub(crate) device: Device,
    pub(crate) rows: usize,
    /// `[rows, WIDTH]`.
    pub(crate) x: Tensor,
    /// `[WIDTH]`.
    pub(crate) row: Tensor,
    /// Two cells of half the rows.
    pub(crate) segments: Segments,
}

impl Operands {
    pub(crate) fn new(device: &Device, rows: usize) -> Result<Operands> {
        Ok(Operands {
            device: device.clone(),
            rows,
            x: pattern(device, &[rows, WIDTH])?,
            row: pattern(device, &[WIDTH])?,
            segments: Segments::new(device, &[rows / 2, rows - rows / 2])?,
        })
    }

    pub(crate) fn tensor(&self, shape: &[usize]) -> Result<Tensor> {
        pattern(&self.device, shape)
    }

    /// A number below `limit` for each row, in no order.
    pub(crate) fn ids(&self, limit: usize) -> Result<Ids> {
        let id = |i: u32| i.wrapping_mul(2_654_435_761) % limit as u32;
        Ids::new(&self.device, &(0..self.rows as u32).map(id).collect::<Vec<_>>())
    }

    /// Values of a tensor like x.
    pub(crate) fn values(&self) -> f64 {
        (self.rows * WIDTH) as f64
    }
}

/// Headings and rows of the document.
pub(crate) fn sections() -> [(&'static str, Vec<Row>); 5] {
    [
        ("Products", products::rows()),
        ("Attention", attention::rows()),
        ("Rows and values", rows::values()),
        ("Gathers, pools, sums", rows::gathers()),
        ("Losses and steps", losses::rows()),
    ]
}
