//! One metric of several models on equal terms.
//!
//! A metric can be undefined in a fold, and not in the same fold for every model. Means over different folds answer
//! different questions, so models are compared over the folds where the metric is defined for all of them.

use std::collections::BTreeSet;

use super::measure::Measured;

/// Values of one metric for some models, all over the same cells.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Fair {
    /// One value a model, in the order given; `None` only where the metric is defined nowhere.
    pub(super) values: Vec<Option<f64>>,
    /// What the values are: `mean of 4 of 5 folds` or `all test cells`.
    pub(super) scope: String,
}

/// Compares models in one metric: its mean over the folds where it is defined for all of them, or when there is no such
/// fold (or only one fold at all) its value over all test cells. A model that defines it nowhere does not hold back the
/// others.
pub(super) fn fair(models: &[&Measured], metric: &str) -> Fair {
    let all: BTreeSet<(u32, u32)> = models.iter().flat_map(|m| m.folds.keys().copied()).collect();
    let merged = |m: &Measured| m.merged.get(metric).copied().flatten();
    let in_fold = |m: &Measured, fold| m.folds.get(&fold).and_then(|f| f.get(metric)).copied().flatten();
    let somewhere = |m: &&&Measured| merged(m).is_some() || m.values(metric).iter().any(Option::is_some);
    let deciding: Vec<&Measured> = models.iter().filter(somewhere).copied().collect();
    let common: Vec<(u32, u32)> =
        all.iter().copied().filter(|&fold| deciding.iter().all(|m| in_fold(m, fold).is_some())).collect();
    if all.len() < 2 || common.is_empty() || deciding.is_empty() {
        return Fair {
            values: models.iter().map(|m| merged(m)).collect(),
            scope: "all test cells".to_owned(),
        };
    }
    let mean = |m: &&Measured| {
        let values: Option<Vec<f64>> = common.iter().map(|&fold| in_fold(m, fold)).collect();
        values.map(|v| v.iter().sum::<f64>() / v.len() as f64)
    };
    let scope = if common.len() == all.len() {
        format!("mean of {} folds", all.len())
    } else {
        format!("mean of {} of {} folds", common.len(), all.len())
    };
    Fair { values: models.iter().map(mean).collect(), scope }
}

#[cfg(test)]
mod tests {
    use super::super::measure::Metrics;
    use super::*;

    fn model(name: &str, folds: &[Option<f64>], merged: Option<f64>) -> Measured {
        let metrics = |v: Option<f64>| Metrics::from([("f1", v)]);
        Measured {
            name: name.to_owned(),
            folds: folds.iter().enumerate().map(|(i, v)| ((0, i as u32), metrics(*v))).collect(),
            merged: metrics(merged),
        }
    }

    #[test]
    fn means_are_taken_over_the_same_folds() {
        let a = model("a", &[Some(0.9), Some(0.5), None], Some(0.6));
        let b = model("b", &[None, Some(0.6), Some(0.1)], Some(0.4));
        // Each over its own folds, a (0.7) would beat b (0.35); in the only fold that both define, b is better.
        let both = fair(&[&a, &b], "f1");
        assert_eq!(
            both,
            Fair { values: vec![Some(0.5), Some(0.6)], scope: "mean of 1 of 3 folds".to_owned() }
        );
        assert_eq!(
            fair(&[&a], "f1"),
            Fair { values: vec![Some(0.7)], scope: "mean of 2 of 3 folds".to_owned() }
        );
        let apart = model("c", &[Some(0.2), None, None], Some(0.3));
        let merged = fair(&[&apart, &b], "f1");
        assert_eq!(merged, Fair { values: vec![Some(0.3), Some(0.4)], scope: "all test cells".to_owned() });
        let nothing = model("d", &[None, None, None], None);
        assert_eq!(fair(&[&a, &nothing], "f1").values, vec![Some(0.7), None]);
        assert_eq!(fair(&[&model("e", &[Some(0.3)], Some(0.3))], "f1").scope, "all test cells");
    }
}
