//! The cells of all files as tokens of a vocabulary that is made of them.

use std::path::Path;

use celldag_data::{CellsFile, CountsSource, GeneIds, MatrixRef, Table};
use celldag_engine::{Input, NodeError, Step};
use celldag_models::geneformer::Tokenizer;
use celldag_models::pretraining::{GeneDictionaries, ModelShape};
use celldag_models::{CellCounts, CellTokenizer, ModelError, UnusableCount};
use rayon::prelude::*;

use super::card::named;
use super::coverage::{self, Covered};
use super::kind::Options;
use crate::embed::failure::Failure;
use crate::embed::tokenize::{CHUNK, cell_counts, no_count};
use crate::embed::{TokensFile, TokensInfo, TokensWriter};

/// Number of a cell among the tokens, and its name.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct NamedCell {
    pub(super) name: String,
    pub(super) row: usize,
}

/// Cells with tokens, divided by their names.
pub(super) struct PretrainCells {
    pub(super) tokens: TokensFile,
    pub(super) train: Vec<NamedCell>,
    pub(super) validation: Vec<NamedCell>,
    /// Cells of every file, in the order of the inputs.
    pub(super) of_files: Vec<u64>,
    /// Tokens of the vocabulary.
    pub(super) vocabulary: usize,
}

/// One open file.
struct Opened {
    /// What the card calls it.
    name: String,
    cells: CellsFile,
    matrix: MatrixRef,
    genes: GeneIds,
}

impl PretrainCells {
    /// Reads all files twice: to count the cells of every gene, and to make tokens of the genes that are left. Writes dictionaries
    /// and `config.json` into `folder`.
    pub(super) fn read(step: &Step<'_>, options: &Options, folder: &Path) -> Result<Self, Failure> {
        let pool = rayon::ThreadPoolBuilder::new()
            .num_threads(step.threads.max(1))
            .build()
            .map_err(|e| NodeError::failed(format!("cannot start {} threads: {e}", step.threads)))?;
        let files = opened(step, options)?;
        let of_files: Vec<u64> = files.iter().map(|file| file.matrix.n_cells() as u64).collect();
        step.progress.total(2 * of_files.iter().sum::<u64>(), "cells read");
        let all = GeneDictionaries::find(&step.input("dictionaries")?.path)?;
        let shape = options.shape();
        let mut cells_of = vec![0_u64; all.size()];
        let mut covered = Covered::default();
        for file in &files {
            let tokenizer = file.tokenizer(&all, &shape)?;
            covered.add(step, &file.name, tokenizer.coverage());
            file.each(
                step,
                &pool,
                |cell| expressed(&tokenizer, cell),
                |_, tokens| {
                    for token in tokens {
                        cells_of[token as usize] += 1;
                    }
                    Ok(())
                },
            )?;
        }
        covered.report(step);
        let vocabulary = all.restrict(&cells_of, options.min_cells, folder)?;
        shape.write(vocabulary.size(), folder)?;
        let (mut names, mut writer, mut info) = (Vec::new(), None, None);
        for file in &files {
            let tokenizer = file.tokenizer(&vocabulary, &shape)?;
            coverage::of_vocabulary(step, &file.name, tokenizer.coverage());
            let info = info.get_or_insert_with(|| tokenizer.info().clone());
            let writer = match &mut writer {
                Some(writer) => writer,
                None => writer.insert(TokensWriter::new(step.scratch, info)?),
            };
            file.each(
                step,
                &pool,
                |cell| tokenizer.tokenize(&cell),
                |name, tokens| {
                    names.push(name.to_owned());
                    Ok(writer.push(&tokens)?)
                },
            )?;
        }
        let (Some(writer), Some(tokenizer)) = (writer, info) else {
            return Err(NodeError::data("there is no file of cells").into());
        };
        let path = step.scratch.join("tokens.safetensors");
        let info = TokensInfo { model: "geneformer".to_owned(), tokenizer };
        writer.finish(&path, &info, &Table::new(names.clone()))?;
        let tokens = TokensFile::open(&path)?;
        let (train, validation) = divided(step, options, names, &tokens.lengths())?;
        Ok(Self { tokens, train, validation, of_files, vocabulary: vocabulary.size() })
    }

    /// Tokens of some cells.
    pub(super) fn ids(&self, cell: &NamedCell) -> Result<Vec<u32>, Failure> {
        Ok(self.tokens.cell(cell.row)?.ids)
    }
}

fn opened(step: &Step<'_>, options: &Options) -> Result<Vec<Opened>, Failure> {
    let source: CountsSource = options.counts.parse().unwrap_or_default();
    let open = |(number, input): (usize, &Input)| -> Result<Opened, Failure> {
        let name = named(&input.label, number);
        let cells = CellsFile::open(&input.path)?;
        for warning in cells.warnings() {
            step.warn(format!("{name}: {warning}"));
        }
        let matrix = cells.counts_matrix(&source)?;
        let genes = GeneIds::detect(matrix.var());
        Ok(Opened { name, cells, matrix, genes })
    };
    step.gathered("cells").iter().enumerate().map(open).collect()
}

impl Opened {
    fn tokenizer(&self, dictionaries: &GeneDictionaries, shape: &ModelShape) -> Result<Tokenizer, Failure> {
        let in_file = |error: ModelError| match error {
            ModelError::NoGenes { .. } => {
                Failure::Node(NodeError::data(format!("{}: {error}", self.cells.path().display())))
            }
            other => other.into(),
        };
        dictionaries.tokenizer(shape, &self.genes).map_err(in_file)
    }

    /// Does `work` on every cell in parallel and hands the results to `take` in the order of the cells.
    fn each<T: Send>(
        &self,
        step: &Step<'_>,
        pool: &rayon::ThreadPool,
        work: impl Fn(CellCounts<'_>) -> Result<T, UnusableCount> + Sync,
        mut take: impl FnMut(&str, T) -> Result<(), Failure>,
    ) -> Result<(), Failure> {
        for chunk in self.cells.rows(&self.matrix, CHUNK) {
            step.check_cancelled()?;
            let (first, counts) = chunk?;
            let names = &self.cells.obs().index[first..];
            let of_row = |row| work(cell_counts(names, &counts, row));
            let results: Vec<_> = pool.install(|| (0..counts.rows()).into_par_iter().map(of_row).collect());
            for (result, name) in results.into_iter().zip(names) {
                take(name, result.map_err(|bad| no_count(&self.cells, &self.matrix, name, bad))?)?;
            }
            step.progress.advance(counts.rows() as u64);
        }
        Ok(())
    }
}

/// The tokens of all genes that a cell expresses, each once, without an end.
fn expressed(tokenizer: &Tokenizer, cell: CellCounts<'_>) -> Result<Vec<u32>, UnusableCount> {
    let ranked = tokenizer.rank(cell.columns, cell.counts)?;
    let mut tokens: Vec<u32> = ranked.into_iter().map(|(_, token)| token).collect();
    // Two columns of one id are two tokens of the cell.
    tokens.sort_unstable();
    tokens.dedup();
    Ok(tokens)
}

/// Training and validation cells, each in the order of their names. A name is always on the same side, in whatever file.
fn divided(
    step: &Step<'_>,
    options: &Options,
    names: Vec<String>,
    lengths: &[usize],
) -> Result<(Vec<NamedCell>, Vec<NamedCell>), NodeError> {
    let all = names.len();
    let mut cells: Vec<NamedCell> = names
        .into_iter()
        .enumerate()
        .filter(|&(row, _)| lengths[row] > 0)
        .map(|(row, name)| NamedCell { name, row })
        .collect();
    cells.sort();
    let without = all - cells.len();
    step.fact("cells", all);
    step.fact("cells_without_tokens", without);
    if without > 0 {
        step.warn(format!("{without} of {all} cells express no gene of the vocabulary and are left out"));
    }
    let (validation, train): (Vec<NamedCell>, Vec<NamedCell>) =
        cells.into_iter().partition(|cell| validates(&cell.name, options.seed, options.validation_fraction));
    if train.is_empty() {
        return Err(NodeError::data(format!("none of the {all} cells can be trained on"))
            .help("give more cells, or lower `validation_fraction` or `min_cells`"));
    }
    if validation.is_empty() && options.validation_fraction > 0.0 {
        return Err(NodeError::parameter(format!(
            "`validation_fraction: {}` of {all} cells is no cell",
            options.validation_fraction
        ))
        .help("raise it, or set it to 0 to train without a validation loss"));
    }
    Ok((train, validation))
}

fn validates(name: &str, seed: u64, fraction: f64) -> bool {
    let mut key = blake3::Hasher::new_derive_key("celldag pretrain validation 1");
    key.update(&seed.to_le_bytes());
    key.update(name.as_bytes());
    let [b0, b1, b2, b3, b4, b5, b6, b7, ..] = *key.finalize().as_bytes();
    let draw = u64::from_le_bytes([b0, b1, b2, b3, b4, b5, b6, b7]);
    ((draw >> 11) as f64 / (1_u64 << 53) as f64) < fraction
}
