//! Scored test cells of a model or a baseline, in one form for two and for more classes.

use std::collections::{BTreeMap, BTreeSet};

use celldag_engine::{Input, NodeError};

use super::metrics::argmax;
use crate::learn::predictions::{Prediction, Predictions};

/// Default of the parameter `name`.
pub(super) const NAME: &str = "model";

/// One tested cell.
#[derive(Clone, Debug, PartialEq)]
pub struct ScoredCell {
    /// Name of its dataset; may be empty.
    pub dataset: String,
    /// Name of the cell, unique in its dataset.
    pub id: String,
    /// Its group in the split; may be empty.
    pub group: String,
    /// (repeat, fold) that tested it.
    pub fold: (u32, u32),
    /// True class index.
    pub truth: usize,
    /// Predicted class index.
    pub predicted: usize,
    /// Score per class; with two classes the second is the score of the positive class.
    pub scores: Vec<f64>,
    /// Two independent logits, when the head has these.
    pub logits: Option<[f64; 2]>,
}

/// All test cells of one model, in the order of repeat, fold and cell.
#[derive(Clone, Debug, PartialEq)]
pub struct ScoredModel {
    /// Name in tables.
    pub name: String,
    /// The cells.
    pub cells: Vec<ScoredCell>,
}

impl ScoredModel {
    /// (repeat, fold) → cells.
    #[must_use]
    pub fn folds(&self) -> BTreeMap<(u32, u32), Vec<&ScoredCell>> {
        let mut folds: BTreeMap<(u32, u32), Vec<&ScoredCell>> = BTreeMap::new();
        for cell in &self.cells {
            folds.entry(cell.fold).or_default().push(cell);
        }
        folds
    }
}

/// Models and classes of the gathered files.
pub(super) struct Gathered {
    pub(super) classes: Vec<String>,
    pub(super) models: Vec<ScoredModel>,
    /// Cells whose prediction in the file is not what the threshold gives.
    pub(super) disagreeing: usize,
}

/// Reads gathered predictions. Files whose labels differ in `fold` or `repeat` only are parts of one model; what else
/// the label says (`model=scgpt`, the name of a node) names the model.
pub(super) fn read(inputs: &[Input], name: &str, threshold: f64) -> Result<Gathered, NodeError> {
    let mut parts: BTreeMap<String, Vec<Predictions>> = BTreeMap::new();
    for (model, input) in names(inputs, name).into_iter().zip(inputs) {
        parts.entry(model).or_default().push(Predictions::read(&input.path)?);
    }
    let classes = common_classes(parts.values().flatten())?;
    let mut gathered = Gathered { classes, models: Vec::new(), disagreeing: 0 };
    for (name, files) in parts {
        let mut cells = Vec::new();
        let mut seen = BTreeSet::new();
        for row in files.iter().flat_map(|f| &f.rows) {
            if !seen.insert((row.repeat, row.fold, row.dataset.clone(), row.cell_id.clone())) {
                return Err(NodeError::data(format!(
                    "{name}: cell `{}` is predicted twice in repeat {}, fold {}",
                    row.cell_id, row.repeat, row.fold
                ))
                .help(
                    "gather each fold once; give several models through an axis, so that their labels differ",
                ));
            }
            let (cell, differs) = scored(row, &gathered.classes, threshold)?;
            gathered.disagreeing += usize::from(differs);
            cells.push(cell);
        }
        cells.sort_by(|a: &ScoredCell, b| (a.fold, &a.dataset, &a.id).cmp(&(b.fold, &b.dataset, &b.id)));
        gathered.models.push(ScoredModel { name, cells });
    }
    Ok(gathered)
}

fn scored(row: &Prediction, classes: &[String], threshold: f64) -> Result<(ScoredCell, bool), NodeError> {
    let index = |name: &str| {
        // One file may know the negative class only as "not <positive>".
        classes.iter().position(|c| c == name).or_else(|| name.starts_with("not ").then_some(0)).ok_or_else(
            || {
                NodeError::data(format!(
                    "cell `{}`: `{name}` is none of the classes {}",
                    row.cell_id,
                    classes.join(", ")
                ))
            },
        )
    };
    let binary = classes.len() == 2 && row.class_scores.is_empty();
    let scores = if binary { vec![1.0 - row.score, row.score] } else { row.class_scores.clone() };
    let predicted = if binary { usize::from(row.score >= threshold) } else { argmax(&scores) };
    let said = index(&row.prediction)?;
    let cell = ScoredCell {
        dataset: row.dataset.clone(),
        id: row.cell_id.clone(),
        group: row.group.clone(),
        fold: (row.repeat, row.fold),
        truth: index(&row.label)?,
        predicted,
        scores,
        logits: <[f64; 2]>::try_from(row.logits.as_slice()).ok(),
    };
    Ok((cell, said != predicted))
}

/// Name of the model of each input: what its label says beside the fold, or else `name`, which also names a model that is
/// the only one.
pub(super) fn names(inputs: &[Input], name: &str) -> Vec<String> {
    let mut names: Vec<String> = inputs.iter().map(|input| model_name(&input.label, name)).collect();
    if name != NAME && names.iter().all(|other| *other == names[0]) {
        names.fill(name.to_owned());
    }
    names
}

/// The label of a gathered artifact without its fold: `fold=3,model=scgpt` → `scgpt`, `lora[fold=3]` → `lora`.
fn model_name(label: &str, fallback: &str) -> String {
    let (node, axes) = match label.strip_suffix(']').and_then(|label| label.split_once('[')) {
        Some((node, axes)) => (Some(node), axes),
        None => (None, label),
    };
    let rest = axes
        .split(',')
        .filter(|part| !part.is_empty())
        .filter(|part| !part.split_once('=').is_some_and(|(axis, _)| axis == "fold" || axis == "repeat"));
    match node.into_iter().chain(rest).collect::<Vec<_>>().as_slice() {
        [] => fallback.to_owned(),
        [one] => one.strip_prefix("model=").unwrap_or(one).to_owned(),
        more => more.join(", "),
    }
}

/// No model may be called like a baseline, or tables would hold two rows of one name.
///
/// # Errors
/// A parameter error that names it.
pub(super) fn distinct<'a>(names: impl Iterator<Item = &'a str>) -> Result<(), NodeError> {
    let mut seen = BTreeSet::new();
    for name in names {
        if !seen.insert(name) {
            return Err(NodeError::parameter(format!("two rows of the tables would be called `{name}`")).help(
                "models are named by their node, their axis or `name`, and baselines have names of their own: rename the model",
            ));
        }
    }
    Ok(())
}

/// The classes of all files; they must agree, except that a file without negative cells cannot name that class.
fn common_classes<'a>(files: impl Iterator<Item = &'a Predictions>) -> Result<Vec<String>, NodeError> {
    let mut common: Option<Vec<String>> = None;
    for file in files {
        let unknown = |c: &[String]| c.len() == 2 && c[0] == format!("not {}", c[1]);
        match &common {
            None => common = Some(file.classes.clone()),
            Some(c) if *c == file.classes => {}
            Some(c)
                if c.len() == 2
                    && file.classes.len() == 2
                    && c[1] == file.classes[1]
                    && unknown(&file.classes) => {}
            Some(c) if c.len() == 2 && file.classes.len() == 2 && c[1] == file.classes[1] && unknown(c) => {
                common = Some(file.classes.clone());
            }
            Some(c) => {
                return Err(NodeError::data(format!(
                    "predictions with different classes cannot be measured together: {} and {}",
                    c.join(", "),
                    file.classes.join(", ")
                ))
                .help("use one split, with one `label` and one `positive`, for all models"));
            }
        }
    }
    common.ok_or_else(|| NodeError::data("there are no predictions"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_of_nodes_axes_and_the_parameter() {
        let input =
            |label: &str| Input { label: label.to_owned(), path: "p.csv".into(), digest: String::new() };
        let of =
            |labels: &[&str], name: &str| names(&labels.iter().map(|l| input(l)).collect::<Vec<_>>(), name);
        assert_eq!(of(&["frozen", "lora[fold=0]", "lora[fold=1]"], "x"), ["frozen", "lora", "lora"]);
        assert_eq!(of(&["head[fold=0,model=scgpt]"], "model"), ["head, model=scgpt"]);
        assert_eq!(of(&["lora"], "model"), ["lora"]);
        assert_eq!(of(&["lora"], "LoRA"), ["LoRA"], "the only model can be named");
        assert!(distinct(["a", "b"].into_iter()).is_ok());
        let twice = distinct(["majority class", "majority class"].into_iter()).expect_err("one name twice");
        assert!(twice.message.contains("`majority class`"));
    }

    #[test]
    fn labels_name_models_without_their_folds() {
        assert_eq!(model_name("", "head"), "head");
        assert_eq!(model_name("fold=3", "head"), "head");
        assert_eq!(model_name("fold=3,model=scgpt", "head"), "scgpt");
        assert_eq!(model_name("dataset=kang,fold=3,model=scgpt", "head"), "dataset=kang, model=scgpt");
    }
}
