//! Small studies cut from real cells, the pipelines on them, and what their reports say.

use std::collections::BTreeMap;
use std::path::Path;

use celldag_data::{CellsFile, CountsSource, Dtype, H5adWriter, Table, WriteOptions};
use serde_json::Value;

use crate::sandbox::{Finished, Sandbox, repository};

/// Writes the cells of `source` for which `keep` is true.
pub(crate) fn cut(source: &Path, target: &Path, keep: impl Fn(&Table, usize) -> bool) {
    let cells =
        CellsFile::open(source).and_then(|file| file.read_counts(&CountsSource::Auto)).expect("cells");
    let rows: Vec<usize> = (0..cells.obs.len()).filter(|&row| keep(&cells.obs, row)).collect();
    assert!(!rows.is_empty(), "no cell for {}", target.display());
    let cells = cells.select_cells(&rows);
    let mut writer =
        H5adWriter::create(target, &cells.obs, &cells.var, &WriteOptions::default()).expect("file");
    writer.begin_matrix("X", Dtype::F32).expect("X");
    writer.append(&cells.x).expect("counts");
    writer.finish().expect("finish");
}

/// One file for each value of `column`, listed in `datasets.tsv`; every `every`-th cell.
pub(crate) fn apart(sandbox: &Sandbox, source: &Path, column: &str, every: usize) {
    let obs = CellsFile::open(source).expect("cells").obs().clone();
    let mut values: Vec<String> =
        (0..obs.len()).map(|row| obs.text(column, row).expect("a value").into_owned()).collect();
    values.sort();
    values.dedup();
    let mut table = "id\tpath\n".to_owned();
    for value in &values {
        let path = sandbox.join(&format!("{value}.h5ad"));
        cut(source, &path, |obs, row| row % every == 0 && obs.text(column, row).is_some_and(|v| v == *value));
        table.push_str(&format!("{value}\t{}\n", path.display()));
    }
    sandbox.write("datasets.tsv", &table);
}

/// Runs `pipelines/NAME.yaml` with the small checkpoint and the store and outputs in the sandbox.
pub(crate) fn run(sandbox: &Sandbox, name: &str, extra: &[&str]) -> Finished {
    let pipelines = repository().join("pipelines");
    let pipeline = pipelines.join(format!("{name}.yaml"));
    let checkpoint = format!("checkpoint={}", pipelines.join("models/geneformer-mini").display());
    let datasets = format!("datasets={}", sandbox.join("datasets.tsv").display());
    let mut args =
        vec!["run", pipeline.to_str().expect("path"), "--device", "cpu", "--out", ".", "--cache", "store"];
    args.extend(["--set", &checkpoint]);
    if sandbox.join("datasets.tsv").exists() {
        args.extend(["--set", &datasets]);
    }
    args.extend(extra);
    sandbox.ok(&args)
}

/// A report of `evaluate`.
pub(crate) struct Report(Value);

impl Report {
    pub(crate) fn read(sandbox: &Sandbox, path: &str) -> Self {
        let text = fs_err::read(sandbox.join(path)).expect("a report");
        Self(serde_json::from_slice(&text).expect("JSON"))
    }

    /// Names of models, or of baselines.
    pub(crate) fn names(&self, role: &str) -> Vec<&str> {
        let all = self.0["metrics"].as_object().expect("metrics");
        all.iter().filter(|(_, entry)| entry["role"] == role).map(|(name, _)| name.as_str()).collect()
    }

    /// Mean over the folds.
    pub(crate) fn mean(&self, model: &str, metric: &str) -> f64 {
        number(&self.0["metrics"][model]["over_folds"][metric]["mean"], model)
    }

    /// Over all test cells.
    pub(crate) fn merged(&self, model: &str, metric: &str) -> f64 {
        number(&self.0["metrics"][model]["merged"][metric], model)
    }

    /// Value by group of a column; undefined ones are left out.
    pub(crate) fn by(&self, model: &str, column: &str, metric: &str) -> BTreeMap<String, f64> {
        let groups = self.0["metrics"][model]["by"][column].as_object().expect("groups");
        groups.iter().filter_map(|(group, m)| Some((group.clone(), m[metric].as_f64()?))).collect()
    }

    pub(crate) fn warnings(&self) -> String {
        self.0["warnings"].to_string()
    }

    pub(crate) fn json(&self) -> &Value {
        &self.0
    }
}

fn number(value: &Value, model: &str) -> f64 {
    value.as_f64().unwrap_or_else(|| panic!("{model}: {value} is no number"))
}
