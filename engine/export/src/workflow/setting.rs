//! Something that the jobs of a rule have: the same for all, or a table over the axes that decide it.

use std::collections::BTreeMap;

/// Axis → value of a job.
pub type Coordinates = BTreeMap<String, String>;

/// Most axes of a table that is looked for among all sets of axes. Beyond, axes are left out one by one, which gives a table
/// without needless axes, but perhaps not the smallest one.
const FEW: usize = 2;

/// Something that the jobs of a rule have.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Setting<T> {
    /// All jobs have this.
    Same(T),
    /// It depends on axes.
    Table(Table<T>),
}

/// Values of axes → what jobs at these values have.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Table<T> {
    /// Names of the axes, in the order of the rule's; at least one.
    pub axes: Vec<String>,
    /// Values of these axes, and what is there; each combination once, in the order of the jobs.
    pub rows: Vec<(Vec<String>, T)>,
}

impl<T: Ord + Clone> Setting<T> {
    /// The smallest table that says what each of these jobs has; `None` without jobs. Jobs at the same coordinates must
    /// have the same.
    pub(crate) fn of(axes: &[String], jobs: &[(&Coordinates, T)]) -> Option<Self> {
        let (_, first) = jobs.first()?;
        if jobs.iter().all(|(_, own)| own == first) {
            return Some(Self::Same(first.clone()));
        }
        let sets = (1..=FEW).flat_map(|size| subsets(axes, size));
        let few = sets.into_iter().find_map(|set| table(&set, jobs));
        let found = few.or_else(|| {
            let mut kept = axes.to_vec();
            let mut best = table(&kept, jobs)?;
            for axis in axes {
                let fewer: Vec<String> = kept.iter().filter(|other| *other != axis).cloned().collect();
                if let Some(smaller) = table(&fewer, jobs) {
                    (kept, best) = (fewer, smaller);
                }
            }
            Some(best)
        });
        found.map(Self::Table)
    }
}

impl<T> Setting<T> {
    /// What a job at these coordinates has; `None` where there is no such job.
    #[must_use]
    pub fn at(&self, coordinates: &Coordinates) -> Option<&T> {
        match self {
            Self::Same(value) => Some(value),
            Self::Table(table) => {
                let own: Vec<&String> =
                    table.axes.iter().map(|axis| coordinates.get(axis)).collect::<Option<_>>()?;
                table.rows.iter().find(|(key, _)| key.iter().eq(own.iter().copied())).map(|(_, value)| value)
            }
        }
    }

    /// What all jobs have, if they have the same.
    #[must_use]
    pub fn same(&self) -> Option<&T> {
        match self {
            Self::Same(value) => Some(value),
            Self::Table(_) => None,
        }
    }

    /// Everything that some job has.
    pub fn values(&self) -> impl Iterator<Item = &T> {
        let (same, rows) = match self {
            Self::Same(value) => (Some(value), None),
            Self::Table(table) => (None, Some(table.rows.iter().map(|(_, value)| value))),
        };
        same.into_iter().chain(rows.into_iter().flatten())
    }
}

impl<T: AsRef<str>> Setting<T> {
    /// The axis whose value each job has, if it is that: `with: {fold: "${fold}"}`.
    #[must_use]
    pub fn axis(&self) -> Option<&str> {
        match self {
            Self::Table(Table { axes, rows }) if axes.len() == 1 => {
                let own =
                    rows.iter().all(|(key, value)| key.first().is_some_and(|key| key == value.as_ref()));
                axes.first().map(String::as_str).filter(|_| own)
            }
            _ => None,
        }
    }
}

/// The table over these axes, if they decide.
fn table<T: Ord + Clone>(axes: &[String], jobs: &[(&Coordinates, T)]) -> Option<Table<T>> {
    let mut seen: BTreeMap<Vec<&String>, &T> = BTreeMap::new();
    let mut order = Vec::new();
    for (coordinates, value) in jobs {
        let key: Vec<&String> = axes.iter().map(|axis| coordinates.get(axis)).collect::<Option<_>>()?;
        match seen.get(&key) {
            None => {
                seen.insert(key.clone(), value);
                order.push((key.into_iter().cloned().collect(), value.clone()));
            }
            Some(before) if *before != value => return None,
            Some(_) => {}
        }
    }
    Some(Table { axes: axes.to_vec(), rows: order })
}

/// All sets of `size` axes, in the order of the axes.
fn subsets(axes: &[String], size: usize) -> Vec<Vec<String>> {
    if size == 0 {
        return vec![Vec::new()];
    }
    let mut out = Vec::new();
    for (at, axis) in axes.iter().enumerate() {
        for mut rest in subsets(&axes[at + 1..], size - 1) {
            rest.insert(0, axis.clone());
            out.push(rest);
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    fn jobs(value: impl Fn(u32, u32, u32) -> u32) -> Option<Setting<u32>> {
        let axes: Vec<String> = ["a", "b", "c"].map(str::to_owned).to_vec();
        let mut points = Vec::new();
        for a in 0..3 {
            for b in 0..3 {
                for c in 0..3 {
                    let at: Coordinates =
                        axes.iter().cloned().zip([a, b, c].map(|value| value.to_string())).collect();
                    points.push((at, value(a, b, c)));
                }
            }
        }
        let points: Vec<(&Coordinates, u32)> = points.iter().map(|(at, value)| (at, *value)).collect();
        let setting = Setting::of(&axes, &points);
        for (at, value) in points {
            assert_eq!(setting.as_ref().and_then(|setting| setting.at(at)), Some(&value));
        }
        setting
    }

    #[test]
    fn tables_have_the_axes_that_decide() {
        let axes = |setting: Option<Setting<u32>>| match setting.unwrap() {
            Setting::Same(_) => String::new(),
            Setting::Table(table) => table.axes.concat(),
        };
        assert_eq!(axes(jobs(|_, _, _| 7)), "");
        assert_eq!(axes(jobs(|_, b, _| b)), "b");
        assert_eq!(axes(jobs(|a, _, c| a * c)), "ac");
        assert_eq!(axes(jobs(|a, b, c| a + b * c)), "abc");
        assert_eq!(Setting::<u32>::of(&[], &[]), None);
    }

    #[test]
    fn a_value_that_is_the_axis() {
        let row = |key: &str, value: &str| (vec![key.to_owned()], value.to_owned());
        let table = |rows| Setting::Table(Table { axes: vec!["fold".to_owned()], rows });
        assert_eq!(table(vec![row("0", "0"), row("1", "1")]).axis(), Some("fold"));
        assert_eq!(table(vec![row("0", "0"), row("1", "2")]).axis(), None);
    }
}
