//! Linear attentions in f64, with every pair of a query and a key.

/// The map to features and the normalisation.
#[derive(Clone, Copy)]
pub enum Map {
    Exponential { eps: f64, whole_batch: bool },
    AtLeast(f64),
    Plus(f64),
}

/// The attention of Σ φ(q) φ(k) v over Σ φ(q) φ(k); `projection(feature, column)`.
pub fn attention(
    [q, k, v]: [&[f32]; 3],
    heads: usize,
    head_width: usize,
    features: usize,
    projection: &dyn Fn(usize, usize) -> f64,
    map: Map,
    lengths: &[usize],
) -> Vec<f64> {
    let width = heads * head_width;
    let exponential = matches!(map, Map::Exponential { .. });
    let c = if exponential { (head_width as f64).powf(-0.25) } else { 1.0 };
    let vector = |z: &[f32], row: usize, head: usize| -> Vec<f64> {
        z[row * width + head * head_width..][..head_width].iter().map(|z| c * f64::from(*z)).collect()
    };
    let projected = |z: &[f64]| -> Vec<f64> {
        let one = |feature: usize| z.iter().enumerate().map(|(at, z)| projection(feature, at) * z).sum();
        (0..features).map(one).collect()
    };
    let largest = |a: &[f64]| a.iter().copied().fold(f64::NEG_INFINITY, f64::max);
    let map_with = |z: &[f64], maximum: f64| -> Vec<f64> {
        let square = z.iter().map(|z| z * z).sum::<f64>() / 2.0;
        projected(z)
            .into_iter()
            .map(|a| match map {
                Map::Exponential { eps, .. } => (a - square - maximum).exp() + eps,
                _ => a.max(0.0),
            })
            .collect()
    };
    let maximum = |rows: std::ops::Range<usize>| {
        let pairs = rows.flat_map(|row| (0..heads).map(move |head| (row, head)));
        largest(&pairs.map(|(row, head)| largest(&projected(&vector(k, row, head)))).collect::<Vec<_>>())
    };
    let mut out = vec![0.0; q.len()];
    let mut start = 0;
    for length in lengths {
        let rows = start..start + length;
        start += length;
        let key_maximum = match map {
            Map::Exponential { whole_batch: true, .. } => maximum(0..q.len() / width),
            Map::Exponential { .. } => maximum(rows.clone()),
            _ => 0.0,
        };
        for head in 0..heads {
            let keys: Vec<Vec<f64>> =
                rows.clone().map(|row| map_with(&vector(k, row, head), key_maximum)).collect();
            for row in rows.clone() {
                let z = vector(q, row, head);
                let query = map_with(&z, largest(&projected(&z)));
                let weight = |key: &Vec<f64>| query.iter().zip(key).map(|(q, k)| q * k).sum::<f64>();
                let weights: Vec<f64> = keys.iter().map(weight).collect();
                let total: f64 = weights.iter().sum();
                let divisor = match map {
                    Map::Exponential { .. } => total,
                    Map::AtLeast(least) => total.max(least),
                    Map::Plus(added) => total + added,
                };
                for column in 0..head_width {
                    let at = |row: usize| row * width + head * head_width + column;
                    let mixed: f64 = rows.clone().zip(&weights).map(|(j, w)| w * f64::from(v[at(j)])).sum();
                    out[at(row)] = mixed / divisor;
                }
            }
        }
    }
    out
}

/// Flow attention.
pub fn flow([q, k, v]: [&[f32]; 3], heads: usize, head_width: usize, lengths: &[usize]) -> Vec<f64> {
    const EPS: f64 = 1e-6;
    let width = heads * head_width;
    let dot = |a: &[f64], b: &[f64]| a.iter().zip(b).map(|(a, b)| (a + EPS) * (b + EPS)).sum::<f64>();
    let mut out = vec![0.0; q.len()];
    let mut start = 0;
    for length in lengths {
        let rows = start..start + length;
        start += length;
        for head in 0..heads {
            let vectors = |z: &[f32], map: fn(f64) -> f64| -> Vec<Vec<f64>> {
                let row = |row: usize| &z[row * width + head * head_width..][..head_width];
                rows.clone().map(|at| row(at).iter().map(|z| map(f64::from(*z))).collect()).collect()
            };
            let (u, w) = (vectors(q, super::reference::sigmoid), vectors(k, super::reference::sigmoid));
            let v = vectors(v, |value| value);
            let total = |rows: &[Vec<f64>], weights: &[f64]| -> Vec<f64> {
                let one = |c: usize| rows.iter().zip(weights).map(|(row, weight)| row[c] * weight).sum();
                (0..head_width).map(one).collect()
            };
            let ones = vec![1.0; *length];
            let (all_u, all_w) = (total(&u, &ones), total(&w, &ones));
            let a: Vec<f64> = u.iter().map(|u| 1.0 / dot(u, &all_w)).collect();
            let b: Vec<f64> = w.iter().map(|w| 1.0 / dot(w, &all_u)).collect();
            let (flow_u, flow_w) = (total(&u, &a), total(&w, &b));
            let c: Vec<f64> = u.iter().map(|u| dot(u, &flow_w)).collect();
            let powers: Vec<f64> = w.iter().map(|w| dot(w, &flow_u).clamp(-1.0, 1.0).exp()).collect();
            let sum: f64 = powers.iter().sum();
            for (i, row) in rows.clone().enumerate() {
                let weight = |j: usize| -> f64 {
                    let flow: f64 = u[i].iter().zip(&w[j]).map(|(u, w)| u * w).sum();
                    flow * powers[j] / sum * *length as f64
                };
                let weights: Vec<f64> = (0..*length).map(weight).collect();
                for column in 0..head_width {
                    let mixed: f64 = weights.iter().zip(&v).map(|(weight, v)| weight * v[column]).sum();
                    out[row * width + head * head_width + column] =
                        super::reference::sigmoid(c[i]) * a[i] * mixed;
                }
            }
        }
    }
    out
}
