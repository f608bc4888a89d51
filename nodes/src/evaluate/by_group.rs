//! The same metrics for each group of cells: sample, tissue, drug ... A good figure over all cells can hide a group in
//! which a model knows nothing.

use std::collections::BTreeMap;

use celldag_data::Table as Obs;
use celldag_engine::NodeError;
use celldag_engine::document::Table;
use serde_json::{Map, Value, json};

use super::measure::{Metrics, deciding, of_cells};
use super::metrics::{MetricError, Spread};
use super::models::{ScoredCell, ScoredModel};

/// Most groups of a table; more are no table.
const MOST: usize = 200;

/// Which group a cell belongs to, and what these groups are called.
pub(super) struct GroupColumn {
    name: String,
    of_cell: BTreeMap<String, String>,
}

impl GroupColumn {
    /// The groups of the split, as the predictions carry them; `None` when these name fewer than two.
    pub(super) fn of_split(model: &ScoredModel, name: &str) -> Option<Self> {
        let of_cell: BTreeMap<String, String> = model
            .cells
            .iter()
            .filter(|c| !c.group.is_empty())
            .map(|c| (c.id.clone(), c.group.clone()))
            .collect();
        Self { name: name.to_owned(), of_cell }.several()
    }

    /// A column of the cells' table.
    ///
    /// # Errors
    /// A data error when there is no such column.
    pub(super) fn of_table(obs: &Obs, name: &str) -> Result<Self, NodeError> {
        let column = obs.column(name).ok_or_else(|| {
            let there: Vec<&str> = obs.columns.keys().map(String::as_str).collect();
            NodeError::data(format!(
                "the cells have no column `{name}` for `by`; there are: {}",
                there.join(", ")
            ))
            .help("name columns of obs in `by`")
        })?;
        let value = |(row, id): (usize, &String)| Some((id.clone(), column.as_text(row)?.into_owned()));
        Ok(Self { name: name.to_owned(), of_cell: obs.index.iter().enumerate().filter_map(value).collect() })
    }

    fn several(self) -> Option<Self> {
        let first = self.of_cell.values().next()?;
        self.of_cell.values().any(|g| g != first).then_some(self)
    }

    /// Name of the column.
    pub(super) fn name(&self) -> &str {
        &self.name
    }

    /// Metrics of a model in each group, over all its test cells there.
    ///
    /// # Errors
    /// Scores that are not finite.
    pub(super) fn measure(
        &self,
        model: &ScoredModel,
        classes: usize,
        bins: usize,
    ) -> Result<BTreeMap<&str, Metrics>, MetricError> {
        let mut members: BTreeMap<&str, Vec<&ScoredCell>> = BTreeMap::new();
        for cell in &model.cells {
            if let Some(group) = self.of_cell.get(&cell.id) {
                members.entry(group).or_default().push(cell);
            }
        }
        members.into_iter().map(|(group, cells)| Ok((group, of_cells(&cells, classes, bins)?))).collect()
    }
}

/// Metrics by group of some models, the same groups for all.
pub(super) struct ByGroup<'a> {
    pub(super) column: &'a GroupColumn,
    pub(super) models: Vec<(&'a str, BTreeMap<&'a str, Metrics>)>,
}

impl ByGroup<'_> {
    /// One row a group with the deciding metrics of every model, and a last row with their mean over the groups where
    /// they are defined. `None` when there are too many groups for a table.
    pub(super) fn table(&self, classes: usize) -> Option<Table> {
        let (_, first) = self.models.first()?;
        if first.len() > MOST {
            return None;
        }
        let mut columns = vec![self.column.name().to_owned(), "cells".to_owned()];
        if classes == 2 {
            columns.push("share of positive cells".to_owned());
        }
        for (model, _) in &self.models {
            columns.extend(deciding(classes).map(|metric| format!("{model}: {metric}")));
        }
        let value =
            |metrics: Option<&Metrics>, metric: &str| metrics.and_then(|m| m.get(metric).copied().flatten());
        let mut rows: Vec<Vec<Value>> = first
            .iter()
            .map(|(group, metrics)| {
                let mut row = vec![json!(group), json!(value(Some(metrics), "n"))];
                if classes == 2 {
                    row.push(json!(value(Some(metrics), "prevalence")));
                }
                for (_, groups) in &self.models {
                    row.extend(deciding(classes).map(|metric| json!(value(groups.get(group), metric))));
                }
                row
            })
            .collect();
        let mut last = vec![json!("mean ± sd over groups"), Value::Null];
        last.extend((classes == 2).then_some(Value::Null));
        for (_, groups) in &self.models {
            last.extend(deciding(classes).map(|metric| {
                let defined: Vec<f64> = groups.values().filter_map(|m| value(Some(m), metric)).collect();
                let text = |s: Spread| {
                    let sd = s.sd.map(|sd| format!(" ± {sd:.3}")).unwrap_or_default();
                    format!("{:.3}{sd} ({} of {})", s.mean, s.n, groups.len())
                };
                json!(Spread::of(&defined).map(text))
            }));
        }
        rows.push(last);
        Some(Table {
            title: format!("Metrics by “{}”", self.column.name()),
            columns,
            rows,
            note: "Over all test cells of the group. Empty: a class is absent there.".to_owned(),
        })
    }

    /// Model → group → metric → value.
    pub(super) fn numbers(&self, model: &str) -> Option<Value> {
        let (_, groups) = self.models.iter().find(|(name, _)| *name == model)?;
        let groups: Map<String, Value> = groups.iter().map(|(g, m)| ((*g).to_owned(), json!(m))).collect();
        Some(Value::Object(groups))
    }
}
