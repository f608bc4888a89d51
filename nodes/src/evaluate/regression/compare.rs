//! Models and baselines beside each other, over the same pairs and the same drugs.

use std::collections::{BTreeMap, BTreeSet};

use super::measure::{Predicted, within};
use super::run::{Measured, key};
use crate::evaluate::metrics::MetricError;
use crate::evaluate::scopes::value;
use crate::evaluate::shared::{self, Defined, Mean, Pair};

/// What a pair is called, with its fold.
type Key<'a> = (&'a str, &'a str, &'a str);

/// Keeps the pairs that all models predict in the same fold, with the same measurement; gives names of the others.
pub(super) fn keep_common(models: &mut [(String, Vec<Predicted>)]) -> BTreeSet<String> {
    let values = |pairs: &[Predicted]| -> BTreeMap<[String; 3], Vec<u64>> {
        let mut of: BTreeMap<[String; 3], Vec<u64>> = BTreeMap::new();
        for pair in pairs {
            of.entry(owned(key(pair))).or_default().push(pair.response.value.to_bits());
        }
        of.values_mut().for_each(|values| values.sort_unstable());
        of
    };
    let all: Vec<_> = models.iter().map(|(_, pairs)| values(pairs)).collect();
    let Some((first, rest)) = all.split_first() else { return BTreeSet::new() };
    let alike = |key: &[String; 3]| rest.iter().all(|other| other.get(key) == first.get(key));
    let different: BTreeSet<&[String; 3]> =
        all.iter().flat_map(BTreeMap::keys).filter(|key| !alike(key)).collect();
    for (_, pairs) in models.iter_mut() {
        pairs.retain(|pair| !different.contains(&owned(key(pair))));
    }
    let named = |[fold, drug, line]: &[String; 3]| {
        let fold = if fold.is_empty() { String::new() } else { format!(" (fold {fold})") };
        format!("drug {drug}, line {line}{fold}")
    };
    different.into_iter().map(named).collect()
}

fn owned((fold, drug, line): Key<'_>) -> [String; 3] {
    [fold, drug, line].map(str::to_owned)
}

/// A metric by drug or line where it is defined.
fn defined<'a>(
    model: &'a Measured,
    metric: &str,
    name: impl Fn(&'a Predicted) -> &'a String,
) -> Result<Defined, MetricError> {
    let groups = within(&model.pairs.iter().collect::<Vec<_>>(), name)?;
    Ok(groups.into_iter().filter_map(|(name, m)| Some((name.to_owned(), value(&m, metric)?))).collect())
}

/// The means within drugs and lines of all models.
///
/// # Errors
/// Values that are not finite.
pub(super) fn means(all: &[Measured]) -> Result<Vec<Mean<'_>>, MetricError> {
    let of = |metric, what, inner: &str, name: fn(&Predicted) -> &String| {
        let one = |m| -> Result<_, MetricError> { Ok((Measured::name(m), defined(m, inner, name)?)) };
        Ok(Mean { metric, what, models: all.iter().map(one).collect::<Result<_, MetricError>>()? })
    };
    Ok(vec![
        of("pearson_within_drug", "drugs", "pearson", |p| &p.response.drug)?,
        of("spearman_within_drug", "drugs", "spearman", |p| &p.response.drug)?,
        of("pearson_within_line", "lines", "pearson", |p| &p.response.line)?,
    ])
}

/// Models that no better than a baseline is, in the words of a warning.
pub(super) fn not_better(all: &[Measured], means: &[Mean<'_>]) -> Vec<String> {
    let within: BTreeMap<&str, &Defined> = means
        .iter()
        .filter(|mean| mean.metric == "pearson_within_drug")
        .flat_map(|mean| mean.models.iter().map(|(name, defined)| (*name, defined)))
        .collect();
    let mut out = Vec::new();
    for model in all.iter().filter(|m| !m.baseline) {
        for (metric, sign) in [("pearson", 1.0_f64), ("rmse", -1.0), ("pearson_within_drug", 1.0)] {
            let pair = |other: &Measured| match metric {
                "pearson_within_drug" => Pair::new(within.get(model.name())?, within.get(other.name())?),
                _ => Some(Pair::alike(value(&model.merged, metric)?, value(&other.merged, metric)?)),
            };
            let baselines = all
                .iter()
                .filter(|m| m.baseline && m.pairs.len() == model.pairs.len())
                .filter_map(|m| Some((m.name.as_str(), pair(m)?)));
            out.extend(shared::not_better(&model.name, (metric, sign), "drugs", baselines));
        }
    }
    out
}
