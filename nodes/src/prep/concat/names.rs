//! What a data set is called: the value of its axis, else the name of its file.

use std::collections::BTreeMap;
use std::path::Path;

use celldag_engine::{Input, NodeError};

/// One name an input, in the same order.
///
/// # Errors
/// When two inputs would have one name.
pub(super) fn of_inputs(inputs: &[Input]) -> Result<Vec<String>, NodeError> {
    let names: Vec<String> = inputs.iter().map(|input| name(&input.label, &input.path)).collect();
    let mut first: BTreeMap<&str, &Input> = BTreeMap::new();
    for (name, input) in names.iter().zip(inputs) {
        if let Some(other) = first.insert(name, input) {
            return Err(NodeError::parameter(format!(
                "two data sets are both called `{name}`: `{}` and `{}`",
                other.label, input.label
            ))
            .help("name them through an axis (`foreach: [dataset]` before this node, then `gather`), or rename a file"));
        }
    }
    Ok(names)
}

/// `dataset=kang` → `kang`; `data/kang.h5ad` → `kang`; anything else as it is.
fn name(label: &str, path: &Path) -> String {
    let is_axis =
        |axis: &str| !axis.is_empty() && axis.chars().all(|c| c.is_alphanumeric() || c == '_' || c == '-');
    let values: Option<Vec<&str>> = label
        .split(',')
        .map(|part| part.split_once('=').filter(|(axis, _)| is_axis(axis)).map(|(_, value)| value))
        .collect();
    if let Some(values) = values {
        return values.join("_");
    }
    let text = if label.is_empty() { path } else { Path::new(label) };
    let stem = || text.file_stem().map(|stem| stem.to_string_lossy().into_owned());
    let is_file = label.is_empty() || label.contains(['/', '\\', '.']);
    is_file.then(stem).flatten().unwrap_or_else(|| label.to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn input(label: &str) -> Input {
        Input { label: label.to_owned(), path: "store/cells.h5ad".into(), digest: String::new() }
    }

    #[test]
    fn axes_and_files_name_data_sets() {
        let labels =
            ["dataset=kang", "batch=2,dataset=a=b", "data/gbm.v2.h5ad", "qc", "", "data/x=1/lung.h5ad"];
        let names = of_inputs(&labels.map(input)).expect("names");
        assert_eq!(names, ["kang", "2_a=b", "gbm.v2", "qc", "cells", "lung"]);
        let twice = of_inputs(&["a/cells.h5ad", "b/cells.h5ad"].map(input)).expect_err("one name for two");
        assert!(twice.message.contains("`cells`") && twice.message.contains("b/cells.h5ad"), "{twice}");
    }
}
