//! The kind `tokenize`: counts of cells to the tokens of a model.

use std::collections::BTreeMap;
use std::ops::Range;
use std::path::{Path, PathBuf};

use celldag_data::{CellsFile, CountsSource, Csr, GeneIds, MatrixRef};
use celldag_engine::{InPort, Kind, KindSpec, Multiplicity, NodeError, OutPort, Param, Params, Step, Work};
use celldag_models::{
    CellCounts, CellModel, CellTokenizer, CellTokens, Coverage, Options as ModelOptions, Purpose,
    UnusableCount, cell_model,
};
use rayon::prelude::*;
use serde::{Deserialize, Serialize};

use super::empty::Empty;
use super::failure::Failure;
use super::tokens_file::{TokensInfo, TokensWriter};
use super::{aliases, checkpoint, options, tokenize_parts};
use crate::artifacts::{CELLS, CHECKPOINT, TOKENS};

/// Cells in memory at once.
pub(crate) const CHUNK: usize = 1024;

/// Counts to tokens.
#[derive(Clone, Copy, Debug, Default)]
pub struct Tokenize;

#[derive(Deserialize)]
struct Options {
    model: String,
    counts: String,
}

impl Kind for Tokenize {
    fn spec(&self) -> KindSpec {
        KindSpec {
            name: "tokenize",
            epoch: 3,
            about: "turns raw counts into the tokens of a model",
            inputs: vec![
                InPort {
                    name: "cells",
                    ty: CELLS,
                    many: Multiplicity::One,
                    about: "raw counts of all genes, not normalised, not cut to variable genes",
                },
                InPort {
                    name: "checkpoint",
                    ty: CHECKPOINT,
                    many: Multiplicity::One,
                    about: "folder of the model; its vocabulary and configuration are read",
                },
            ],
            outputs: vec![OutPort {
                name: "tokens",
                ty: TOKENS,
                file: "tokens.safetensors",
                about: "offsets, input_ids and obs of all cells in their order",
            }],
            params: [
                Param::choice("model", &options::model_names(), "which model's tokens"),
                Param::text("counts", "matrix of raw counts: auto, X, raw/X or layers/NAME").default("auto"),
            ]
            .into_iter()
            .chain(options::params(Purpose::Tokenize).iter().cloned())
            .collect(),
            uses_device: false,
            wants_lineage: false,
        }
    }

    fn check(&self, params: &Params) -> Vec<(String, String)> {
        options::misplaced(params, Purpose::Tokenize)
    }

    fn resolve(&self, params: &mut Params) {
        options::resolve(params, Purpose::Tokenize);
    }

    fn parts(&self, params: &Params) -> BTreeMap<String, u32> {
        options::model_of(params).map(options::epoch).into_iter().collect()
    }

    fn input_files(
        &self,
        port: &str,
        path: &Path,
        params: &Params,
    ) -> Result<Option<Vec<PathBuf>>, NodeError> {
        if port != "checkpoint" {
            return Ok(None);
        }
        let name = params.get("model").and_then(|v| v.as_str()).unwrap_or_default();
        let of_model = options::given(params, Purpose::Tokenize);
        checkpoint::files(model(name)?, path, Purpose::Tokenize, &of_model).map(Some)
    }

    fn can_be_cut(&self) -> bool {
        true
    }

    fn run(&self, step: &Step<'_>) -> Result<(), NodeError> {
        let options: Options = step.read_params()?;
        let of_model = options::given(step.params, Purpose::Tokenize);
        Ok(run(step, model(&options.model)?, &options, &of_model)?)
    }
}

fn model(name: &str) -> Result<&'static dyn CellModel, NodeError> {
    cell_model(name).ok_or_else(|| NodeError::parameter(format!("there is no model `{name}`")))
}

fn run(
    step: &Step<'_>,
    model: &dyn CellModel,
    options: &Options,
    of_model: &ModelOptions,
) -> Result<(), Failure> {
    let cells = CellsFile::open(&step.input("cells")?.path)?;
    let source: CountsSource = options.counts.parse().unwrap_or_default();
    let matrix = match &source {
        _ if model.reads_counts(of_model) => cells.counts_matrix(&source)?,
        CountsSource::Auto => cells.matrix("X")?,
        CountsSource::Named(name) => cells.matrix(name)?,
    };
    let genes = GeneIds::detect(matrix.var());
    of_model.expect_known(model, Purpose::Tokenize)?;
    let mut tokenizer = model.tokenizer(&step.input("checkpoint")?.path, &genes, of_model)?;
    // Said once, and not by every shard.
    if !matches!(step.work, Work::Shard { .. }) {
        report_coverage(step, tokenizer.coverage(), &genes);
        step.fact("counts", matrix.name());
    }
    // Of all cells, whichever are tokenized here.
    if tokenizer.surveys() && !matches!(step.work, Work::Parts(_)) {
        survey(step, &cells, &matrix, tokenizer.as_mut())?;
    }
    let mut tokenize = |range| -> Result<(TokensWriter, TokensInfo, Seen), Failure> {
        let mut writer = TokensWriter::new(step.scratch, tokenizer.info())?;
        let seen = tokenize_all(step, &cells, (&matrix, range), tokenizer.as_mut(), &mut writer)?;
        let info = TokensInfo { model: model.name().to_owned(), tokenizer: tokenizer.info().clone() };
        Ok((writer, info, seen))
    };
    let (writer, info, seen) = match step.work {
        Work::Whole => tokenize(0..matrix.n_cells())?,
        Work::Parts(parts) => tokenize_parts::gather(step, parts, matrix.n_cells())?,
        Work::Shard { shard, .. } => {
            let (writer, info, seen) = tokenize(shard.range(matrix.n_cells()))?;
            return tokenize_parts::write(step, *shard, writer, &info, &seen);
        }
    };
    step.fact("cells", seen.cells);
    step.fact("tokens", seen.tokens);
    step.fact("longest_cell", seen.longest);
    if seen.cells > 0 && seen.empty.cells() == seen.cells {
        return Err(NodeError::data(format!(
            "{}: none of the {} cells has tokens for {}, so every embedding would be NaN: {}",
            cells.path().display(),
            seen.cells,
            model.name(),
            seen.empty.in_words(),
        ))
        .help("check that `counts` names the matrix with the raw counts, that the genes are those of the model's species, and that the file was not cut to a few genes")
        .into());
    }
    seen.empty.report(step, seen.cells);
    writer.finish(step.output("tokens")?, &info, cells.obs())?;
    Ok(())
}

/// What is counted over cells.
#[derive(Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Seen {
    pub(super) cells: u64,
    pub(super) tokens: u64,
    longest: usize,
    empty: Empty,
}

impl Seen {
    /// Adds what was seen in the cells behind these.
    pub(super) fn add(&mut self, behind: Self) {
        self.cells += behind.cells;
        self.tokens += behind.tokens;
        self.longest = self.longest.max(behind.longest);
        self.empty.append(behind.empty);
    }
}

fn tokenize_all(
    step: &Step<'_>,
    cells: &CellsFile,
    (matrix, range): (&MatrixRef, Range<usize>),
    tokenizer: &mut dyn CellTokenizer,
    writer: &mut TokensWriter,
) -> Result<Seen, Failure> {
    let start = if tokenizer.has_order() { 0 } else { range.start };
    let pool = rayon::ThreadPoolBuilder::new()
        .num_threads(step.threads.max(1))
        .build()
        .map_err(|e| NodeError::failed(format!("cannot start {} threads: {e}", step.threads)))?;
    step.progress.total((range.end - start) as u64, "cells");
    let mut seen = Seen::default();
    for chunk in cells.rows(matrix, CHUNK).of(start..range.end) {
        step.check_cancelled()?;
        let (first, counts) = chunk?;
        // One result a cell, in their order: the same whatever the number of threads.
        let names = &cells.obs().index[first..];
        let rows: Vec<_> = {
            let tokenizer = &*tokenizer;
            let tokens = |row| tokenizer.tokenize(&cell_counts(names, &counts, row));
            pool.install(|| (0..counts.rows()).into_par_iter().map(tokens).collect())
        };
        for (row, (result, cell)) in rows.into_iter().zip(names).enumerate() {
            let tokens = result.map_err(|bad| no_count(cells, matrix, cell, bad))?;
            let tokens: CellTokens = tokenizer.in_order(tokens);
            if first + row < range.start {
                continue;
            }
            writer.push(&tokens)?;
            seen.cells += 1;
            seen.tokens += tokens.len() as u64;
            seen.longest = seen.longest.max(tokens.len());
            if tokens.is_empty() {
                seen.empty.add(tokenizer.why_empty(&cell_counts(names, &counts, row)), cell);
            }
        }
        step.progress.advance(counts.rows() as u64);
    }
    Ok(seen)
}

/// Shows all cells to a tokenizer that must see them first.
fn survey(
    step: &Step<'_>,
    cells: &CellsFile,
    matrix: &MatrixRef,
    tokenizer: &mut dyn CellTokenizer,
) -> Result<(), Failure> {
    for chunk in cells.rows(matrix, CHUNK) {
        step.check_cancelled()?;
        let (first, counts) = chunk?;
        let names = &cells.obs().index[first..];
        for row in 0..counts.rows() {
            let cell = cell_counts(names, &counts, row);
            tokenizer.survey(&cell).map_err(|bad| no_count(cells, matrix, cell.name, bad))?;
        }
    }
    tokenizer.surveyed();
    Ok(())
}

pub(crate) fn cell_counts<'a>(names: &'a [String], counts: &'a Csr, row: usize) -> CellCounts<'a> {
    let (columns, counts) = counts.row(row);
    CellCounts { name: &names[row], columns, counts }
}

pub(crate) fn no_count(cells: &CellsFile, matrix: &MatrixRef, cell: &str, bad: UnusableCount) -> NodeError {
    NodeError::data(format!(
        "{}: cell `{cell}`, gene `{}` has the value {}, which is no count",
        cells.path().display(),
        matrix.var().index.get(bad.column).map_or("?", String::as_str),
        bad.value,
    ))
    .help("tokens are made of raw counts; name the matrix that holds them with `counts`")
}

fn report_coverage(step: &Step<'_>, coverage: &Coverage, genes: &GeneIds) {
    step.fact("genes", coverage.genes);
    step.fact("genes_matched", coverage.matched);
    step.fact("genes_summed", coverage.summed);
    step.fact("vocabulary_genes", coverage.vocabulary_genes);
    step.fact("vocabulary_genes_in_file", coverage.tokens);
    step.fact("genes_by_id", coverage.by_id);
    step.fact("genes_by_symbol", coverage.by_symbol);
    step.fact("genes_by_alias", coverage.by_alias);
    step.fact("genes_repeated", coverage.repeated);
    if genes.versions_removed > 0 {
        step.fact("id_versions_removed", genes.versions_removed);
    }
    if let Some(hint) = aliases::hint(coverage) {
        step.warn(hint);
    }
    // Few of the file's genes: wrong names or species. Few of the vocabulary's genes: a cut matrix, which shifts ranks.
    let few_of_file = 2 * coverage.matched < coverage.genes;
    let few_of_vocabulary = 2 * coverage.tokens < coverage.vocabulary_genes;
    if few_of_file && few_of_vocabulary {
        step.warn(format!(
            "only {} of the {} genes are in the vocabulary, which has {}; unknown are for example {}. Embeddings of cells \
             with missing genes differ from those of whole cells",
            coverage.matched,
            coverage.genes,
            coverage.vocabulary_genes,
            coverage.unmatched_examples.join(", "),
        ));
    } else if few_of_vocabulary {
        step.warn(format!(
            "the file has only {} of the {} genes of the vocabulary; if it was cut to variable genes, use all genes, \
             because missing ones change the embedding",
            coverage.tokens, coverage.vocabulary_genes,
        ));
    } else if few_of_file {
        step.warn(format!(
            "{} of the {} genes are not in the vocabulary, for example {}",
            coverage.genes - coverage.matched,
            coverage.genes,
            coverage.unmatched_examples.join(", "),
        ));
    }
}
