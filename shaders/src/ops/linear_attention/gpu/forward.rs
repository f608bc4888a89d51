//! The forward pass on a GPU: keys are projected once and summed against the largest projection of their block; the
//! sums are rescaled as they are joined; then queries read them.

use super::plan::{Group, Plan, Slab};
use super::{Attention, Part, all, offsets_kernel, part, run};
use super::{Epilogue, Places, Product, Variant};
use crate::error::Result;
use crate::gpu::{Binding, GpuBuffer};
use crate::kernels::Kernel;
use crate::ops::Rule;
use crate::ops::linear_attention::rule::FeatureMap;
use crate::segments::Segments;
use crate::tensor::Tensor;

/// What the backward pass needs besides the operands and the result.
pub(in crate::ops::linear_attention) struct Saved {
    pub(super) plan: Plan,
    /// Sums over the keys, for each group.
    pub(super) sums: Vec<GpuBuffer>,
    /// Largest key projections and how often they occur.
    pub(super) maxima: Option<GpuBuffer>,
    /// Before the floor, `[rows, heads]`.
    pub(super) denominators: GpuBuffer,
}

/// The result of the attention.
pub(in crate::ops::linear_attention) fn forward(
    attention: &Attention<'_>,
    segments: &Segments,
) -> Result<(Tensor, Saved)> {
    let (gpu, rule) = (attention.gpu, attention.rule);
    let plan = Plan::new(attention.q.device(), segments, &rule)?;
    let references =
        if rule.is_exponential() { Some(gpu.buffer(plan.blocks * rule.heads * 2)?) } else { None };
    let mut sums = Vec::with_capacity(plan.groups.len());
    for group in &plan.groups {
        let total = gpu.buffer(group.segments.len() * rule.heads * attention.sum_len())?;
        for slab in &group.slabs {
            attention.sum_keys(group, slab, references.as_ref(), &total)?;
        }
        sums.push(total);
    }
    let maxima = match &references {
        Some(references) if plan.blocks > 0 => {
            Some(attention.finish(&plan, segments.len(), references, &sums)?)
        }
        _ => None,
    };
    let out = gpu.buffer(attention.q.len())?;
    let denominators = gpu.buffer(segments.rows() * rule.heads)?;
    for (group, sums) in plan.groups.iter().zip(&sums) {
        for slab in &group.slabs {
            attention.queries(group, slab, sums, &out, &denominators)?;
        }
    }
    let out = Tensor::from_gpu(attention.q.device(), attention.q.shape(), out);
    Ok((out, Saved { plan, sums, maxima, denominators }))
}

impl Attention<'_> {
    /// Adds the keys of a slab to the sums of its group.
    fn sum_keys(
        &self,
        group: &Group,
        slab: &Slab,
        references: Option<&GpuBuffer>,
        total: &GpuBuffer,
    ) -> Result<()> {
        let Rule { heads, head_width, features, .. } = self.rule;
        let (width, columns, length) = (self.rule.width(), self.columns(), self.sum_len());
        let projected = self.project(slab, self.k)?;
        let statistics = self.statistics(slab, &projected, self.k)?;
        if let (Some(statistics), Some(references)) = (&statistics, references) {
            let words = [heads as u32, slab.first_block as u32, 0, 0, 0, f32::NEG_INFINITY.to_bits()];
            let buffers =
                [slab.blocks.binding(self.op)?, Binding::whole(statistics), Binding::whole(references)];
            run(self.gpu, offsets_kernel(false), &words, &buffers, slab.count() * heads, 512)?;
        }
        let partial = self.gpu.buffer(slab.count() * heads * length)?;
        let v = part(self.v.buffer(self.op)?, slab, width);
        let weights = self.weights(slab)?;
        let places = Places {
            size: features + 1,
            columns,
            a_row: heads * features,
            a_head: features,
            b_offset: v.offset,
            b_first: width,
            b_head: head_width,
            b_k: width,
            b_column: 1,
            c_item: heads * length,
            c_head: length,
            c_row: columns,
            ones: head_width,
            extra: features,
            side_offset: weights.as_ref().map_or(0, |weights| weights.offset),
            ..Places::default()
        };
        let product = Product {
            variant: Variant {
                left: self.left(),
                along: true,
                right_ones: true,
                weighted: weights.is_some(),
                ..Variant::PLAIN
            },
            places,
            heads,
            rows: slab.rows.len(),
            items: &slab.blocks,
            a: Binding::whole(&projected),
            b: v.binding,
            c: Binding::whole(&partial),
            statistics: statistics.as_ref().map(Binding::whole),
            side: weights.map(|weights| weights.binding),
            scale: 1.0,
            // The constant part of the features enters when the sums are finished.
            constants: [0.0; 3],
        };
        product.launch(self.gpu, self.op)?;
        self.join(slab, &partial, self.sums(total, &group.segments), length, references.map(Binding::whole))
    }

    /// Finds the maxima, and rescales all sums to them.
    fn finish(
        &self,
        plan: &Plan,
        segments: usize,
        references: &GpuBuffer,
        sums: &[GpuBuffer],
    ) -> Result<GpuBuffer> {
        let Rule { heads, features, .. } = self.rule;
        let (ranges, count) =
            if self.rule.whole_batch() { (&plan.all, 1) } else { (&plan.offsets, segments) };
        let maxima = self.gpu.buffer(count * 2)?;
        let lowest = f32::NEG_INFINITY.to_bits();
        let buffers = [Binding::whole(references), ranges.binding(self.op)?, Binding::whole(&maxima)];
        let kernel = Kernel::new("performer_maxima", &[]);
        run(self.gpu, kernel, &[heads as u32, lowest], &buffers, count, 2 * plan.blocks * heads / count)?;
        for (group, sums) in plan.groups.iter().zip(sums) {
            let count = group.segments.len() * heads * self.sum_len();
            let words = [count, heads, self.sum_len(), self.columns(), features, group.segments.start]
                .map(|word| word as u32);
            let more = [self.maximum_stride(), self.rule.shift().to_bits(), lowest];
            let buffers = [
                Binding::whole(references),
                plan.offsets.binding(self.op)?,
                Binding::whole(&maxima),
                self.sums(sums, &group.segments),
            ];
            let kernel = Kernel::new("performer_finish", &[]);
            run(self.gpu, kernel, &[&words[..], &more].concat(), &buffers, count.div_ceil(256), 1024)?;
        }
        Ok(maxima)
    }

    /// The results of a slab.
    fn queries(
        &self,
        group: &Group,
        slab: &Slab,
        sums: &GpuBuffer,
        out: &GpuBuffer,
        denominators: &GpuBuffer,
    ) -> Result<()> {
        let Rule { heads, head_width, features, .. } = self.rule;
        let (width, columns) = (self.rule.width(), self.columns());
        let projected = self.project(slab, self.q)?;
        let statistics = self.statistics(slab, &projected, self.q)?;
        let out: Part<'_> = part(out, slab, width);
        let side = part(denominators, slab, heads);
        let places = Places {
            size: features,
            columns,
            a_row: heads * features,
            a_head: features,
            b_segment: heads * self.sum_len(),
            b_head: self.sum_len(),
            b_k: columns,
            b_column: 1,
            c_offset: out.offset,
            c_first: width,
            c_head: head_width,
            c_row: width,
            ones: head_width,
            side_offset: side.offset,
            ..Places::default()
        };
        let product = Product {
            variant: Variant { left: self.left(), epilogue: Epilogue::Divide, ..Variant::PLAIN },
            places,
            heads,
            rows: slab.rows.len(),
            items: &slab.tiles,
            a: all(&projected, slab.pairs(&self.rule) * features),
            b: self.sums(sums, &group.segments),
            c: out.binding,
            statistics: statistics.as_ref().map(Binding::whole),
            side: Some(side.binding),
            scale: if self.rule.map == FeatureMap::Relu(None) { 0.0 } else { 1.0 },
            constants: self.constants(),
        };
        product.launch(self.gpu, self.op)
    }
}
