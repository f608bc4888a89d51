//! Means over drugs, lines or conditions, compared over those where all that are compared are defined: means over different ones
//! say nothing about each other.

use std::collections::{BTreeMap, BTreeSet};

use celldag_engine::document::Table;
use serde_json::{Value, json};

use super::verdict;

/// Most names in a warning.
const NAMED: usize = 5;

/// Values of a metric by drug, line or condition, where it is defined.
pub(super) type Defined = BTreeMap<String, f64>;

/// Two means over the same.
#[derive(Debug, PartialEq)]
pub(super) struct Pair {
    pub(super) own: f64,
    pub(super) other: f64,
    /// How many both are defined for, and how many one of them is.
    over: usize,
    of: usize,
}

impl Pair {
    /// None if there is nothing that both are defined for.
    pub(super) fn new(own: &Defined, other: &Defined) -> Option<Self> {
        let both: Vec<(f64, f64)> =
            own.iter().filter_map(|(name, value)| Some((*value, *other.get(name)?))).collect();
        let mean = |of: fn(&(f64, f64)) -> f64| both.iter().map(of).sum::<f64>() / both.len() as f64;
        let of = own.keys().chain(other.keys()).collect::<BTreeSet<_>>().len();
        (!both.is_empty()).then(|| Self { own: mean(|b| b.0), other: mean(|b| b.1), over: both.len(), of })
    }

    /// Two values over the same tests.
    pub(super) fn alike(own: f64, other: f64) -> Self {
        Self { own, other, over: 1, of: 1 }
    }

    /// By how much the first is larger.
    pub(super) fn lead(&self) -> f64 {
        self.own - self.other
    }

    /// ` over the 4 of 6 drugs where both are defined`; nothing when none is left out.
    pub(super) fn scope(&self, what: &str) -> String {
        let Self { over, of, .. } = self;
        if over == of {
            String::new()
        } else {
            format!(" over the {over} of {of} {what} where both are defined")
        }
    }
}

/// Says plainly that the best baseline is as good as a model, if it is. `sign` is 1 where more of the metric is better and -1
/// where less is; means run over `what` (drugs, conditions).
pub(super) fn not_better<'b>(
    model: &str,
    (metric, sign): (&str, f64),
    what: &str,
    baselines: impl Iterator<Item = (&'b str, Pair)>,
) -> Option<String> {
    let lead = |pair: &Pair| sign * pair.lead();
    let (baseline, pair) = baselines.min_by(|a, b| lead(&a.1).total_cmp(&lead(&b.1)))?;
    let as_good = lead(&pair) <= 0.0;
    as_good.then(|| verdict::sentence((model, pair.own), (baseline, pair.other), metric, &pair.scope(what)))
}

/// One mean of the tables, with what it runs over in each model.
pub(super) struct Mean<'a> {
    pub(super) metric: &'static str,
    /// What it runs over: drugs, lines, conditions.
    pub(super) what: &'static str,
    pub(super) models: Vec<(&'a str, Defined)>,
}

impl Mean<'_> {
    /// Models that are defined anywhere.
    fn present(&self) -> impl Iterator<Item = &(&str, Defined)> {
        self.models.iter().filter(|(_, defined)| !defined.is_empty())
    }

    fn any(&self) -> BTreeSet<&String> {
        self.present().flat_map(|(_, defined)| defined.keys()).collect()
    }

    /// Where all models are defined that are anywhere; none if that is everywhere.
    fn shared(&self) -> Option<BTreeSet<&String>> {
        let any = self.any();
        let all = |name: &&String| self.present().all(|(_, defined)| defined.contains_key(*name));
        let shared: BTreeSet<&String> = any.iter().copied().filter(all).collect();
        (shared.len() < any.len()).then_some(shared)
    }

    /// Name of the mean and its value in each model, over the same.
    pub(super) fn headline(&self) -> Vec<(String, Option<f64>)> {
        let shared = self.shared();
        let scope = if shared.is_some() { format!(" (same {})", self.what) } else { String::new() };
        let one = |(name, defined): &(&str, Defined)| {
            (format!("{} {name}{scope}", self.metric), mean(defined, shared.as_ref()))
        };
        self.models.iter().map(one).collect()
    }

    /// Says which models lack what others have.
    fn warning(&self) -> Option<String> {
        self.shared()?;
        let any = self.any();
        let lacking = self.present().filter_map(|(name, defined)| {
            let lacks: Vec<&str> =
                any.iter().filter(|n| !defined.contains_key(**n)).map(|n| n.as_str()).collect();
            let more = if lacks.len() > NAMED { ", ..." } else { "" };
            let named = lacks[..lacks.len().min(NAMED)].join(", ");
            (!lacks.is_empty()).then(|| format!("`{name}` for {} ({named}{more})", lacks.len()))
        });
        Some(format!(
            "`{}` is not defined for the same {} everywhere: not in {}; means over different ones cannot be compared, those over \
             the same are in a table of their own",
            self.metric,
            self.what,
            lacking.collect::<Vec<_>>().join(", ")
        ))
    }
}

fn mean(defined: &Defined, over: Option<&BTreeSet<&String>>) -> Option<f64> {
    let inside = |name: &String| over.is_none_or(|over| over.contains(name));
    let values: Vec<f64> = defined.iter().filter(|(name, _)| inside(name)).map(|(_, value)| *value).collect();
    (!values.is_empty()).then(|| values.iter().sum::<f64>() / values.len() as f64)
}

/// The means whose models are not defined for the same, over what all of them are defined for.
pub(super) fn table(means: &[Mean<'_>]) -> Option<Table> {
    let names = means.first()?.models.iter().map(|(name, _)| (*name).to_owned());
    let columns = ["mean", "over"].map(str::to_owned).into_iter().chain(names).collect();
    let row = |one: &Mean<'_>| -> Option<Vec<Value>> {
        let shared = one.shared()?;
        let over = format!("{} of {} {}", shared.len(), one.any().len(), one.what);
        let values = one.models.iter().map(|(_, defined)| json!(mean(defined, Some(&shared))));
        Some([json!(one.metric), json!(over)].into_iter().chain(values).collect())
    };
    let rows: Vec<Vec<Value>> = means.iter().filter_map(row).collect();
    let note =
        "Over what is defined in every model and baseline that is defined anywhere. Empty: defined nowhere.";
    let title = "Means over the same".to_owned();
    (!rows.is_empty()).then(|| Table { title, columns, rows, note: note.to_owned() })
}

/// A warning for each of them.
pub(super) fn warnings(means: &[Mean<'_>]) -> Vec<String> {
    means.iter().filter_map(Mean::warning).collect()
}

/// Says how many tests are left out because not all models have them, with some of their names.
pub(super) fn left_out(names: &BTreeSet<String>, what: &str) -> Option<String> {
    let some: Vec<&str> = names.iter().take(NAMED).map(String::as_str).collect();
    let more = if names.len() > NAMED { "; ..." } else { "" };
    (!names.is_empty()).then(|| {
        format!(
            "not all models tested the same {what}; those that are not tested alike by all are left out everywhere, so that all \
             numbers are over the same ({}): {}{more}",
            names.len(),
            some.join("; ")
        )
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn defined(values: &[(&str, f64)]) -> Defined {
        values.iter().map(|(name, value)| ((*name).to_owned(), *value)).collect()
    }

    #[test]
    fn means_are_compared_where_both_are_defined() {
        let (a, b) = (defined(&[("x", 0.2), ("y", 0.9)]), defined(&[("x", 0.3), ("z", 0.1)]));
        // Over different drugs the first would win by 0.55 to 0.2.
        let pair = Pair::new(&a, &b).expect("x");
        assert_eq!((pair.own, pair.other), (0.2, 0.3));
        assert_eq!(pair.scope("drugs"), " over the 1 of 3 drugs where both are defined");
        assert_eq!(Pair::new(&a, &a).expect("all").scope("drugs"), "");
        assert_eq!(Pair::new(&a, &defined(&[("z", 1.0)])), None);
    }

    #[test]
    fn what_is_missing_is_named_and_a_table_is_over_the_rest() {
        let models = vec![
            ("a", defined(&[("x", 0.2), ("y", 0.9)])),
            ("b", defined(&[("x", 0.3), ("z", 0.1)])),
            ("never", Defined::new()),
        ];
        let means = [Mean { metric: "m", what: "drugs", models }];
        let [warning] = warnings(&means).try_into().expect("one");
        assert!(warning.contains("`a` for 1 (z), `b` for 1 (y);") && !warning.contains("never"), "{warning}");
        let table = table(&means).expect("a table");
        assert_eq!(table.columns, ["mean", "over", "a", "b", "never"]);
        assert_eq!(table.rows, [[json!("m"), json!("1 of 3 drugs"), json!(0.2), json!(0.3), Value::Null]]);
        assert_eq!(means[0].headline()[1], ("m b (same drugs)".to_owned(), Some(0.3)));
        let alike = vec![("a", defined(&[("x", 0.2)])), ("b", defined(&[("x", 0.3)]))];
        let alike = [Mean { metric: "m", what: "drugs", models: alike }];
        assert!(super::table(&alike).is_none() && warnings(&alike).is_empty());
        assert_eq!(alike[0].headline()[0], ("m a".to_owned(), Some(0.2)));
    }
}
