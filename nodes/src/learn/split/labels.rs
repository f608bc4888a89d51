//! Labels of cells as class indices: which column, which cells count, which class is the positive one.

use celldag_data::Table;
use celldag_engine::NodeError;

use crate::columns;

/// Classes in index order; with two classes index 1 is the positive one.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Classes {
    /// Names by index.
    pub names: Vec<String>,
    /// The positive class, with two classes.
    pub positive: Option<String>,
}

/// The cells that have a usable label, in the order of the table.
#[derive(Clone, Debug)]
pub struct LabelledCells {
    /// Row of each cell in the table.
    pub rows: Vec<usize>,
    /// Name of each cell.
    pub ids: Vec<String>,
    /// Class index of each cell.
    pub class: Vec<usize>,
    /// Group of each cell; empty without a group column.
    pub group: Vec<String>,
    /// The classes.
    pub classes: Classes,
    /// Cells without a label.
    pub missing: usize,
    /// Cells whose label was excluded.
    pub excluded: usize,
}

impl LabelledCells {
    /// Keeps the cells whose flag is set, in their order; the classes stay as they are.
    pub fn retain(&mut self, keep: &[bool]) {
        fn filter<T>(list: &mut Vec<T>, keep: &[bool]) {
            let mut flags = keep.iter();
            list.retain(|_| *flags.next().unwrap_or(&true));
        }
        filter(&mut self.rows, keep);
        filter(&mut self.ids, keep);
        filter(&mut self.class, keep);
        filter(&mut self.group, keep);
    }
}

/// What to read from a table of cells.
#[derive(Clone, Debug)]
pub struct LabelRequest<'a> {
    /// Column with the labels.
    pub label: &'a str,
    /// The positive class, when the user named it.
    pub positive: Option<&'a str>,
    /// Column with the groups.
    pub group: Option<&'a str>,
    /// Labels to leave out.
    pub exclude: &'a [String],
}

/// Reads labels and groups.
///
/// # Errors
/// A data error for a missing column, a constant label or a cell without group; a parameter error when the positive
/// class is not named or not there.
pub fn read_labels(obs: &Table, wanted: &LabelRequest<'_>) -> Result<LabelledCells, NodeError> {
    let column = columns::column(obs, wanted.label, "label")?;
    let group =
        wanted.group.map(|name| columns::column(obs, name, "group").map(|c| (name, c))).transpose()?;
    let mut cells = LabelledCells {
        rows: Vec::new(),
        ids: Vec::new(),
        class: Vec::new(),
        group: Vec::new(),
        classes: Classes { names: Vec::new(), positive: None },
        missing: 0,
        excluded: 0,
    };
    let mut labels = Vec::new();
    for (row, id) in obs.index.iter().enumerate() {
        let Some(label) = column.as_text(row).filter(|l| !l.trim().is_empty()) else {
            cells.missing += 1;
            continue;
        };
        if wanted.exclude.iter().any(|e| *e == *label) {
            cells.excluded += 1;
            continue;
        }
        if let Some((name, group)) = group {
            let value = group.as_text(row).ok_or_else(|| {
                NodeError::data(format!("cell `{id}` has no value in the group column `{name}`"))
                    .help("give every cell a group, or filter such cells out before the split")
            })?;
            cells.group.push(value.into_owned());
        }
        cells.rows.push(row);
        cells.ids.push(id.clone());
        labels.push(label.into_owned());
    }
    let mut names = labels.clone();
    names.sort();
    names.dedup();
    cells.classes = classes(names, wanted)?;
    let index = |label: &String| cells.classes.names.iter().position(|n| n == label).unwrap_or(0);
    cells.class = labels.iter().map(index).collect();
    Ok(cells)
}

/// Orders the classes and decides which one is positive.
fn classes(names: Vec<String>, wanted: &LabelRequest<'_>) -> Result<Classes, NodeError> {
    let label = wanted.label;
    match names.len() {
        0 => Err(NodeError::data(format!("no cell has a usable label in column `{label}`"))
            .help("choose another `label` column, or exclude fewer labels")),
        1 => Err(NodeError::data(format!(
            "the label column `{label}` is constant: every labelled cell is `{}`",
            names[0]
        ))
        .help("a classifier needs cells of at least two classes; choose another `label` column or add data")),
        2 => {
            let named = wanted.positive.map(|p| {
                let exact = names.iter().find(|n| *n == p);
                (p, exact.or_else(|| names.iter().find(|n| same_value(n, p))))
            });
            let positive = match named {
                Some((_, Some(name))) => name.clone(),
                Some((p, None)) => {
                    return Err(NodeError::parameter(format!(
                        "positive class `{p}` does not occur in column `{label}`, which holds `{}` and `{}`",
                        names[0], names[1]
                    ))
                    .help(format!("set `positive: {}` or `positive: {}`", names[0], names[1])));
                }
                None => well_known(&names).ok_or_else(|| {
                    NodeError::parameter(format!(
                        "column `{label}` holds `{}` and `{}`, and nothing says which of them is the positive class",
                        names[0], names[1]
                    ))
                    .help(format!("set `positive: {}` or `positive: {}`", names[0], names[1]))
                })?,
            };
            let negative = names.into_iter().find(|n| *n != positive).unwrap_or_default();
            Ok(Classes { names: vec![negative, positive.clone()], positive: Some(positive) })
        }
        n => match wanted.positive {
            Some(p) => Err(NodeError::parameter(format!(
                "`positive: {p}` needs two classes, but column `{label}` holds {n}: {}",
                names.join(", ")
            ))
            .help("leave `positive` out, or leave classes out with `exclude_labels`")),
            None => Ok(Classes { names, positive: None }),
        },
    }
}

/// Whether two spellings mean one truth value or one number (`True` and `true`, `1.0` and `1`).
fn same_value(a: &str, b: &str) -> bool {
    let truth = |t: &str| t.trim().to_lowercase().parse::<bool>().ok();
    let number = |t: &str| t.trim().parse::<f64>().ok().filter(|v| v.is_finite());
    (truth(a).is_some() && truth(a) == truth(b)) || (number(a).is_some() && number(a) == number(b))
}

/// Pairs whose meaning the field agrees on. Sorted names come in.
fn well_known(names: &[String]) -> Option<String> {
    let lower: Vec<String> = names.iter().map(|n| n.to_lowercase()).collect();
    let pair: Vec<&str> = lower.iter().map(String::as_str).collect();
    for (negative, positive) in [("0", "1"), ("false", "true"), ("resistant", "sensitive")] {
        if pair.contains(&negative) && pair.contains(&positive) {
            return names.iter().zip(&pair).find(|(_, l)| **l == positive).map(|(n, _)| n.clone());
        }
    }
    None
}
