//! Mean expression of conditions: one row a perturbation of a line.

use std::collections::BTreeMap;
use std::path::Path;

use celldag_data::CellsFile;
use celldag_engine::NodeError;

use super::kind::Options;
use crate::columns::column;
use crate::failure::data;

/// A perturbation of a line; without a column of lines there is one line without a name.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Condition {
    pub(super) perturbation: String,
    pub(super) line: String,
}

impl Condition {
    /// As tables name it.
    pub(super) fn name(&self) -> String {
        if self.line.is_empty() {
            self.perturbation.clone()
        } else {
            format!("{}, {}", self.perturbation, self.line)
        }
    }
}

/// Profiles of a file, all over the same genes.
pub(super) struct Profiles {
    pub(super) genes: Vec<String>,
    pub(super) of: BTreeMap<Condition, Vec<f64>>,
}

impl Profiles {
    /// Reads X and the columns of obs that name perturbation and line.
    ///
    /// # Errors
    /// Files that cannot be read, missing columns, two rows of one condition, or values that are not finite.
    pub(super) fn read(path: &Path, options: &Options) -> Result<Self, NodeError> {
        let file = CellsFile::open(path).map_err(data)?;
        let bad = |problem: String| NodeError::data(format!("{}: {problem}", path.display()));
        let named = column(file.obs(), &options.perturbation, "perturbation")?;
        let lines = options.line.as_deref().map(|name| column(file.obs(), name, "line")).transpose()?;
        let matrix = file.matrix("X").map_err(data)?;
        let values = file.read_matrix(&matrix).map_err(data)?;
        let mut of = BTreeMap::new();
        for (row, id) in file.obs().index.iter().enumerate() {
            let text = |column: &celldag_data::Column| column.as_text(row).map(std::borrow::Cow::into_owned);
            let perturbation =
                text(named).ok_or_else(|| bad(format!("row `{id}` has no `{}`", options.perturbation)))?;
            let line = match lines {
                None => String::new(),
                Some(column) => text(column).ok_or_else(|| bad(format!("row `{id}` has no line")))?,
            };
            let condition = Condition { perturbation, line };
            let profile: Vec<f64> = values.to_dense_row(row).into_iter().map(f64::from).collect();
            if let Some(at) = profile.iter().position(|v| !v.is_finite()) {
                let gene = &matrix.var().index[at];
                return Err(bad(format!("row `{id}`, gene `{gene}`: {} is no finite number", profile[at])));
            }
            if of.contains_key(&condition) {
                return Err(bad(format!("two rows are of the condition {}", condition.name()))
                    .help("give one mean profile a condition (pseudobulk)"));
            }
            of.insert(condition, profile);
        }
        Ok(Self { genes: matrix.var().index.clone(), of })
    }

    /// The same over the genes `genes`, in that order.
    ///
    /// # Errors
    /// A data error when a gene is not there.
    pub(super) fn over(self, genes: &[String], what: &str) -> Result<Self, NodeError> {
        if self.genes == genes {
            return Ok(self);
        }
        let at: BTreeMap<&String, usize> = self.genes.iter().enumerate().map(|(i, g)| (g, i)).collect();
        let positions: Vec<usize> = genes
            .iter()
            .map(|gene| {
                at.get(gene).copied().ok_or_else(|| {
                    NodeError::data(format!("{what}: gene `{gene}` of the measured profiles is not there"))
                        .help("predict every gene of the file on the port `truth`, or leave genes out of that file")
                })
            })
            .collect::<Result<_, _>>()?;
        let chosen = |profile: Vec<f64>| positions.iter().map(|&g| profile[g]).collect();
        let of = self.of.into_iter().map(|(condition, profile)| (condition, chosen(profile))).collect();
        Ok(Self { genes: genes.to_vec(), of })
    }
}
