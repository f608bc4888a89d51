//! Models and baselines beside each other, over the same conditions.

use std::collections::{BTreeMap, BTreeSet};

use super::measure::Tested;
use super::run::Measured;
use crate::evaluate::scopes::value;
use crate::evaluate::shared::{self, Defined, Mean, Pair};

/// Means that the first table and the headline show, which may be undefined for a condition.
const SHOWN: [&str; 6] =
    ["pearson_delta", "pearson_delta_top20", "r2_top20", "opposite_direction_top20", "discrimination", "r2"];

/// A condition as a part of a model tests it.
fn name(tested: &Tested) -> String {
    let name = tested.condition.name();
    if tested.part == 0 { name } else { format!("{name} (fold {})", tested.part) }
}

/// Keeps the conditions that all models test in the same part; gives names of the others.
pub(super) fn keep_common(models: &mut [(String, Vec<Tested>)]) -> BTreeSet<String> {
    let all: Vec<BTreeSet<String>> =
        models.iter().map(|(_, tested)| tested.iter().map(name).collect()).collect();
    let everywhere = |name: &String| all.iter().all(|names| names.contains(name));
    let others: BTreeSet<String> = all.iter().flatten().filter(|name| !everywhere(name)).cloned().collect();
    for (_, tested) in models.iter_mut() {
        tested.retain(|tested| !others.contains(&name(tested)));
    }
    others
}

/// A metric by condition where it is defined.
fn defined(model: &Measured, metric: &str) -> Defined {
    let conditions = model.tested.iter().zip(&model.conditions);
    conditions.filter_map(|(tested, metrics)| Some((name(tested), value(metrics, metric)?))).collect()
}

/// The means over conditions of all models.
pub(super) fn means(all: &[Measured]) -> Vec<Mean<'_>> {
    let of = |metric: &'static str| Mean {
        metric,
        what: "conditions",
        models: all.iter().map(|m| (m.name.as_str(), defined(m, metric))).collect(),
    };
    SHOWN.into_iter().map(of).collect()
}

/// Says plainly when the best baseline is as good.
pub(super) fn not_better(all: &[Measured]) -> Vec<String> {
    let mut out = Vec::new();
    for (metric, sign) in [("pearson_delta", 1.0_f64), ("mse_top20", -1.0)] {
        let of: BTreeMap<&str, Defined> = all.iter().map(|m| (m.name.as_str(), defined(m, metric))).collect();
        for model in all.iter().filter(|m| !m.baseline) {
            let pair = |other: &Measured| Pair::new(&of[model.name.as_str()], &of[other.name.as_str()]);
            let baselines =
                all.iter().filter(|m| m.baseline).filter_map(|m| Some((m.name.as_str(), pair(m)?)));
            out.extend(shared::not_better(&model.name, (metric, sign), "conditions", baselines));
        }
    }
    out
}
