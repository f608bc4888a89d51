//! Vectors of genes as cells show them, and their mean over cells.

use crate::encoder::EncoderInfo;
use crate::error::ModelError;
use crate::loaded::Loaded;
use crate::model::cell_models;
use crate::tokens::CellTokens;

/// Vectors of genes in one cell.
#[derive(Clone, Debug, PartialEq)]
pub struct GeneVectors {
    /// The genes, as places among [`GeneEncoder::genes`], none twice.
    pub genes: Vec<u32>,
    /// Their vectors behind each other, `[genes, dim]`.
    pub values: Vec<f32>,
}

/// Weights on a device that turn the tokens of a cell into vectors of genes.
pub trait GeneEncoder: Send + Sync {
    /// What this encoder is; its `dim` is the length of a gene's vector.
    fn info(&self) -> &EncoderInfo;

    /// Names of the genes that can have a vector.
    fn genes(&self) -> &[String];

    /// Vectors in one cell: of all genes, or of those that the model sees in it.
    ///
    /// # Errors
    /// When tokens are out of range or the device fails.
    fn in_cell(&self, cell: &CellTokens) -> Result<GeneVectors, ModelError>;
}

/// Vectors of genes, each the mean over the cells in which the gene has one.
#[derive(Clone, Debug, PartialEq)]
pub struct MeanVectors {
    /// Row-major `[genes, dim]`; NaN for genes that have a vector in no cell.
    pub values: Vec<f32>,
    /// Cells that each gene's mean is over.
    pub cells: Vec<u32>,
}

/// The mean of the vectors of genes over cells, which are read one after the other: memory does not grow with their number.
/// Sums are in double precision and in the order of the cells. Cells without tokens are passed over; `done` hears of every
/// cell and may stop the work. If the device is lost, it is opened again and the cell repeated.
///
/// # Errors
/// Those of the encoder, of the cells and of `done`.
pub fn mean_over_cells<E: From<ModelError>>(
    loaded: &mut Loaded<'_, dyn GeneEncoder>,
    cells: impl Iterator<Item = Result<CellTokens, E>>,
    mut done: impl FnMut() -> Result<(), E>,
) -> Result<MeanVectors, E> {
    let (genes, dim) = (loaded.encoder().genes().len(), loaded.encoder().info().dim);
    let mut sums = vec![0.0_f64; genes * dim];
    let mut counts = vec![0_u32; genes];
    for cell in cells {
        let cell = cell?;
        if !cell.is_empty() {
            add(&in_cell(loaded, &cell)?, dim, &mut sums, &mut counts)?;
        }
        done()?;
    }
    let mut values = Vec::with_capacity(genes * dim);
    for (row, &count) in sums.chunks_exact(dim.max(1)).zip(&counts) {
        // 0 / 0 is NaN: no cell, no vector.
        #[expect(clippy::cast_possible_truncation, reason = "vectors are single precision")]
        values.extend(row.iter().map(|sum| (sum / f64::from(count)) as f32));
    }
    Ok(MeanVectors { values, cells: counts })
}

fn in_cell(loaded: &mut Loaded<'_, dyn GeneEncoder>, cell: &CellTokens) -> Result<GeneVectors, ModelError> {
    loop {
        match loaded.run(|encoder| encoder.in_cell(cell)) {
            Err(error) if loaded.recover(&error)? => {}
            result => return result,
        }
    }
}

fn add(found: &GeneVectors, dim: usize, sums: &mut [f64], counts: &mut [u32]) -> Result<(), ModelError> {
    if found.values.len() != found.genes.len() * dim {
        let message = format!("{} values are not vectors of {} genes", found.values.len(), found.genes.len());
        return Err(ModelError::Tokens(message));
    }
    for (&gene, vector) in found.genes.iter().zip(found.values.chunks_exact(dim.max(1))) {
        let place = gene as usize;
        let Some(count) = counts.get_mut(place) else {
            return Err(ModelError::Tokens(format!("there is no gene {gene} among {}", counts.len())));
        };
        *count += 1;
        for (sum, &value) in sums[place * dim..(place + 1) * dim].iter_mut().zip(vector) {
            *sum += f64::from(value);
        }
    }
    Ok(())
}

/// The models that give vectors of genes.
#[must_use]
pub fn models_of_genes() -> Vec<&'static str> {
    cell_models().iter().filter(|model| model.gene_options().is_some()).map(|model| model.name()).collect()
}

/// The error of a model that gives no vectors of genes.
pub(crate) fn not_offered(model: &str) -> ModelError {
    ModelError::Option(format!("{model} gives no vectors of genes; {} does", models_of_genes().join(", ")))
}

#[cfg(test)]
mod tests {
    use celldag_shaders::Device;

    use super::*;

    /// Gives the gene of every token a vector of the token's value and its square.
    struct Fake {
        info: EncoderInfo,
        names: Vec<String>,
    }

    impl GeneEncoder for Fake {
        fn info(&self) -> &EncoderInfo {
            &self.info
        }
        fn genes(&self) -> &[String] {
            &self.names
        }
        fn in_cell(&self, cell: &CellTokens) -> Result<GeneVectors, ModelError> {
            let values = cell.values.iter().flat_map(|&v| [v, v * v]).collect();
            Ok(GeneVectors { genes: cell.ids.clone(), values })
        }
    }

    fn mean(cells: &[(&[u32], &[f32])]) -> Result<MeanVectors, ModelError> {
        let load = |_: &Device| -> Result<Box<dyn GeneEncoder>, ModelError> {
            let info = EncoderInfo { dim: 2, ..EncoderInfo::default() };
            Ok(Box::new(Fake { info, names: ["a", "b", "c"].map(str::to_owned).to_vec() }))
        };
        let mut loaded = Loaded::new(&Device::cpu(1).unwrap(), load).unwrap();
        let mut heard = 0;
        let tokens =
            cells.iter().map(|(ids, values)| CellTokens { ids: ids.to_vec(), values: values.to_vec() });
        let result = mean_over_cells(&mut loaded, tokens.map(Ok), || {
            heard += 1;
            Ok::<(), ModelError>(())
        })?;
        assert_eq!(heard, cells.len());
        Ok(result)
    }

    #[test]
    fn a_gene_is_the_mean_over_the_cells_that_have_it() {
        let mean = mean(&[(&[0, 2], &[1.0, 4.0]), (&[], &[]), (&[2], &[2.0])]).unwrap();
        assert_eq!(mean.cells, [1, 0, 2]);
        assert_eq!(mean.values[..2], [1.0, 1.0]);
        assert!(mean.values[2..4].iter().all(|v| v.is_nan()));
        assert_eq!(mean.values[4..], [3.0, 10.0]);
    }

    #[test]
    fn strange_genes_are_refused() {
        assert!(mean(&[(&[3], &[1.0])]).unwrap_err().to_string().contains("no gene 3 among 3"));
        assert!(mean(&[(&[0, 1], &[1.0])]).is_err());
    }
}
