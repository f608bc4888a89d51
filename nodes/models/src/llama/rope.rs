//! Angles of the rotary position embedding (Su et al. 2021, arXiv 2104.09864), and how later Llamas stretch them for longer
//! texts. Llama 3 stretches nothing; 3.1 and later do.

use std::f64::consts::TAU;

use celldag_shaders::ops::Rotary;
use serde::Deserialize;

/// Base of the angles where a file does not say: that of the first Llamas.
const BASE: f64 = 10_000.0;

/// `rope_scaling` or `rope_parameters` of a `config.json`.
#[derive(Clone, Debug, Default, PartialEq, Deserialize)]
#[serde(default)]
pub struct Rope {
    rope_type: Option<String>,
    /// What old files call `rope_type`.
    r#type: Option<String>,
    rope_theta: Option<f64>,
    factor: Option<f64>,
    low_freq_factor: Option<f64>,
    high_freq_factor: Option<f64>,
    original_max_position_embeddings: Option<f64>,
}

impl Rope {
    /// One angle for each pair of a head of `width` columns. `base` is the one outside of these settings.
    ///
    /// # Errors
    /// What is missing, or not known here.
    pub fn frequencies(&self, base: Option<f64>, width: usize) -> Result<Vec<f64>, String> {
        let base = self.rope_theta.or(base).unwrap_or(BASE);
        if !(base > 0.0 && base.is_finite()) {
            return Err(format!("`rope_theta` is {base}"));
        }
        let plain = Rotary::frequencies(base, width);
        let kind = self.rope_type.as_deref().or(self.r#type.as_deref()).unwrap_or("default");
        let number = |name: &str, value: Option<f64>| {
            let value = value.filter(|value| *value > 0.0 && value.is_finite());
            value.ok_or_else(|| format!("the position scaling `{kind}` needs a positive `{name}`"))
        };
        match kind {
            "default" => Ok(plain),
            "linear" => {
                let factor = number("factor", self.factor)?;
                Ok(plain.into_iter().map(|frequency| frequency / factor).collect())
            }
            "llama3" => {
                let factor = number("factor", self.factor)?;
                let low = number("low_freq_factor", self.low_freq_factor)?;
                let high = number("high_freq_factor", self.high_freq_factor)?;
                let trained =
                    number("original_max_position_embeddings", self.original_max_position_embeddings)?;
                if high <= low {
                    return Err("`high_freq_factor` must be above `low_freq_factor`".to_owned());
                }
                // Waves that fit into the texts of the training often enough stay; those that do not fit are stretched;
                // between them, part of each.
                let stretch = |frequency: f64| {
                    let waves = trained * frequency / TAU;
                    let stays = ((waves - low) / (high - low)).clamp(0.0, 1.0);
                    (1.0 - stays) * frequency / factor + stays * frequency
                };
                Ok(plain.into_iter().map(stretch).collect())
            }
            other => Err(format!("the position scaling `{other}` is none of default, linear and llama3")),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn frequencies(json: &str, width: usize) -> Result<Vec<f64>, String> {
        serde_json::from_str::<Rope>(json).unwrap().frequencies(Some(500_000.0), width)
    }

    fn assert_near(got: &[f64], want: &[f64]) {
        assert_eq!(got.len(), want.len());
        for (got, want) in got.iter().zip(want) {
            assert!((got - want).abs() < 1e-6 * want, "{got} instead of {want}");
        }
    }

    #[test]
    fn without_scaling_the_angles_are_powers_of_the_base() {
        let plain = frequencies("{}", 4).unwrap();
        assert_near(&plain, &[1.0, 500_000_f64.powf(-0.5)]);
        assert_eq!(frequencies(r#"{"type": "linear", "factor": 4.0}"#, 4).unwrap()[0], 0.25);
        assert_near(&frequencies(r#"{"rope_theta": 100.0}"#, 4).unwrap(), &[1.0, 0.1]);
    }

    #[test]
    fn llama_3_1_stretches_long_waves() {
        let json = r#"{"rope_type": "llama3", "type": "llama3", "factor": 8.0, "low_freq_factor": 1.0,
            "high_freq_factor": 4.0, "original_max_position_embeddings": 8192}"#;
        let plain = frequencies("{}", 128).unwrap();
        let scaled = frequencies(json, 128).unwrap();
        assert_near(&scaled[..20], &plain[..20]);
        assert_near(&scaled[45..], &plain[45..].iter().map(|f| f / 8.0).collect::<Vec<_>>());
        assert!(scaled[30] < plain[30] && scaled[30] > plain[30] / 8.0);
    }

    #[test]
    fn what_is_unknown_or_missing_is_named() {
        assert!(frequencies(r#"{"rope_type": "yarn"}"#, 4).unwrap_err().contains("yarn"));
        assert!(frequencies(r#"{"rope_type": "linear"}"#, 4).unwrap_err().contains("factor"));
        assert!(frequencies(r#"{"rope_theta": 0.0}"#, 4).unwrap_err().contains("rope_theta"));
    }
}
