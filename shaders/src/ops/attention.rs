//! Multi-head attention over ragged batches.

use super::cpu_tensor;
use crate::cpu::attention::Attention;
use crate::device::Backend;
use crate::error::{Error, Result};
use crate::gpu::{Binding, Cost, Launch};
use crate::kernels::Kernel;
use crate::segments::Segments;
use crate::tensor::Tensor;

/// Widest head that the kernels keep in registers.
const WIDEST_HEAD: usize = 128;

/// softmax(q kᵀ / √head_width) v inside each segment and head (Vaswani et al. 2017), without padding and without ever
/// storing the scores. `q`, `k` and `v` are `[rows, heads * head_width]` with head h in columns
/// `h * head_width..`, so is the result. With `causal`, a row sees itself and the rows before it.
///
/// # Errors
/// Shapes or devices do not fit, or a head is wider than 128; the device's errors.
pub fn attention(
    q: &Tensor,
    k: &Tensor,
    v: &Tensor,
    segments: &Segments,
    heads: usize,
    causal: bool,
) -> Result<Tensor> {
    const OP: &str = "attention";
    let (rows, width) = q.matrix(OP, "q")?;
    k.expect_like(OP, "k", q)?;
    v.expect_like(OP, "v", q)?;
    q.device().expect_home(OP, &[k, v])?;
    if !q.device().same(segments.device()) {
        return Err(Error::MixedDevices { op: OP });
    }
    if segments.rows() != rows {
        let message = format!("the segments cover {} rows, `q` has {rows}", segments.rows());
        return Err(Error::shape(OP, message));
    }
    if heads == 0 || width == 0 || width % heads != 0 || width / heads > WIDEST_HEAD {
        let message =
            format!("{width} columns cannot be cut into {heads} heads of 1 to {WIDEST_HEAD} columns");
        return Err(Error::shape(OP, message));
    }
    match q.device().backend() {
        Backend::Cpu(cpu) => {
            let attention =
                Attention { q: q.host(OP)?, k: k.host(OP)?, v: v.host(OP)?, width, heads, causal };
            Ok(cpu_tensor(q.device(), cpu, q.shape(), |out| attention.run(cpu, segments, out)))
        }
        Backend::Gpu(gpu) => {
            let out = gpu.buffer(q.len())?;
            let offsets = segments.offsets(OP)?;
            let (tiles, count) = segments.tiles(OP)?;
            let file = if gpu.tiled() { "attention_tile" } else { "attention_direct" };
            let pairs: f64 = segments.ranges().map(|range| (range.len() as f64).powi(2)).sum();
            gpu.launch(&Launch {
                kernel: attention_kernel(file, width / heads, causal),
                parameters: &[width as u32, heads as u32, (1.0 / ((width / heads) as f32).sqrt()).to_bits()],
                buffers: &[
                    q.binding(OP)?,
                    k.binding(OP)?,
                    v.binding(OP)?,
                    offsets,
                    tiles,
                    Binding::whole(&out),
                ],
                groups: count as u64 * heads as u64,
                cost: Cost { flops: 4.0 * pairs * width as f64, bytes: 16.0 * q.len() as f64 },
            })?;
            Ok(Tensor::from_gpu(q.device(), q.shape(), out))
        }
    }
}

/// The attention kernel for heads of `head_width` columns: registers hold them as vectors of four.
fn attention_kernel(file: &'static str, head_width: usize, causal: bool) -> Kernel {
    let constants = [
        ("HEAD", head_width as u32),
        ("VECTORS", head_width.div_ceil(4) as u32),
        ("TAIL", (head_width % 4) as u32),
        // Two tiles of keys and values fill the 16 KiB of workgroup memory that WebGPU guarantees.
        ("KEYS", if head_width <= 64 { 32 } else { 16 }),
        // Queries of one invocation of the direct kernel: more reuse of each key, but code that compiles for long.
        (
            "QUERIES",
            if head_width <= 64 {
                4
            } else if head_width.is_multiple_of(4) {
                2
            } else {
                1
            },
        ),
        ("CAUSAL", u32::from(causal)),
    ];
    Kernel::new(file, &constants)
}

/// The kernels of this file, in all variants for typical head widths.
pub(crate) fn kernels() -> Vec<Kernel> {
    let mut kernels = Vec::new();
    for head_width in [4, 10, 16, 20, 32, 64, 80, 96, 127, 128] {
        for causal in [false, true] {
            for file in ["attention_direct", "attention_tile"] {
                kernels.push(attention_kernel(file, head_width, causal));
            }
        }
    }
    kernels
}
