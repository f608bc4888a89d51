//! Predictors of an effect that look at means of other effects only.

use std::collections::BTreeMap;

use super::profiles::Condition;

/// As written in `baselines:` and as shown.
pub(super) const BASELINES: [(&str, &str); 5] = [
    ("no-change", "no change (control mean)"),
    ("mean-effect", "mean effect"),
    ("drug-mean-effect", "mean effect of the perturbation"),
    ("line-mean-effect", "mean effect in the line"),
    ("additive", "additive perturbation + line"),
];

/// Means of the effects of training conditions: of all, by perturbation, by line.
pub(super) struct Effects<'a> {
    genes: usize,
    all: Option<Vec<f64>>,
    by_perturbation: BTreeMap<&'a str, Vec<f64>>,
    by_line: BTreeMap<&'a str, Vec<f64>>,
}

impl<'a> Effects<'a> {
    /// Averages effects over `genes` genes.
    pub(super) fn new(genes: usize, training: &[(&'a Condition, Vec<f64>)]) -> Self {
        let all: Vec<&Vec<f64>> = training.iter().map(|(_, effect)| effect).collect();
        let mut perturbation: BTreeMap<&str, Vec<&Vec<f64>>> = BTreeMap::new();
        let mut line: BTreeMap<&str, Vec<&Vec<f64>>> = BTreeMap::new();
        for (condition, effect) in training {
            perturbation.entry(&condition.perturbation).or_default().push(effect);
            line.entry(&condition.line).or_default().push(effect);
        }
        let means = |groups: BTreeMap<&'a str, Vec<&Vec<f64>>>| {
            groups.into_iter().filter_map(|(name, effects)| Some((name, mean(genes, &effects)?))).collect()
        };
        Self { genes, all: mean(genes, &all), by_perturbation: means(perturbation), by_line: means(line) }
    }

    /// The effect that a baseline predicts. A perturbation or line that did not train has the mean effect; `None` when
    /// nothing trained and the baseline needs it.
    pub(super) fn predict(&self, baseline: &str, condition: &Condition) -> Option<Vec<f64>> {
        if baseline == "no-change" {
            return Some(vec![0.0; self.genes]);
        }
        let all = self.all.as_ref()?;
        let perturbation = self.by_perturbation.get(condition.perturbation.as_str()).unwrap_or(all);
        let line = self.by_line.get(condition.line.as_str()).unwrap_or(all);
        Some(match baseline {
            "mean-effect" => all.clone(),
            "drug-mean-effect" => perturbation.clone(),
            "line-mean-effect" => line.clone(),
            _ => (0..self.genes).map(|g| perturbation[g] + line[g] - all[g]).collect(),
        })
    }
}

fn mean(genes: usize, effects: &[&Vec<f64>]) -> Option<Vec<f64>> {
    if effects.is_empty() {
        return None;
    }
    let sum = |g: usize| effects.iter().map(|effect| effect[g]).sum::<f64>();
    Some((0..genes).map(|g| sum(g) / effects.len() as f64).collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn additive_effects_are_found_and_unknown_names_have_the_mean() {
        let condition =
            |p: usize, l: usize| Condition { perturbation: format!("p{p}"), line: format!("l{l}") };
        let effect = |p: usize, l: usize| vec![p as f64 + 10.0 * l as f64, -(p as f64)];
        let conditions: Vec<Condition> = (0..3).flat_map(|p| (0..2).map(move |l| condition(p, l))).collect();
        let effects: Vec<Vec<f64>> = (0..3).flat_map(|p| (0..2).map(move |l| effect(p, l))).collect();
        let training: Vec<(&Condition, Vec<f64>)> = conditions.iter().zip(effects).collect();
        let means = Effects::new(2, &training);
        assert_eq!(means.predict("additive", &condition(2, 1)), Some(effect(2, 1)));
        assert_eq!(means.predict("mean-effect", &condition(2, 1)), Some(vec![6.0, -1.0]));
        assert_eq!(means.predict("drug-mean-effect", &condition(2, 9)), Some(vec![7.0, -2.0]));
        assert_eq!(means.predict("drug-mean-effect", &condition(9, 1)), Some(vec![6.0, -1.0]));
        assert_eq!(means.predict("line-mean-effect", &condition(9, 1)), Some(vec![11.0, -1.0]));
        assert_eq!(means.predict("no-change", &condition(9, 9)), Some(vec![0.0, 0.0]));
        let none = Effects::new(2, &[]);
        assert_eq!(none.predict("mean-effect", &condition(0, 0)), None);
        assert!(none.predict("no-change", &condition(0, 0)).is_some());
    }
}
