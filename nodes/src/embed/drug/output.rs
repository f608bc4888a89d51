//! The table of drug vectors.

use std::path::Path;

use celldag_engine::NodeError;

use super::table::DrugTable;

/// Writes row-major `vectors` `[drugs, dim]`: id, smiles, one column a dimension. Numbers have as many digits as give the same
/// `f32` again; a drug without a vector has empty fields.
pub(super) fn write(
    path: &Path,
    table: &DrugTable,
    model: &str,
    dim: usize,
    vectors: &[f32],
) -> Result<(), NodeError> {
    let failed = |e: csv::Error| NodeError::failed(format!("{}: {e}", path.display()));
    let file = fs_err::File::create(path).map_err(|e| NodeError::failed(e.to_string()))?;
    let mut out = csv::Writer::from_writer(std::io::BufWriter::new(file));
    let columns = (0..dim).map(|column| format!("{model}_{column}"));
    out.write_record(["id".to_owned(), "smiles".to_owned()].into_iter().chain(columns)).map_err(failed)?;
    for (drug, row) in table.drugs.iter().zip(vectors.chunks_exact(dim.max(1))) {
        let number = |value: &f32| if value.is_nan() { String::new() } else { value.to_string() };
        let fields = [drug.id.clone(), drug.smiles.clone()];
        out.write_record(fields.into_iter().chain(row.iter().map(number))).map_err(failed)?;
    }
    out.flush().map_err(|e| NodeError::failed(format!("{}: {e}", path.display())))
}
