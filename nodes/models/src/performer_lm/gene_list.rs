//! The order of a model's genes. Rows of the gene table have no names in these checkpoints, and no list of them is
//! published but for the `var_names` of the authors' example data: the user puts one of the two beside the weights.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use celldag_data::CellsFile;
use celldag_data::vocabulary::{read_names, read_table};
use indexmap::IndexMap;

use crate::error::ModelError;
use crate::vocabulary::digest;

/// What the column of gene symbols is called in tables, and in a list with a header.
const COLUMNS: [&str; 8] =
    ["gene_name", "gene_names", "gene_symbol", "gene_symbols", "gene", "genes", "symbol", "feature_name"];

/// Gene symbols in the order of the rows of the gene table.
#[derive(Clone, Debug)]
pub struct GeneList {
    /// Where the list was found.
    pub file: PathBuf,
    /// Symbol → row.
    pub genes: IndexMap<String, u32>,
    /// BLAKE3 of the sorted lines `name<TAB>row<LF>`, hex.
    pub digest: String,
}

impl GeneList {
    /// Reads a list: the `var_names` of an h5ad file; a text file with a name a line, or a list in JSON or a pickle; or a
    /// table (`.csv`, `.tsv`) of one column, or with a column of symbols.
    ///
    /// # Errors
    /// When the file cannot be read, or a name is empty or stands twice.
    pub fn read(file: &Path) -> Result<Self, ModelError> {
        let refuse = |reason: String| ModelError::Config { path: file.to_path_buf(), reason };
        let names = match file.extension().and_then(|e| e.to_str()) {
            Some("h5ad") => CellsFile::open(file).map_err(|e| refuse(e.to_string()))?.var().index.clone(),
            Some("csv" | "tsv") => of_table(file)?,
            _ => without_header(read_names(file)?),
        };
        let mut genes = IndexMap::new();
        for (row, name) in (0_u32..).zip(&names) {
            if name.is_empty() {
                return Err(refuse(format!("gene {row} of the list has no name")));
            }
            if genes.insert(name.clone(), row).is_some() {
                return Err(refuse(format!("the gene `{name}` stands twice in the list")));
            }
        }
        if genes.is_empty() {
            return Err(refuse("the list has no genes".to_owned()));
        }
        let sorted: BTreeMap<String, u32> = genes.iter().map(|(name, &row)| (name.clone(), row)).collect();
        Ok(Self { file: file.to_path_buf(), genes, digest: digest(&sorted) })
    }

    /// Refuses a list of another length than the table of genes, which is all that can be checked: the order cannot.
    ///
    /// # Errors
    /// [`ModelError::Config`] with both numbers.
    pub fn expect_len(&self, rows: usize) -> Result<(), ModelError> {
        if self.genes.len() == rows {
            return Ok(());
        }
        Err(ModelError::Config {
            path: self.file.clone(),
            reason: format!(
                "the list names {} genes, the weights know {rows}; it must hold exactly the genes of the weights, in their order",
                self.genes.len()
            ),
        })
    }
}

fn is_header(name: &str) -> bool {
    COLUMNS.contains(&name.to_lowercase().as_str())
}

fn without_header(mut names: Vec<String>) -> Vec<String> {
    if names.first().is_some_and(|first| is_header(first)) {
        names.remove(0);
    }
    names
}

/// The column of symbols. A table of one column need not have a header.
fn of_table(file: &Path) -> Result<Vec<String>, ModelError> {
    let mut table = read_table(file)?;
    if table.columns.len() == 1 {
        return Ok(without_header(read_names(file)?));
    }
    let named = table.columns.keys().find(|name| is_header(name)).cloned();
    named.and_then(|name| table.columns.swap_remove(&name)).ok_or_else(|| ModelError::Config {
        path: file.to_path_buf(),
        reason: format!("none of the columns is called {}", COLUMNS.join(", ")),
    })
}
