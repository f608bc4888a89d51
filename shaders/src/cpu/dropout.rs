//! CPU twin of dropout.

use super::Cpu;
use super::elementwise::HEAVY;
use super::philox::philox;
use super::simd::vectorized;
use crate::ops::DropoutWords;

/// Row i of out is row i of x, times the scale or 0 as the random words for the key of the row say.
pub(crate) fn dropout(
    cpu: &Cpu,
    x: &[f32],
    columns: usize,
    words: &DropoutWords,
    keys: Option<&[u32]>,
    out: &mut [f32],
) {
    let DropoutWords { threshold, scale, seed, stream } = *words;
    cpu.rows(out, columns, HEAVY * columns, 1, |first, out| {
        let rows = out.chunks_exact_mut(columns).zip(x[first * columns..].chunks_exact(columns));
        vectorized(
            #[inline(always)]
            || {
                for (i, (out, x)) in rows.enumerate() {
                    let key = keys.map_or((first + i) as u32, |keys| keys[first + i]);
                    for (quad, (out, x)) in out.chunks_mut(4).zip(x.chunks(4)).enumerate() {
                        let random = philox([quad as u32, key, stream[0], stream[1]], seed);
                        for ((out, x), word) in out.iter_mut().zip(x).zip(random) {
                            *out = x * if word < threshold { 0.0 } else { scale };
                        }
                    }
                }
            },
        );
    });
}
