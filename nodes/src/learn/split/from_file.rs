//! Folds that somebody else drew: a table or JSON that names the test fold, or the role, of each cell.

use std::collections::BTreeMap;
use std::path::Path;

use celldag_engine::NodeError;
use serde_json::Value;

use super::assign::TestFolds;
use super::labels::LabelledCells;
use super::roles::FoldRoles;
use super::table::Role;

/// What a file says.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Assignment {
    /// Cell → test fold.
    Folds(BTreeMap<String, u32>),
    /// (repeat, fold) → cell → role, such as the kind `split` writes.
    Roles(BTreeMap<(u32, u32), BTreeMap<String, Role>>),
}

/// Reads `.json` (`cell` and `fold` arrays, or `folds` with several named arrays, of which `name` picks one) or `.csv`
/// (`cell_id` or `cell`, `fold`, and optionally `repeat` and `role`).
///
/// # Errors
/// A data error that names the file and what is wrong in it.
pub fn read_assignment(path: &Path, name: Option<&str>) -> Result<Assignment, NodeError> {
    let text = fs_err::read_to_string(path).map_err(|e| NodeError::data(e.to_string()))?;
    let json = path.extension().is_some_and(|e| e.eq_ignore_ascii_case("json"))
        || text.trim_start().starts_with('{');
    let read = if json { read_json(&text, name) } else { read_csv(&text) };
    read.map_err(|problem| {
        NodeError::data(format!("{}: {problem}", path.display())).help(
            "a file of folds is JSON {\"cell\": [...], \"fold\": [...]} or CSV with the columns cell_id and fold (and optionally repeat, role)",
        )
    })
}

fn read_json(text: &str, name: Option<&str>) -> Result<Assignment, String> {
    let file: Value = serde_json::from_str(text).map_err(|e| e.to_string())?;
    let cells = file["cell"].as_array().ok_or("there is no array `cell`")?;
    let folds = match (file["fold"].as_array(), file["folds"].as_object(), name) {
        (Some(folds), None, None) => folds,
        (_, Some(named), Some(name)) => named.get(name).and_then(Value::as_array).ok_or_else(|| {
            format!(
                "there are no folds `{name}`; there are: {}",
                named.keys().cloned().collect::<Vec<_>>().join(", ")
            )
        })?,
        (_, Some(named), None) => {
            let names = named.keys().cloned().collect::<Vec<_>>().join(", ");
            return Err(format!("it holds several assignments; set `assignment_name` to one of: {names}"));
        }
        (Some(_), None, Some(name)) => {
            return Err(format!("it holds one assignment only, none called `{name}`"));
        }
        (None, None, _) => return Err("there is neither an array `fold` nor a mapping `folds`".to_owned()),
    };
    if cells.len() != folds.len() {
        return Err(format!("{} cells, but {} folds", cells.len(), folds.len()));
    }
    let mut out = BTreeMap::new();
    for (at, (cell, fold)) in cells.iter().zip(folds).enumerate() {
        let cell = cell.as_str().ok_or_else(|| format!("cell[{at}] is no text"))?;
        let fold = fold.as_u64().and_then(|f| u32::try_from(f).ok());
        let fold = fold.ok_or_else(|| format!("the fold of cell `{cell}` is no whole number from 0"))?;
        if out.insert(cell.to_owned(), fold).is_some() {
            return Err(format!("cell `{cell}` occurs twice"));
        }
    }
    Ok(Assignment::Folds(out))
}

fn read_csv(text: &str) -> Result<Assignment, String> {
    let mut reader = csv::Reader::from_reader(text.as_bytes());
    let header = reader.headers().map_err(|e| e.to_string())?.clone();
    let column = |names: &[&str]| header.iter().position(|h| names.contains(&h.trim()));
    let cell_at = column(&["cell_id", "cell"]).ok_or("there is no column `cell_id`")?;
    let fold_at = column(&["fold"]).ok_or("there is no column `fold`")?;
    let (repeat_at, role_at) = (column(&["repeat"]), column(&["role"]));
    let mut folds = BTreeMap::new();
    let mut roles: BTreeMap<(u32, u32), BTreeMap<String, Role>> = BTreeMap::new();
    for (at, record) in reader.records().enumerate() {
        let record = record.map_err(|e| e.to_string())?;
        let line = at + 2;
        let number = |i: usize, what: &str| {
            record[i]
                .trim()
                .parse::<u32>()
                .map_err(|_| format!("line {line}: {what} `{}` is no whole number", &record[i]))
        };
        let (cell, fold) = (record[cell_at].to_owned(), number(fold_at, "fold")?);
        let twice = match role_at {
            None => folds.insert(cell.clone(), fold).is_some(),
            Some(i) => {
                let role = match record[i].trim() {
                    "train" => Role::Train,
                    "validation" => Role::Validation,
                    "test" => Role::Test,
                    other => {
                        return Err(format!(
                            "line {line}: role `{other}` is none of train, validation, test"
                        ));
                    }
                };
                let repeat = repeat_at.map_or(Ok(0), |r| number(r, "repeat"))?;
                roles.entry((repeat, fold)).or_default().insert(cell.clone(), role).is_some()
            }
        };
        if twice {
            return Err(format!("line {line}: cell `{cell}` occurs twice"));
        }
    }
    if folds.is_empty() && roles.is_empty() {
        return Err("it names no cells".to_owned());
    }
    Ok(if role_at.is_some() { Assignment::Roles(roles) } else { Assignment::Folds(folds) })
}

impl Assignment {
    /// Cells that the file names.
    #[must_use]
    pub fn names(&self, cell: &str) -> bool {
        match self {
            Self::Folds(folds) => folds.contains_key(cell),
            Self::Roles(roles) => roles.values().any(|fold| fold.contains_key(cell)),
        }
    }

    /// Number of distinct cells in the file.
    #[must_use]
    pub fn cells(&self) -> usize {
        match self {
            Self::Folds(folds) => folds.len(),
            Self::Roles(roles) => {
                roles.values().flat_map(BTreeMap::keys).collect::<std::collections::BTreeSet<_>>().len()
            }
        }
    }

    /// Test folds of the cells, when the file gives these; fold numbers are made consecutive.
    #[must_use]
    pub fn test_folds(&self, cells: &LabelledCells) -> Option<TestFolds> {
        let Self::Folds(folds) = self else { return None };
        let mut used: Vec<u32> = cells.ids.iter().filter_map(|id| folds.get(id).copied()).collect();
        used.sort_unstable();
        used.dedup();
        let index = |fold: &u32| used.binary_search(fold).ok().map(|i| i as u32);
        let of_cell = cells.ids.iter().map(|id| folds.get(id).and_then(index)).collect();
        Some(TestFolds { folds: used.len() as u32, of_cell })
    }

    /// Roles of the cells, when the file gives these.
    #[must_use]
    pub fn roles(&self, cells: &LabelledCells) -> Option<Vec<FoldRoles>> {
        let Self::Roles(all) = self else { return None };
        let fold = |(&(repeat, fold), roles): (&(u32, u32), &BTreeMap<String, Role>)| FoldRoles {
            repeat,
            fold,
            roles: cells.ids.iter().map(|id| roles.get(id).copied()).collect(),
        };
        Some(all.iter().map(fold).collect())
    }
}
