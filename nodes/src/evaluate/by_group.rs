//! The same metrics for each group of cells: sample, tissue, drug ... A good figure over all cells can hide a group in
//! which a model knows nothing.

use std::borrow::Cow;
use std::collections::{BTreeMap, BTreeSet};

use celldag_data::Table as Obs;
use celldag_engine::NodeError;
use celldag_engine::document::Table;
use serde_json::{Map, Value, json};

use super::measure::{Metrics, deciding, of_cells};
use super::metrics::{MetricError, Spread};
use super::models::{ScoredCell, ScoredModel};
use super::scopes::{value, with_sd};
use crate::columns::column;

/// Most groups of a table; more are no table, but are in the numbers of the report.
const MOST: usize = 200;

/// Which group a cell belongs to, and what these groups are called.
pub(super) struct GroupColumn {
    name: String,
    source: Source,
    /// Datasets share names of groups: patient 1 of two studies is two patients, and groups are called `dataset/group`.
    qualified: bool,
}

enum Source {
    /// The dataset that the predictions name.
    Dataset,
    /// The group of the split, as the predictions carry it.
    Split,
    /// A column of the cells' table.
    Table(BTreeMap<String, String>),
}

impl GroupColumn {
    /// What the predictions themselves say: datasets, when there are several, and the groups of the split, called `name`,
    /// when these are not one.
    pub(super) fn of_predictions(models: &[&ScoredModel], name: &str) -> Vec<Self> {
        let all = [
            Self { name: "dataset".to_owned(), source: Source::Dataset, qualified: false },
            Self { name: name.to_owned(), source: Source::Split, qualified: false }.apart(models),
        ];
        let several = |column: &Self| {
            let groups: BTreeSet<Cow<'_, str>> =
                models.iter().flat_map(|m| &m.cells).filter_map(|cell| column.of(cell)).collect();
            groups.len() > 1
        };
        all.into_iter().filter(several).collect()
    }

    /// A column of the cells' table.
    ///
    /// # Errors
    /// A data error when there is no such column.
    pub(super) fn of_table(obs: &Obs, name: &str, models: &[&ScoredModel]) -> Result<Self, NodeError> {
        let column = column(obs, name, "by")?;
        let value = |(row, id): (usize, &String)| Some((id.clone(), column.as_text(row)?.into_owned()));
        let of_cell = obs.index.iter().enumerate().filter_map(value).collect();
        Ok(Self { name: name.to_owned(), source: Source::Table(of_cell), qualified: false }.apart(models))
    }

    /// Keeps groups of one name apart where they are of several datasets.
    fn apart(self, models: &[&ScoredModel]) -> Self {
        let mut dataset_of: BTreeMap<&str, &str> = BTreeMap::new();
        let shared = models.iter().flat_map(|model| &model.cells).any(|cell| {
            let dataset = cell.dataset.as_str();
            self.group(cell).is_some_and(|group| *dataset_of.entry(group).or_insert(dataset) != dataset)
        });
        Self { qualified: shared, ..self }
    }

    /// Name of the column.
    pub(super) fn name(&self) -> &str {
        &self.name
    }

    /// What the table calls the group of a cell.
    fn of<'a>(&'a self, cell: &'a ScoredCell) -> Option<Cow<'a, str>> {
        let group = self.group(cell)?;
        Some(if self.qualified { format!("{}/{group}", cell.dataset).into() } else { group.into() })
    }

    fn group<'a>(&'a self, cell: &'a ScoredCell) -> Option<&'a str> {
        let group = match &self.source {
            Source::Dataset => Some(cell.dataset.as_str()),
            Source::Split => Some(cell.group.as_str()),
            Source::Table(of_cell) => of_cell.get(&cell.id).map(String::as_str),
        };
        group.filter(|group| !group.is_empty())
    }

    /// Metrics of the models in each group, over all their test cells there.
    ///
    /// # Errors
    /// Scores that are not finite.
    pub(super) fn measure<'a>(
        &'a self,
        models: &[&'a ScoredModel],
        classes: usize,
        bins: usize,
    ) -> Result<ByGroup<'a>, MetricError> {
        let mut out = ByGroup { column: self, models: Vec::new(), outside: 0 };
        for model in models {
            let mut members: BTreeMap<Cow<'_, str>, Vec<&ScoredCell>> = BTreeMap::new();
            let mut outside = 0;
            for cell in &model.cells {
                match self.of(cell) {
                    Some(group) => members.entry(group).or_default().push(cell),
                    None => outside += 1,
                }
            }
            out.outside = out.outside.max(outside);
            let groups =
                members.into_iter().map(|(group, cells)| Ok((group, of_cells(&cells, classes, bins)?)));
            out.models.push((model.name.as_str(), groups.collect::<Result<_, MetricError>>()?));
        }
        Ok(out)
    }
}

/// Metrics by group of some models.
pub(super) struct ByGroup<'a> {
    pub(super) column: &'a GroupColumn,
    models: Vec<(&'a str, BTreeMap<Cow<'a, str>, Metrics>)>,
    /// Test cells without a value in the column.
    outside: usize,
}

impl ByGroup<'_> {
    fn groups(&self) -> BTreeSet<&str> {
        self.models.iter().flat_map(|(_, groups)| groups.keys().map(AsRef::as_ref)).collect()
    }

    /// Says so when there are too many groups for a table.
    pub(super) fn too_many(&self) -> Option<String> {
        let groups = self.groups().len();
        (groups > MOST).then(|| {
            format!(
                "No table by `{}`: it has {groups} groups, and tables end at {MOST}. Their metrics are in the numbers of the \
                 report (report.json, `by`).",
                self.column.name
            )
        })
    }

    /// One row a group with the deciding metrics of every model, and a last row with their mean over the groups where
    /// they are defined. `None` when there are too many groups for a table.
    pub(super) fn table(&self, classes: usize) -> Option<Table> {
        let names = self.groups();
        if names.len() > MOST {
            return None;
        }
        let mut columns = vec![self.column.name.clone(), "cells".to_owned()];
        if classes == 2 {
            columns.push("share of positive cells".to_owned());
        }
        for (model, _) in &self.models {
            columns.extend(deciding(classes).map(|metric| format!("{model}: {metric}")));
        }
        let of = |metrics: Option<&Metrics>, metric: &str| metrics.and_then(|m| value(m, metric));
        let mut rows: Vec<Vec<Value>> = names
            .iter()
            .map(|group| {
                let any = self.models.iter().find_map(|(_, groups)| groups.get(*group));
                let mut row = vec![json!(group), json!(of(any, "n"))];
                if classes == 2 {
                    row.push(json!(of(any, "prevalence")));
                }
                for (_, groups) in &self.models {
                    row.extend(deciding(classes).map(|metric| json!(of(groups.get(*group), metric))));
                }
                row
            })
            .collect();
        let mut last = vec![json!("mean ± sd over groups"), Value::Null];
        last.extend((classes == 2).then_some(Value::Null));
        for (_, groups) in &self.models {
            last.extend(deciding(classes).map(|metric| {
                let defined: Vec<f64> = groups.values().filter_map(|m| value(m, metric)).collect();
                json!(Spread::of(&defined).map(|s| with_sd_of(&s, groups.len())))
            }));
        }
        rows.push(last);
        let mut note = "Over all test cells of the group, whatever fold tested them; a small group says little. Empty: a class \
                        is absent there."
            .to_owned();
        if self.outside > 0 {
            note.push_str(&format!(
                " {} test cells have no value in “{}” and are in no group.",
                self.outside, self.column.name
            ));
        }
        Some(Table { title: format!("Metrics by “{}”", self.column.name), columns, rows, note })
    }

    /// Model → group → metric → value.
    pub(super) fn numbers(&self, model: &str) -> Option<Value> {
        let (_, groups) = self.models.iter().find(|(name, _)| *name == model)?;
        let groups: Map<String, Value> = groups.iter().map(|(g, m)| (g.to_string(), json!(m))).collect();
        Some(Value::Object(groups))
    }
}

/// Of groups the number is always said: they are all there is to judge the spread by.
fn with_sd_of(spread: &Spread, of: usize) -> String {
    let text = with_sd(spread, of);
    if spread.n < of { text } else { format!("{text} ({} of {of})", spread.n) }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn cell(dataset: &str, id: &str, group: &str, truth: usize) -> ScoredCell {
        ScoredCell {
            dataset: dataset.to_owned(),
            id: id.to_owned(),
            group: group.to_owned(),
            fold: (0, 0),
            truth,
            predicted: 1,
            scores: vec![0.25, 0.75],
            logits: None,
        }
    }

    fn groups(cells: Vec<ScoredCell>) -> Vec<(String, f64)> {
        let model = ScoredModel { name: "m".to_owned(), cells };
        let columns = GroupColumn::of_predictions(&[&model], "patient");
        let Some(patients) = columns.iter().find(|column| column.name() == "patient") else {
            return Vec::new();
        };
        let by = patients.measure(&[&model], 2, 5).expect("metrics");
        let n = |group: &str| value(&by.models[0].1[group], "n").expect("defined");
        by.groups().into_iter().map(|group| (group.to_owned(), n(group))).collect()
    }

    #[test]
    fn groups_of_one_name_of_two_datasets_are_two_groups() {
        let mut cells =
            vec![cell("kang", "a", "p1", 1), cell("kang", "b", "p1", 0), cell("gbm", "a", "p1", 1)];
        assert_eq!(groups(cells.clone()), [("gbm/p1".to_owned(), 1.0), ("kang/p1".to_owned(), 2.0)]);
        cells[2].group = "p2".to_owned();
        assert_eq!(groups(cells), [("p1".to_owned(), 2.0), ("p2".to_owned(), 1.0)], "no name is in both");
    }
}
