//! The template constants of the product kernels.

use super::piece::Piece;
use super::variant::{Tile, Variant};
use crate::element::Element;
use crate::gpu::Cooperative;
use crate::kernels::Kernel;
use crate::ops::Activation;

/// How a piece looks to a kernel, apart from its sizes.
#[derive(Clone, Copy)]
struct Form {
    /// Of `a` and `b`: stored how, contiguous along the inner axis or not, read in vectors of four or not.
    a: (Element, bool, bool),
    b: (Element, bool, bool),
    /// Whether the result is written in vectors of four.
    c_fours: bool,
    bias: bool,
    activation: Activation,
    continued: bool,
    swapped: bool,
}

/// The kernel of `variant` for `piece`.
pub(super) fn kernel(piece: &Piece<'_>, variant: Variant) -> Kernel {
    let fours = piece.fours();
    let (a, b) = (&piece.a, &piece.b);
    // The tiled kernels read everything in vectors or nothing: fewer variants to compile.
    let apart = matches!(variant, Variant::Register { .. });
    let form = Form {
        a: (a.element, a.along_k, if apart { a.fours } else { fours }),
        b: (b.element, b.along_k, if apart { b.fours } else { fours }),
        c_fours: fours,
        bias: piece.biased(),
        activation: piece.activation,
        continued: piece.continued,
        swapped: piece.swapped,
    };
    match variant {
        Variant::Tile(tile) => tiled(tile, &form),
        Variant::Register { g, broadcast } => register(g, broadcast, form),
        Variant::Cooperative(cooperative) => cooperative.kernel(common(&Form { c_fours: false, ..form })),
    }
}

/// The constants of `shared/product.wgsl`.
fn common(form: &Form) -> Vec<(&'static str, u32)> {
    let ((a, a_k, a_fours), (b, b_k, b_fours)) = (form.a, form.b);
    let constants = [
        ("ACTIVATION", form.activation.code()),
        ("BIAS", u32::from(form.bias)),
        ("CONTINUED", u32::from(form.continued)),
        ("ELEMENT", a.code().max(b.code())),
        ("A_ELEMENT", a.code()),
        ("B_ELEMENT", b.code()),
        ("A_K", u32::from(a_k)),
        ("B_K", u32::from(b_k)),
        ("A_VEC", u32::from(a_fours)),
        ("B_VEC", u32::from(b_fours)),
        ("C_VEC", u32::from(form.c_fours)),
    ];
    constants.to_vec()
}

fn register(g: usize, broadcast: bool, mut form: Form) -> Kernel {
    // Vectors across the rows of `a` would have to be spread over the invocations again.
    form.a.2 &= form.a.1;
    form.c_fours = false;
    let vectors_along_k = form.a.2 || (form.b.1 && form.b.2);
    let mut constants = common(&form);
    constants.extend([
        ("G", g as u32),
        ("ROWS", 8 * g as u32),
        ("STEPS", if vectors_along_k { 4 } else { 1 }),
        ("SUBGROUP", u32::from(broadcast)),
        ("SWAPPED", u32::from(form.swapped)),
    ]);
    Kernel::new("matmul_register", &constants)
}

fn tiled(tile: &Tile, form: &Form) -> Kernel {
    let Tile { rows, columns, depth, x, y, .. } = *tile;
    let threads = x * y;
    // Invocations whose lanes neighbour each other: 8 across and 4 down, or 4 across and 8 down.
    let warp = x.min(8);
    let mut constants = common(form);
    let sizes = [
        ("ROWS", rows),
        ("COLUMNS", columns),
        ("DEPTH", depth),
        ("DEPTH_FOURS", depth / 4),
        ("X", x),
        ("Y", y),
        ("THREADS", threads),
        ("WARP", warp),
        ("WARP_ROWS", 32 / warp),
        ("X_WARPS", x / warp),
        ("WARPS", 32 * x / warp),
        ("A_BLOCKS", rows / (4 * y)),
        ("A_BLOCK", 4 * y),
        ("B_BLOCKS", columns / (4 * x)),
        ("B_BLOCK", 4 * x),
    ];
    constants.extend(sizes.map(|(name, size)| (name, size as u32)));
    constants.extend(slice(
        ["A_ROW", "A_SLICE", "A_FOURS", "A_PARTS", "A_LOADS", "A_PARTIAL"],
        rows,
        depth,
        threads,
    ));
    constants.extend(slice(
        ["B_ROW", "B_SLICE", "B_FOURS", "B_PARTS", "B_LOADS", "B_PARTIAL"],
        columns,
        depth,
        threads,
    ));
    Kernel::new("matmul_tile", &constants)
}

/// Sizes of a slice of `side` x `depth` values in workgroup memory, in vectors of four.
fn slice(names: [&'static str; 6], side: usize, depth: usize, threads: usize) -> [(&'static str, u32); 6] {
    let parts = side * depth / 4;
    // One vector of padding a step against bank conflicts.
    let row = side / 4 + 1;
    let partial = usize::from(!parts.is_multiple_of(threads));
    let sizes = [row, row * depth, side / 4, parts, parts.div_ceil(threads), partial];
    std::array::from_fn(|i| (names[i], sizes[i] as u32))
}

/// The kernels of products. Operands, epilogue and continued sums are separate parts of a kernel: every form of the
/// operands with a plain result, and every epilogue with one form of the operands.
pub(super) fn kernels() -> Vec<Kernel> {
    let mut kernels = Vec::new();
    let plain = Form {
        a: (Element::F32, true, true),
        b: (Element::F32, true, true),
        c_fours: true,
        bias: false,
        activation: Activation::None,
        continued: false,
        swapped: false,
    };
    let mut push = |form: Form, variants: &[Variant]| {
        for variant in variants {
            kernels.push(match *variant {
                Variant::Tile(tile) => tiled(tile, &form),
                Variant::Register { g, broadcast } => register(g, broadcast, form),
                Variant::Cooperative(cooperative) => {
                    cooperative.kernel(common(&Form { c_fours: false, ..form }))
                }
            });
        }
    };
    let few = [Variant::ALL[2], Variant::ALL[8]];
    let cooperative: Vec<Variant> = Cooperative::known().into_iter().map(Variant::Cooperative).collect();
    for fours in [false, true] {
        for (a_k, b_k) in [(true, false), (true, true), (false, false)] {
            let a = (Element::F32, a_k, fours);
            push(Form { a, b: (Element::F32, b_k, fours), c_fours: fours, ..plain }, &Variant::ALL);
            push(Form { a, b: (Element::F32, b_k, fours), bias: true, ..plain }, &cooperative);
            push(Form { a, b: (Element::F32, b_k, fours), c_fours: fours, continued: true, ..plain }, &few);
            for element in [Element::F16, Element::Bf16] {
                push(Form { a, b: (element, b_k, fours), c_fours: fours, ..plain }, &few);
            }
            let swapped = Form { a: (Element::F32, b_k, fours), b: (Element::F32, a_k, fours), ..plain };
            push(Form { swapped: true, c_fours: false, bias: true, ..swapped }, &Variant::ALL[6..]);
        }
        for activation in Activation::ALL {
            for bias in [false, true] {
                let (a, b) = ((Element::F32, true, fours), (Element::F32, true, fours));
                push(Form { a, b, c_fours: fours, bias, activation, ..plain }, &few);
            }
        }
    }
    kernels
}
