//! Which columns of a text table are genes and which annotate cells.

use std::path::Path;

use super::rows::Rows;
use crate::cells::OpenOptions;
use crate::{Column, DataError, GeneIds, IdSource, Table};

/// Names that annotations carry even when they hold numbers, in lower case, `.`, ` ` and `-` written `_`.
const ANNOTATIONS: [&str; 40] = [
    "age",
    "barcode",
    "batch",
    "cell",
    "cell_barcode",
    "cell_id",
    "cell_line",
    "cell_type",
    "celltype",
    "cluster",
    "clusters",
    "condition",
    "dataset",
    "dose",
    "donor",
    "drug",
    "fold",
    "g2m_score",
    "group",
    "label",
    "labels",
    "leiden",
    "louvain",
    "n_counts",
    "n_genes",
    "n_genes_by_counts",
    "ncount_rna",
    "nfeature_rna",
    "orig_ident",
    "patient",
    "patient_id",
    "pct_counts_mt",
    "percent_mito",
    "percent_mt",
    "phase",
    "response",
    "s_score",
    "sample",
    "sample_id",
    "total_counts",
];

/// Positions of the columns after the first.
pub(super) struct Columns {
    pub(super) genes: Vec<usize>,
    pub(super) annotations: Vec<usize>,
    /// Annotations for no other reason than that their first value is a text.
    pub(super) by_value: Vec<usize>,
}

impl Columns {
    /// Decides by name and by the first row.
    pub(super) fn decide(path: &Path, table: &Rows, options: &OpenOptions) -> Result<Self, DataError> {
        let names = table.names();
        if let Some(unknown) = options.obs_columns.iter().find(|wanted| !names.contains(wanted)) {
            return Err(DataError::missing(path, unknown, names.to_vec()));
        }
        let mut columns = Self { genes: Vec::new(), annotations: Vec::new(), by_value: Vec::new() };
        for (column, name) in names.iter().enumerate().skip(1) {
            let first = table.first().and_then(|row| row.get(column)).map(<[u8]>::trim_ascii);
            let text = first.and_then(|value| std::str::from_utf8(value).ok()).unwrap_or("0");
            // An empty first value in a gene's column is reported with its place when the row is read.
            let is_number = text.is_empty() || text == "NA" || text.parse::<f64>().is_ok();
            let annotates = annotates(name) || options.obs_columns.contains(name);
            if !annotates && !is_number {
                columns.by_value.push(column);
            }
            (if annotates || !is_number { &mut columns.annotations } else { &mut columns.genes })
                .push(column);
        }
        if columns.genes.is_empty() {
            let problem = "no column holds numbers, so there are no genes".to_owned();
            let remedy =
                "give a table with one column per gene; check the separator (comma or tab)".to_owned();
            return Err(DataError::Ambiguous { path: path.to_owned(), problem, remedy });
        }
        columns.refuse_transposed(path, table)?;
        Ok(columns)
    }

    /// Genes × cells cannot be told from cells × genes by numbers, but names give it away.
    fn refuse_transposed(&self, path: &Path, table: &Rows) -> Result<(), DataError> {
        let cell = table.first().and_then(|row| row.get(0)).map(String::from_utf8_lossy).unwrap_or_default();
        let first_is_gene =
            GeneIds::detect(&Table::new(vec![cell.trim().to_owned()])).source == IdSource::Index;
        let barcodes = self.genes.iter().filter(|&&column| is_barcode(table.name(column))).count();
        if first_is_gene || 2 * barcodes > self.genes.len() {
            let problem =
                "the rows seem to be genes and the columns cells; one row per cell is expected".to_owned();
            let remedy =
                "transpose the table, in Python with `pandas.read_csv(FILE, index_col=0).T.to_csv(NEW)`"
                    .to_owned();
            return Err(DataError::Ambiguous { path: path.to_owned(), problem, remedy });
        }
        Ok(())
    }
}

/// Whether annotations carry this name.
pub(super) fn annotates(name: &str) -> bool {
    ANNOTATIONS.contains(&name.to_lowercase().replace(['.', ' ', '-'], "_").as_str())
}

/// Twelve or more nucleotides, then nothing, `-1` or `.1`.
fn is_barcode(name: &str) -> bool {
    let bases = name.trim_end_matches(|c: char| c.is_ascii_digit());
    let bases = bases.strip_suffix(['-', '.']).unwrap_or(bases);
    bases.len() >= 12 && bases.bytes().all(|base| b"ACGTN".contains(&base))
}

/// The narrowest type that holds all values: whole numbers, numbers, names. Empty values and `NA` are missing.
pub(super) fn typed(values: &[String]) -> Column {
    let present = |value: &String| (!value.is_empty() && value != "NA").then(|| value.clone());
    let values: Vec<Option<String>> = values.iter().map(present).collect();
    if values.iter().flatten().all(|value| value.parse::<i64>().is_ok()) {
        return Column::Int(values.iter().map(|value| value.as_ref()?.parse().ok()).collect());
    }
    if values.iter().flatten().all(|value| value.parse::<f64>().is_ok()) {
        let number = |value: &Option<String>| value.as_ref().and_then(|v| v.parse().ok()).unwrap_or(f64::NAN);
        return Column::Float(values.iter().map(number).collect());
    }
    Column::categorical(&values)
}
