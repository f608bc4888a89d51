//! Standardisation of features, fitted on training cells.

use super::data::FeatureRows;

/// Mean and standard deviation (ddof 0) of each dimension over the training cells; a constant dimension has 1.
#[derive(Clone, Debug, PartialEq)]
pub struct Standardizer {
    /// Subtracted.
    pub mean: Vec<f32>,
    /// Divided by.
    pub sd: Vec<f32>,
}

impl Standardizer {
    /// Fits on the given cells.
    #[must_use]
    pub fn fit(rows: &FeatureRows) -> Self {
        let n = rows.len().max(1) as f64;
        let mut mean = vec![0.0_f64; rows.dim];
        for i in 0..rows.len() {
            for (m, &v) in mean.iter_mut().zip(rows.vector(i)) {
                *m += f64::from(v);
            }
        }
        mean.iter_mut().for_each(|m| *m /= n);
        let mut square = vec![0.0_f64; rows.dim];
        for i in 0..rows.len() {
            for ((s, m), &v) in square.iter_mut().zip(&mean).zip(rows.vector(i)) {
                *s += (f64::from(v) - m).powi(2);
            }
        }
        let sd = square.iter().zip(&mean).map(|(s, m)| {
            let sd = (s / n).sqrt();
            // Rounding of the mean leaves dust on constant dimensions, which must not be blown up.
            if sd > 1e-7 * m.abs().max(f64::from(f32::MIN_POSITIVE)) { sd as f32 } else { 1.0 }
        });
        Self { sd: sd.collect(), mean: mean.iter().map(|&m| m as f32).collect() }
    }

    /// Applies it in place.
    pub fn apply(&self, rows: &mut FeatureRows) {
        for row in rows.values.chunks_mut(rows.dim.max(1)) {
            for ((v, m), s) in row.iter_mut().zip(&self.mean).zip(&self.sd) {
                *v = (*v - m) / s;
            }
        }
    }
}
