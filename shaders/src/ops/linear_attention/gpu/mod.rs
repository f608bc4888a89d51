//! The attentions by feature maps on a GPU: a sequence of products and small kernels over slabs of rows, so that features
//! never exist for the whole batch.

mod backward;
mod forward;
mod plan;
mod product;

use std::ops::Range;

pub(super) use backward::gradients;
pub(super) use forward::{Saved, forward};
use plan::Slab;
use product::{Epilogue, Left, Places, Product, Variant};

use super::rule::{FeatureMap, Rule};
use crate::error::Result;
use crate::gpu::{Binding, Cost, Gpu, GpuBuffer, Launch, WINDOW_ROWS};
use crate::kernels::Kernel;
use crate::ops::linear_attention::Denominator;
use crate::tensor::Tensor;

/// Operands of an attention on a GPU.
#[derive(Clone, Copy)]
pub(super) struct Attention<'a> {
    pub(super) gpu: &'a Gpu,
    pub(super) op: &'static str,
    pub(super) rule: Rule,
    pub(super) q: &'a Tensor,
    pub(super) k: &'a Tensor,
    pub(super) v: &'a Tensor,
    pub(super) projection: &'a Tensor,
    /// Distances of features and of columns in the projection.
    pub(super) strides: [usize; 2],
    /// What each key counts for in the denominators; one if none.
    pub(super) weights: Option<&'a Tensor>,
}

/// Rows of a slab inside of a larger tensor.
struct Part<'a> {
    binding: Binding<'a>,
    /// Values before the first row of the slab.
    offset: usize,
}

/// The rows of a slab in a buffer of rows of `width` values.
fn part<'a>(buffer: &'a GpuBuffer, slab: &Slab, width: usize) -> Part<'a> {
    let start = slab.rows.start / WINDOW_ROWS * WINDOW_ROWS;
    Part { binding: buffer.rows(&(start..slab.rows.end), width), offset: (slab.rows.start - start) * width }
}

/// The whole of a buffer of `len` values.
fn all(buffer: &GpuBuffer, len: usize) -> Binding<'_> {
    buffer.rows(&(0..len), 1)
}

/// Launches a kernel over `groups` workgroups of about `work` operations each.
fn run(
    gpu: &Gpu,
    kernel: Kernel,
    parameters: &[u32],
    buffers: &[Binding<'_>],
    groups: usize,
    work: usize,
) -> Result<()> {
    let flops = groups as f64 * work as f64;
    let cost = Cost { flops: 2.0 * flops, bytes: 4.0 * flops };
    gpu.launch(&Launch { kernel, parameters, buffers, groups: groups as u64, cost })?;
    Ok(())
}

impl Attention<'_> {
    /// Values of a row of sums: a head's columns and the one that counts as 1.
    fn columns(&self) -> usize {
        self.rule.head_width + 1
    }

    /// Values of the sums over the keys of one head: one row a feature, and the sum of the values.
    fn sum_len(&self) -> usize {
        (self.rule.features + 1) * self.columns()
    }

    /// What is added to features; least denominator; what is added to it.
    fn constants(&self) -> [f32; 3] {
        let (least, added) = match self.rule.map {
            FeatureMap::Relu(Some(Denominator::AtLeast(least))) => (least, 0.0),
            FeatureMap::Relu(Some(Denominator::Plus(added))) => (f32::MIN, added),
            // With a denominator of 0, which makes 1 of it.
            FeatureMap::Relu(None) => (1.0, 0.0),
            FeatureMap::Exponential { .. } => (f32::MIN, 0.0),
        };
        [self.rule.shift(), least, added]
    }

    fn left(&self) -> Left {
        if self.rule.is_exponential() { Left::Exponentials } else { Left::Rectified }
    }

    /// Segments share one maximum, or each has its own: the distance of maxima.
    fn maximum_stride(&self) -> u32 {
        u32::from(!self.rule.whole_batch())
    }

    /// Projections of the rows of a slab, `[rows, heads, features]`.
    fn project(&self, slab: &Slab, z: &Tensor) -> Result<GpuBuffer> {
        let Rule { features, head_width, .. } = self.rule;
        let out = self.gpu.buffer(slab.pairs(&self.rule) * features)?;
        let z = part(z.buffer(self.op)?, slab, self.rule.width());
        let places = Places {
            size: head_width,
            columns: features,
            a_offset: z.offset,
            a_row: head_width,
            b_k: self.strides[1],
            b_column: self.strides[0],
            c_first: features,
            c_row: features,
            ..Places::default()
        };
        let product = Product {
            variant: Variant::PLAIN,
            places,
            heads: 1,
            rows: slab.pairs(&self.rule),
            items: &slab.pairs,
            a: z.binding,
            b: self.projection.binding(self.op)?,
            c: Binding::whole(&out),
            statistics: None,
            side: None,
            scale: self.rule.scale(),
            constants: self.constants(),
        };
        product.launch(self.gpu, self.op)?;
        Ok(out)
    }

    /// Statistics of every row and head of a slab, with the offsets of queries; none for features without an exponential.
    fn statistics(&self, slab: &Slab, projected: &GpuBuffer, z: &Tensor) -> Result<Option<GpuBuffer>> {
        if !self.rule.is_exponential() {
            return Ok(None);
        }
        let Rule { features, head_width, .. } = self.rule;
        let pairs = slab.pairs(&self.rule);
        let out = self.gpu.buffer(pairs * 4)?;
        let z = part(z.buffer(self.op)?, slab, self.rule.width());
        let half_scale = 0.5 * self.rule.square_scale();
        let words = [
            features as u32,
            head_width as u32,
            z.offset as u32,
            half_scale.to_bits(),
            f32::NEG_INFINITY.to_bits(),
        ];
        let buffers = [Binding::whole(projected), z.binding, Binding::whole(&out)];
        let kernel = Kernel::new("performer_statistics", &[]);
        run(self.gpu, kernel, &words, &buffers, pairs, 2 * features + head_width)?;
        Ok(Some(out))
    }

    /// The weights of the keys of a slab.
    fn weights(&self, slab: &Slab) -> Result<Option<Part<'_>>> {
        self.weights.map(|weights| Ok(part(weights.buffer(self.op)?, slab, 1))).transpose()
    }

    /// Adds the partial sums of a slab to those of its group.
    fn join(
        &self,
        slab: &Slab,
        partial: &GpuBuffer,
        total: Binding<'_>,
        length: usize,
        references: Option<Binding<'_>>,
    ) -> Result<()> {
        let Rule { heads, features, .. } = self.rule;
        let words = [heads, length, self.columns(), features].map(|word| word as u32);
        let words = [&words[..], &[f32::NEG_INFINITY.to_bits()]].concat();
        let mut buffers = vec![Binding::whole(partial), slab.joins.binding(self.op)?, total];
        buffers.extend(references);
        let groups = slab.joins.len() / 5 * (heads * length).div_ceil(256);
        run(self.gpu, join_kernel(references.is_some()), &words, &buffers, groups, 256)
    }

    /// Buffers of the sums of a group, as a kernel sees them.
    fn sums<'a>(&self, buffer: &'a GpuBuffer, segments: &Range<usize>) -> Binding<'a> {
        all(buffer, segments.len() * self.rule.heads * self.sum_len())
    }
}

fn join_kernel(references: bool) -> Kernel {
    Kernel::new("linear_attention_join", &[("REFERENCES", u32::from(references))])
}

fn offsets_kernel(given: bool) -> Kernel {
    Kernel::new("performer_offsets", &[("GIVEN", u32::from(given))])
}

fn features_kernel(map: u32) -> Kernel {
    Kernel::new("linear_attention_features", &[("MAP", map), ("EXPONENTIAL", u32::from(map != 2))])
}

/// The kernels of this folder, in all variants for some widths.
pub(super) fn kernels() -> Vec<Kernel> {
    let mut kernels = vec![
        Kernel::new("performer_statistics", &[]),
        Kernel::new("performer_maxima", &[]),
        Kernel::new("performer_finish", &[]),
        Kernel::new("performer_maximum_slopes", &[]),
        Kernel::new("linear_attention_slopes", &[]),
    ];
    kernels.extend([false, true].map(join_kernel));
    kernels.extend([false, true].map(offsets_kernel));
    kernels.extend([0, 1, 2].map(features_kernel));
    let plain = Variant::PLAIN;
    let ones = Variant { left_ones: true, ..plain };
    let sums = Variant { left: Left::Exponentials, along: true, right_ones: true, ..plain };
    let mut variants = vec![plain, ones, Variant { epilogue: Epilogue::AddSide, ..plain }];
    variants.extend([ones, sums].map(|variant| Variant { weighted: true, ..variant }));
    for left in [Left::Exponentials, Left::Rectified] {
        variants.push(Variant { left, ..plain });
        variants.push(Variant { left, along: true, ..plain });
        variants.push(Variant { left, along: true, right_ones: true, ..plain });
        variants.push(Variant { left, epilogue: Epilogue::Divide, ..plain });
    }
    for columns in [1, 2, 3, 5, 9] {
        kernels.extend(variants.iter().map(|variant| variant.kernel(columns)));
    }
    kernels
}
