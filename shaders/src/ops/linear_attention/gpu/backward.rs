//! The backward pass on a GPU, with features computed again; the formulas are those of the CPU twin.

use super::plan::{Group, Slab};
use super::{Attention, Part, Saved, features_kernel, offsets_kernel, part, run};
use super::{Epilogue, Places, Product, Variant};
use crate::error::Result;
use crate::gpu::{Binding, GpuBuffer};
use crate::kernels::Kernel;
use crate::ops::Rule;
use crate::segments::Segments;
use crate::tensor::Tensor;

/// Gradients at the queries, keys and values, those that are wanted, given the result and the gradient at it.
pub(in crate::ops::linear_attention) fn gradients(
    attention: &Attention<'_>,
    segments: &Segments,
    saved: &Saved,
    [result, gradient]: [&Tensor; 2],
    [dq, dk, dv]: [bool; 3],
) -> Result<[Option<Tensor>; 3]> {
    let (gpu, rule) = (attention.gpu, attention.rule);
    let take = |wanted: bool| wanted.then(|| gpu.buffer(attention.q.len())).transpose();
    let (at_q, at_k, at_v) = (take(dq)?, take(dk)?, take(dv)?);
    let slope_len = rule.heads * rule.features * attention.columns();
    let maximum_slopes = gpu.buffer(segments.len())?;
    let mut slopes = Vec::with_capacity(saved.plan.groups.len());
    for (group, sums) in saved.plan.groups.iter().zip(&saved.sums) {
        let total = gpu.buffer(group.segments.len() * slope_len)?;
        for slab in &group.slabs {
            attention.query_gradients(group, slab, saved, sums, [result, gradient], at_q.as_ref(), &total)?;
        }
        if rule.is_exponential() && !group.slabs.is_empty() {
            attention.maximum_slopes(group, saved, sums, &total, &maximum_slopes)?;
        }
        slopes.push(total);
    }
    if dk || dv {
        for (group, slopes) in saved.plan.groups.iter().zip(&slopes) {
            for slab in &group.slabs {
                let places = [at_k.as_ref(), at_v.as_ref()];
                attention.key_gradients(
                    group,
                    slab,
                    saved,
                    slopes,
                    &maximum_slopes,
                    segments.len(),
                    places,
                )?;
            }
        }
    }
    let tensor = |buffer| Tensor::from_gpu(attention.q.device(), attention.q.shape(), buffer);
    Ok([at_q, at_k, at_v].map(|at| at.map(tensor)))
}

impl Attention<'_> {
    /// A product of this attention over all heads.
    fn product<'a>(
        &self,
        slab: &'a Slab,
        variant: Variant,
        places: Places,
        [a, b, c]: [Binding<'a>; 3],
    ) -> Product<'a> {
        Product {
            variant,
            places,
            heads: self.rule.heads,
            rows: slab.rows.len(),
            items: &slab.tiles,
            a,
            b,
            c,
            statistics: None,
            side: None,
            scale: 1.0,
            constants: self.constants(),
        }
    }

    /// Of one slab of queries: their gradients, and its part of the gradients at the sums over the keys.
    #[expect(
        clippy::too_many_arguments,
        reason = "one call; a slab, what belongs to it, and where results go"
    )]
    fn query_gradients(
        &self,
        group: &Group,
        slab: &Slab,
        saved: &Saved,
        sums: &GpuBuffer,
        [result, gradient]: [&Tensor; 2],
        at_q: Option<&GpuBuffer>,
        total: &GpuBuffer,
    ) -> Result<()> {
        let Rule { heads, head_width, features, .. } = self.rule;
        let (width, columns, pairs) = (self.rule.width(), self.columns(), slab.pairs(&self.rule));
        let projected = self.project(slab, self.q)?;
        let statistics = self.statistics(slab, &projected, self.q)?;
        let numerators = self.gpu.buffer(pairs * columns)?;
        let [result, gradient] = [result, gradient].map(|tensor| tensor.buffer(self.op));
        let (result, gradient) = (part(result?, slab, width), part(gradient?, slab, width));
        let denominators = part(&saved.denominators, slab, heads);
        let [_, least, added] = self.constants();
        let words = [head_width, result.offset, denominators.offset].map(|word| word as u32);
        let words = [&words[..], &[least.to_bits(), added.to_bits()]].concat();
        let buffers = [gradient.binding, result.binding, denominators.binding, Binding::whole(&numerators)];
        run(self.gpu, Kernel::new("linear_attention_slopes", &[]), &words, &buffers, pairs, 3 * head_width)?;
        let length = features * columns;
        let partial = self.gpu.buffer(slab.count() * heads * length)?;
        let places = Places {
            size: features,
            columns,
            a_row: heads * features,
            a_head: features,
            b_first: heads * columns,
            b_head: columns,
            b_k: heads * columns,
            b_column: 1,
            c_item: heads * length,
            c_head: length,
            c_row: columns,
            ..Places::default()
        };
        let variant = Variant { left: self.left(), along: true, ..Variant::PLAIN };
        let operands = [Binding::whole(&projected), Binding::whole(&numerators), Binding::whole(&partial)];
        let product = Product {
            items: &slab.blocks,
            statistics: statistics.as_ref().map(Binding::whole),
            ..self.product(slab, variant, places, operands)
        };
        product.launch(self.gpu, self.op)?;
        let len = group.segments.len() * heads * length;
        self.join(slab, &partial, super::all(total, len), length, None)?;
        let Some(at_q) = at_q else { return Ok(()) };
        let slopes = self.gpu.buffer(pairs * features)?;
        let places = Places {
            size: columns,
            columns: features,
            a_row: heads * columns,
            a_head: columns,
            b_segment: heads * self.sum_len(),
            b_head: self.sum_len(),
            b_k: 1,
            b_column: columns,
            c_first: heads * features,
            c_head: features,
            c_row: heads * features,
            ..Places::default()
        };
        let operands =
            [Binding::whole(&numerators), self.sums(sums, &group.segments), Binding::whole(&slopes)];
        self.product(slab, Variant::PLAIN, places, operands).launch(self.gpu, self.op)?;
        self.finish_gradient(slab, &projected, &slopes, statistics.as_ref(), 0, self.q, at_q)
    }

    /// From gradients at features to gradients at the vectors.
    #[expect(clippy::too_many_arguments, reason = "the operands of two kernels")]
    fn finish_gradient(
        &self,
        slab: &Slab,
        projected: &GpuBuffer,
        slopes: &GpuBuffer,
        statistics: Option<&GpuBuffer>,
        map: u32,
        z: &Tensor,
        out: &GpuBuffer,
    ) -> Result<()> {
        let Rule { head_width, features, .. } = self.rule;
        let (width, pairs) = (self.rule.width(), slab.pairs(&self.rule));
        let words = [features as u32, self.rule.square_scale().to_bits()];
        let mut buffers = vec![Binding::whole(projected), Binding::whole(slopes)];
        buffers.extend(statistics.map(Binding::whole));
        let kernel = features_kernel(if statistics.is_some() { map } else { 2 });
        run(self.gpu, kernel, &words, &buffers, pairs, 3 * features)?;
        let out: Part<'_> = part(out, slab, width);
        let z = part(z.buffer(self.op)?, slab, width);
        let places = Places {
            size: features,
            columns: head_width,
            a_row: features,
            b_k: self.strides[0],
            b_column: self.strides[1],
            c_offset: out.offset,
            c_first: head_width,
            c_row: head_width,
            side_offset: z.offset,
            ..Places::default()
        };
        let epilogue = if statistics.is_some() { Epilogue::AddSide } else { Epilogue::Scale };
        let operands = [Binding::whole(slopes), self.projection.binding(self.op)?, out.binding];
        let product = Product {
            heads: 1,
            rows: pairs,
            items: &slab.pairs,
            statistics: statistics.map(Binding::whole),
            side: statistics.map(|_| z.binding),
            scale: self.rule.scale(),
            ..self.product(slab, Variant { epilogue, ..Variant::PLAIN }, places, operands)
        };
        product.launch(self.gpu, self.op)
    }

    /// Gradients at the largest key projections of the segments of a group.
    fn maximum_slopes(
        &self,
        group: &Group,
        saved: &Saved,
        sums: &GpuBuffer,
        slopes: &GpuBuffer,
        out: &GpuBuffer,
    ) -> Result<()> {
        let Rule { heads, features, .. } = self.rule;
        let words = [heads, features, self.columns(), group.segments.start].map(|word| word as u32);
        let words = [&words[..], &[self.rule.shift().to_bits()]].concat();
        let len = group.segments.len() * heads * features * self.columns();
        let buffers = [
            super::all(slopes, len),
            self.sums(sums, &group.segments),
            saved.plan.offsets.binding(self.op)?,
            Binding::whole(out),
        ];
        let kernel = Kernel::new("performer_maximum_slopes", &[]);
        run(self.gpu, kernel, &words, &buffers, group.segments.len(), heads * self.sum_len())
    }

    /// Gradients of one slab of keys and values.
    #[expect(
        clippy::too_many_arguments,
        reason = "one call; a slab, what belongs to it, and where results go"
    )]
    fn key_gradients(
        &self,
        group: &Group,
        slab: &Slab,
        saved: &Saved,
        slopes: &GpuBuffer,
        maximum_slopes: &GpuBuffer,
        segments: usize,
        [at_k, at_v]: [Option<&GpuBuffer>; 2],
    ) -> Result<()> {
        let Rule { heads, head_width, features, .. } = self.rule;
        let (width, columns) = (self.rule.width(), self.columns());
        let projected = self.project(slab, self.k)?;
        let statistics = self.statistics(slab, &projected, self.k)?;
        if let (Some(statistics), Some(maxima)) = (&statistics, &saved.maxima) {
            let stride = self.maximum_stride();
            let words = [
                heads as u32,
                slab.first_block as u32,
                group.segments.start as u32,
                stride,
                segments as u32,
                f32::NEG_INFINITY.to_bits(),
            ];
            let buffers = [
                slab.blocks.binding(self.op)?,
                Binding::whole(statistics),
                Binding::whole(maxima),
                Binding::whole(maximum_slopes),
            ];
            run(self.gpu, offsets_kernel(true), &words, &buffers, slab.count() * heads, 512)?;
        }
        let length = features * columns;
        let slopes = super::all(slopes, group.segments.len() * heads * length);
        let of_segment = Places { b_segment: heads * length, b_head: length, ..Places::default() };
        if let Some(at_v) = at_v {
            let out = part(at_v, slab, width);
            let places = Places {
                size: features,
                columns: head_width,
                a_row: heads * features,
                a_head: features,
                b_k: columns,
                b_column: 1,
                c_offset: out.offset,
                c_first: width,
                c_head: head_width,
                c_row: width,
                ..of_segment
            };
            let variant = Variant { left: self.left(), ..Variant::PLAIN };
            let product = Product {
                statistics: statistics.as_ref().map(Binding::whole),
                ..self.product(slab, variant, places, [Binding::whole(&projected), slopes, out.binding])
            };
            product.launch(self.gpu, self.op)?;
        }
        let Some(at_k) = at_k else { return Ok(()) };
        let at_features = self.gpu.buffer(slab.pairs(&self.rule) * features)?;
        let v = part(self.v.buffer(self.op)?, slab, width);
        let weights = self.weights(slab)?;
        let places = Places {
            size: columns,
            columns: features,
            a_offset: v.offset,
            a_row: width,
            a_head: head_width,
            b_k: 1,
            b_column: columns,
            c_first: heads * features,
            c_head: features,
            c_row: heads * features,
            ones: head_width,
            side_offset: weights.as_ref().map_or(0, |weights| weights.offset),
            ..of_segment
        };
        let variant = Variant { left_ones: true, weighted: weights.is_some(), ..Variant::PLAIN };
        let operands = [v.binding, slopes, Binding::whole(&at_features)];
        let product = Product {
            side: weights.map(|weights| weights.binding),
            ..self.product(slab, variant, places, operands)
        };
        product.launch(self.gpu, self.op)?;
        self.finish_gradient(slab, &projected, &at_features, statistics.as_ref(), 1, self.k, at_k)
    }
}
