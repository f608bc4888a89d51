//! Attention and its gradients in f64, with a full row of scores.

use std::ops::Range;

/// What to compute. `kv_heads` divides `heads`.
#[derive(Debug, Clone)]
pub struct Case {
    pub heads: usize,
    pub kv_heads: usize,
    pub head_width: usize,
    pub lengths: Vec<usize>,
    pub causal: bool,
    pub scale: Option<f32>,
}

impl Case {
    /// As many heads of keys as of queries, the usual scale.
    pub fn plain(heads: usize, head_width: usize, lengths: &[usize], causal: bool) -> Case {
        Case { heads, kv_heads: heads, head_width, lengths: lengths.to_vec(), causal, scale: None }
    }

    pub fn rows(&self) -> usize {
        self.lengths.iter().sum()
    }

    /// Shapes of queries, and of keys and values.
    pub fn shapes(&self) -> [[usize; 2]; 2] {
        [self.heads, self.kv_heads].map(|heads| [self.rows(), heads * self.head_width])
    }

    pub fn ranges(&self) -> Vec<Range<usize>> {
        let mut end = 0;
        let range = |length: &usize| {
            end += length;
            end - length..end
        };
        self.lengths.iter().map(range).collect()
    }

    /// The result and, for its gradient, the gradients of q, k and v.
    pub fn exact(&self, [q, k, v]: [&[f32]; 3], gradient: &[f32]) -> [Vec<f64>; 4] {
        let [[_, width], [_, kv_width]] = self.shapes();
        let d = self.head_width;
        let scale = self.scale.map_or(1.0 / (d as f64).sqrt(), f64::from);
        let (mut out, mut dq) = (vec![0.0; q.len()], vec![0.0; q.len()]);
        let (mut dk, mut dv) = (vec![0.0; k.len()], vec![0.0; k.len()]);
        let dot = |a: &[f32], b: &[f32]| -> f64 {
            a.iter().zip(b).map(|(a, b)| f64::from(*a) * f64::from(*b)).sum()
        };
        for range in self.ranges() {
            for (head, i) in (0..self.heads).flat_map(|head| range.clone().map(move |i| (head, i))) {
                let shared = head / (self.heads / self.kv_heads);
                let at = i * width + head * d..i * width + (head + 1) * d;
                let kv_at = |j: usize| j * kv_width + shared * d..j * kv_width + (shared + 1) * d;
                let seen = range.start..if self.causal { i + 1 } else { range.end };
                let scores: Vec<f64> =
                    seen.clone().map(|j| scale * dot(&q[at.clone()], &k[kv_at(j)])).collect();
                let largest = scores.iter().copied().fold(f64::NEG_INFINITY, f64::max);
                let weights: Vec<f64> = scores.iter().map(|score| (score - largest).exp()).collect();
                let total: f64 = weights.iter().sum();
                for (j, weight) in seen.clone().zip(&weights) {
                    for (c, value) in v[kv_at(j)].iter().enumerate() {
                        out[at.start + c] += weight / total * f64::from(*value);
                    }
                }
                let mean: f64 = at.clone().map(|c| out[c] * f64::from(gradient[c])).sum();
                for (j, weight) in seen.zip(&weights) {
                    let weight = weight / total;
                    let slope = scale * weight * (dot(&gradient[at.clone()], &v[kv_at(j)]) - mean);
                    for c in 0..d {
                        dq[at.start + c] += slope * f64::from(k[kv_at(j).start + c]);
                        dk[kv_at(j).start + c] += slope * f64::from(q[at.start + c]);
                        dv[kv_at(j).start + c] += weight * f64::from(gradient[at.start + c]);
                    }
                }
            }
        }
        [out, dq, dk, dv]
    }
}
