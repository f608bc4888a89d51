//! Matrix products on a GPU: cut into launches whose operands can be bound, each by the kernel that suits its shape.

mod exponents;
mod kernel;
mod piece;
mod variant;

pub(crate) use variant::product_kernels;

use super::{Layout, Product};
use crate::error::Result;
use crate::gpu::{Binding, Cost, Gpu, Launch};
use crate::kernels::Kernel;
use crate::tensor::Tensor;
use kernel::kernel;
use piece::{Piece, pieces};
use variant::Variant;

/// Launches the products; the result is `[count, m, n]`.
pub(super) fn product(gpu: &Gpu, op: &'static str, product: &Product<'_>) -> Result<Tensor> {
    let Product { a, batch, size: [m, n, _], .. } = *product;
    let out = gpu.buffer(batch.count * m * n)?;
    let pieces = pieces(gpu, op, product, &out)?;
    if let Some(first) = pieces.first() {
        // One choice for all: the pieces differ little, and the first starts its sums, so it can be repeated.
        let variant = choose(gpu, product, first)?;
        for piece in &pieces {
            let exponents = variant.splits().then(|| exponents::exponents(gpu, piece)).transpose()?;
            let more: Vec<Binding<'_>> = exponents.iter().flatten().map(Binding::whole).collect();
            run(piece, variant, &more, |launch| Ok(gpu.launch(launch)?))?;
        }
    }
    Ok(Tensor::from_gpu(a.device(), &[batch.count, m, n], out))
}

/// The kernel for products like this.
fn choose(gpu: &Gpu, product: &Product<'_>, first: &Piece<'_>) -> Result<Variant> {
    if let Some(cooperative) = gpu.cooperative()? {
        return Ok(Variant::Cooperative(cooperative));
    }
    let candidates = if gpu.tiled() {
        variant::tiled(first.size, first.batches)
    } else {
        variant::register(first.size, first.batches, gpu.features().subgroups)
    };
    let names: Vec<&'static str> = candidates.iter().map(|variant| variant.name()).collect();
    let layout = match product.layout {
        Layout::NN => "nn",
        Layout::NT => "nt",
        Layout::TN => "tn",
    };
    let [m, n, k] = first.size.map(|size| size.max(1).ilog2());
    let fours = if first.fours() { "" } else { " odd" };
    let key = format!("product {layout} {} {}x 2^{m} 2^{n} 2^{k}{fours}", product.b.element(), first.batches);
    let work = 2.0 * first.work();
    let time = |name: &str| -> Result<f64> {
        let Some(variant) = Variant::named(name) else { return Ok(f64::INFINITY) };
        run(first, variant, &[], |launch| Ok(gpu.time(launch)?))
    };
    let chosen = gpu.choose_kernel("product", &key, &names, work, time)?;
    let runs = |variant: &Variant| variant.runs_with(gpu.features().subgroups);
    Ok(Variant::named(&chosen).filter(runs).unwrap_or(candidates[0]))
}

/// Gives the launch of `piece` by `variant`, which binds `more` behind the operands, to `with`.
fn run<T>(
    piece: &Piece<'_>,
    variant: Variant,
    more: &[Binding<'_>],
    with: impl FnOnce(&Launch<'_>) -> Result<T>,
) -> Result<T> {
    let swapped;
    let piece = if variant.swaps(piece.size) {
        swapped = piece.swapped();
        &swapped
    } else {
        piece
    };
    let [rows, columns] = variant.tile();
    let [m, n, _] = piece.size;
    let groups = m.div_ceil(rows) * n.div_ceil(columns);
    let work = piece.work();
    with(&Launch {
        kernel: kernel(piece, variant),
        parameters: &piece.words(groups),
        buffers: &[&piece.buffers(), more].concat(),
        groups: (groups * piece.batches) as u64,
        cost: Cost { flops: 2.0 * work, bytes: 4.0 * (piece.batches * m * n) as f64 + work / 8.0 },
    })
}

/// The kernels of products.
pub(in crate::ops) fn kernels() -> Vec<Kernel> {
    [kernel::kernels(), exponents::kernels()].concat()
}
