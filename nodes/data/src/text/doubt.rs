//! Second thoughts about which columns of a table are genes, once names and values are known.

use std::path::Path;

use super::columns::{Columns, annotates};
use super::rows::Rows;
use crate::error::list;
use crate::{DataError, GeneIds, IdSource, Table};

/// Headers of a first column that names cells, besides the names of annotations; in lower case.
const ID_NAMES: [&str; 9] =
    ["barcodes", "cellid", "cell_name", "cells", "id", "index", "name", "obs_names", "run"];

impl Columns {
    /// Says which columns became annotations, and which genes hardly are any. Asks for the first row, so it must be
    /// called before the rows are read.
    pub(super) fn warnings(&self, table: &Rows) -> Vec<String> {
        let mut warnings = Vec::new();
        if !self.annotations.is_empty() {
            let names: Vec<String> = self.annotations.iter().map(|&c| table.name(c).to_owned()).collect();
            warnings.push(format!("columns taken as annotations of cells, not as genes: {}", list(&names)));
        }
        let clear: Vec<bool> = self.genes.iter().map(|&column| is_gene(table.name(column))).collect();
        // Where most names are of another kind (mouse symbols, other species), theirs say nothing.
        if 2 * clear.iter().filter(|&&clear| clear).count() > clear.len() {
            let before = self.genes.iter().zip(&clear).take_while(|(_, clear)| !**clear);
            let names: Vec<String> = before.map(|(&column, _)| table.name(column).to_owned()).collect();
            if !names.is_empty() {
                warnings.push(format!(
                    "columns that stand before all genes and are not called like one, but hold numbers and are taken as \
                     genes: {}; if they annotate cells, write their values as text (`p1` for 1)",
                    list(&names)
                ));
            }
        }
        warnings
    }

    /// The first column names the cells; called like a gene and full of numbers, it is a gene itself.
    pub(super) fn refuse_without_ids(path: &Path, table: &Rows, index: &[String]) -> Result<(), DataError> {
        let name = table.name(0);
        let is_id = annotates(name) || ID_NAMES.contains(&name.to_lowercase().as_str());
        if is_id || !is_gene(name) || !index.iter().all(|value| value.parse::<f64>().is_ok()) {
            return Ok(());
        }
        Err(DataError::Ambiguous {
            path: path.to_owned(),
            problem: format!(
                "the first column must name the cells, but it is called `{name}` like a gene and holds only numbers"
            ),
            remedy: "put a column of cell names in front, in Python with \
                     `pandas.read_csv(FILE).to_csv(NEW, index_label=\"cell_id\")`; if the numbers are names of cells, \
                     call the column `cell_id`"
                .to_owned(),
        })
    }

    /// A column became an annotation because its first value, in `line`, is a text. If numbers follow, the text is
    /// rather a wrong value of a gene.
    pub(super) fn refuse_lone_text(
        path: &Path,
        name: &str,
        line: u64,
        values: &[String],
    ) -> Result<(), DataError> {
        let Some((first, later)) = values.split_first() else { return Ok(()) };
        let later: Vec<&String> = later.iter().filter(|value| !value.is_empty() && *value != "NA").collect();
        let numbers = later.iter().filter(|value| value.parse::<f64>().is_ok()).count();
        if later.is_empty() || 10 * numbers < 9 * later.len() {
            return Ok(());
        }
        Err(DataError::Ambiguous {
            path: path.to_owned(),
            problem: format!(
                "column `{name}` holds `{first}` in line {line}, but numbers in {numbers} of the {} later rows: neither \
                 a gene nor a label",
                later.len()
            ),
            remedy: "if the column is a gene, correct the value; if it annotates cells, write all its values as text \
                     (`d10` for 10)"
                .to_owned(),
        })
    }
}

/// Whether a name is certainly that of a gene: an Ensembl id, or a human symbol (`TP53`, `HLA-A`, `C1orf112`).
fn is_gene(name: &str) -> bool {
    let symbol = name.replace("orf", "ORF");
    let symbol = symbol.starts_with(|c: char| c.is_ascii_alphanumeric())
        && symbol.contains(|c: char| c.is_ascii_uppercase())
        && symbol.chars().all(|c| c.is_ascii_uppercase() || c.is_ascii_digit() || c == '-' || c == '.');
    symbol || GeneIds::detect(&Table::new(vec![name.to_owned()])).source == IdSource::Index
}
