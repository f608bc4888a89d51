//! Small files of cells made for a test.

use std::path::Path;

use celldag_data::{Column, Csr, Dtype, H5adWriter, Table, WriteOptions};
use serde_json::Value;

/// One cell of such a file.
#[derive(Clone, Debug)]
pub(crate) struct Made {
    pub(crate) name: String,
    pub(crate) label: &'static str,
    pub(crate) study: String,
    /// Cells with one number have the same counts.
    pub(crate) counts: usize,
    /// Vector in `obsm["X_toy"]`.
    pub(crate) vector: [f32; 2],
}

/// Writes cells with 12 genes, the columns `response` and `study`, and the embedding `X_toy`, of which nobody says what made
/// it.
pub(crate) fn write(path: &Path, cells: &[Made]) {
    write_made_by(path, cells, &Value::Null);
}

/// The same with a record of what made the embedding.
pub(crate) fn write_made_by(path: &Path, cells: &[Made], record: &Value) {
    let mut obs = Table::new(cells.iter().map(|c| c.name.clone()).collect());
    let text = |of: &dyn Fn(&Made) -> String| Column::Text(cells.iter().map(|c| Some(of(c))).collect());
    obs.insert("response", text(&|c| c.label.to_owned())).expect("length");
    obs.insert("study", text(&|c| c.study.clone())).expect("length");
    let genes = Table::new((0..12).map(|g| format!("g{g}")).collect());
    let counts: Vec<f32> = cells
        .iter()
        .flat_map(|c| (0..12).map(move |g| (1 + (c.counts * 7 + g * (c.counts + 3)) % 1009) as f32))
        .collect();
    let mut writer = H5adWriter::create(path, &obs, &genes, &WriteOptions::default()).expect("file");
    writer.begin_matrix("X", Dtype::F32).expect("counts");
    writer.append(&Csr::from_dense(12, &counts)).expect("counts");
    writer.obsm("X_toy", 2, &cells.iter().flat_map(|c| c.vector).collect::<Vec<_>>()).expect("obsm");
    if !record.is_null() {
        writer.uns_json("celldag", record).expect("record");
    }
    writer.finish().expect("finish");
}

/// `n` cells, every second one sensitive, in `studies` studies that hold both classes; counts number on from `first`.
pub(crate) fn several(prefix: &str, n: usize, studies: usize, first: usize) -> Vec<Made> {
    let one = |i: usize| {
        let sensitive = i % 2 == 1;
        let wobble = ((i * 37) % 23) as f32 / 10.0;
        Made {
            name: format!("{prefix}{i:03}"),
            label: if sensitive { "sensitive" } else { "resistant" },
            study: format!("{prefix}s{}", (i / 2) % studies),
            counts: first + i,
            vector: [if sensitive { 1.0 } else { -1.0 } + wobble - 1.1, wobble],
        }
    };
    (0..n).map(one).collect()
}
