//! T: the read depth that a cell's vector is asked for.

use std::fmt;
use std::str::FromStr;

use serde::{Serialize, Serializer};

/// How T follows from the cell's total count N; as the authors write it.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum TargetDepth {
    /// `t4`: T = 4, 10⁴ counts, for every cell.
    Total(f64),
    /// `f2`: twice the cell's counts, T = log10(2 N).
    Fold(f64),
    /// `a1`: ten times the cell's counts, T = log10(N) + 1.
    Add(f64),
}

impl Default for TargetDepth {
    fn default() -> Self {
        Self::Total(4.0)
    }
}

impl TargetDepth {
    /// T of a cell with a total count of `total`.
    #[must_use]
    pub fn of(self, total: f64) -> f64 {
        match self {
            Self::Total(log) => log,
            Self::Fold(factor) => (total * factor).log10(),
            Self::Add(log) => total.log10() + log,
        }
    }
}

impl FromStr for TargetDepth {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let kind = text.chars().next();
        let number =
            kind.and_then(|kind| text[kind.len_utf8()..].parse::<f64>().ok()).filter(|x| x.is_finite());
        match (kind, number) {
            (Some('t'), Some(log)) if log > 0.0 => Ok(Self::Total(log)),
            (Some('f'), Some(factor)) if factor > 0.0 => Ok(Self::Fold(factor)),
            (Some('a'), Some(log)) => Ok(Self::Add(log)),
            _ => Err(format!(
                "target_depth = {text}: write t4 for 10^4 counts (above t0), f2 for twice the counts of the cell, or a1 for \
                 10^1 times its counts"
            )),
        }
    }
}

impl fmt::Display for TargetDepth {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Total(number) => write!(f, "t{number}"),
            Self::Fold(number) => write!(f, "f{number}"),
            Self::Add(number) => write!(f, "a{number}"),
        }
    }
}

impl Serialize for TargetDepth {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn three_ways_to_write_a_depth() {
        let at = |text: &str| text.parse::<TargetDepth>().unwrap().of(1000.0);
        assert_eq!(
            [at("t4"), at("t4.5"), at("a1"), at("a-1"), at("f10"), at("f1")],
            [4.0, 4.5, 4.0, 2.0, 4.0, 3.0]
        );
        assert_eq!("t4.50".parse::<TargetDepth>().unwrap().to_string(), "t4.5");
        for wrong in ["", "4", "t", "t0", "t-1", "f0", "x2", "tnan", "ainf", "é4"] {
            assert!(wrong.parse::<TargetDepth>().is_err(), "{wrong}");
        }
    }
}
