//! The input of a golden case, read with the product's own reader.

use celldag_data::{CellsFile, CountsSource, Csr};

use crate::preprocess::reference::folder;

pub(crate) struct Case {
    /// Raw counts of all genes.
    pub(crate) counts: Csr,
    pub(crate) genes: Vec<String>,
    /// `obs["condition"]` of every cell.
    pub(crate) condition: Vec<String>,
    /// `obs["batch"]` of every cell.
    pub(crate) batch: Vec<String>,
}

pub(crate) fn read(name: &str) -> Option<Case> {
    let file = CellsFile::open(folder(name)?.join("input.h5ad")).expect("readable fixture");
    let cells = file.read_counts(&CountsSource::Auto).expect("counts");
    let column = |name: &str| -> Vec<String> {
        (0..cells.obs.len()).map(|cell| cells.obs.text(name, cell).expect("a value").into_owned()).collect()
    };
    let (condition, batch) = (column("condition"), column("batch"));
    Some(Case { genes: cells.var.index, counts: cells.x, condition, batch })
}
