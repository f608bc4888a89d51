//! The kind `embed`: tokens to one vector a cell.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};
use std::time::Instant;

use celldag_data::Table;
use celldag_engine::{InPort, Kind, KindSpec, Multiplicity, NodeError, OutPort, Param, Params, Step};
use celldag_models::{
    Adapters, CellModel, Cells, EncoderInfo, LoadEncoder, Loaded, Neighbourhood, Purpose, cell_model,
    cell_models, embed_cells,
};
use celldag_shaders::{Device, Precision};
use serde::Deserialize;
use serde_json::json;

use super::failure::Failure;
use super::tokens_file::TokensFile;
use super::{checkpoint, options, output};
use crate::artifacts::{CHECKPOINT, EMBEDDING, TOKENS};
use crate::device;

/// Tokens of a batch when nobody says: enough to keep a device busy, little enough for the caches of a processor.
const CPU_BATCH: usize = 4096;
const GPU_BATCH: usize = 32_768;

/// Tokens to vectors.
#[derive(Clone, Copy, Debug, Default)]
pub struct Embed;

#[derive(Deserialize)]
struct Options {
    model: Option<String>,
    precision: String,
    batch_tokens: Option<usize>,
}

impl Kind for Embed {
    fn spec(&self) -> KindSpec {
        KindSpec {
            name: "embed",
            epoch: 2,
            about: "runs a model over tokens and writes one vector a cell",
            inputs: vec![
                InPort { name: "tokens", ty: TOKENS, many: Multiplicity::One, about: "output of `tokenize`" },
                InPort {
                    name: "checkpoint",
                    ty: CHECKPOINT,
                    many: Multiplicity::One,
                    about: "folder of the model; must be the one the tokens were made for",
                },
            ],
            outputs: vec![OutPort {
                name: "embedding",
                ty: EMBEDDING,
                file: "embedding.h5ad",
                about: "obsm[\"X_<model>\"], obs carried over, provenance in uns[\"celldag\"]",
            }],
            params: [
                Param::choice(
                    "model",
                    &options::model_names(),
                    "must be the model of the tokens; if it is given, its options and its folder are checked before \
                     anything runs",
                )
                .optional(),
            ]
            .into_iter()
            .chain(options::computing())
            .chain(options::params(Purpose::Embed).iter().cloned())
            .collect(),
            uses_device: true,
            wants_lineage: false,
        }
    }

    fn check(&self, params: &Params) -> Vec<(String, String)> {
        options::misplaced(params, Purpose::Embed)
    }

    /// Without the parameter `model`, the model is only written in the tokens, which need not exist yet: then the files of
    /// every model that the folder could be of belong into the key.
    fn input_files(
        &self,
        port: &str,
        path: &Path,
        params: &Params,
    ) -> Result<Option<Vec<PathBuf>>, NodeError> {
        if port != "checkpoint" {
            return Ok(None);
        }
        if let Some(model) = params.get("model").and_then(|name| name.as_str()).and_then(cell_model) {
            return checkpoint::files(model, path, Purpose::Embed).map(Some);
        }
        let (mut files, mut refusals) = (BTreeSet::new(), Vec::new());
        for model in cell_models() {
            match checkpoint::files(*model, path, Purpose::Embed) {
                Ok(more) => files.extend(more),
                Err(error) => refusals.push(format!("as {}: {error}", model.name())),
            }
        }
        if files.is_empty() {
            let message =
                format!("the checkpoint is of no model that celldag knows\n{}", refusals.join("\n"));
            return Err(
                NodeError::data(message).help("`celldag models inspect DIR` says what a folder holds")
            );
        }
        Ok(Some(files.into_iter().collect()))
    }

    fn run(&self, step: &Step<'_>) -> Result<(), NodeError> {
        Ok(run(step, &step.read_params()?)?)
    }
}

fn run(step: &Step<'_>, options: &Options) -> Result<(), Failure> {
    let tokens = TokensFile::open(&step.input("tokens")?.path)?;
    let obs = tokens.obs()?;
    let checkpoint = step.input("checkpoint")?;
    let model = model(&tokens, options)?;
    let of_model = options::given(step.params, Purpose::Embed);
    of_model.expect_known(model, Purpose::Embed)?;
    let precision: Precision =
        options.precision.parse().map_err(|e| NodeError::parameter(format!("precision: {e}")))?;
    let device = device::open_in(step, precision)?;
    let adapters = Adapters::default();
    let mut loaded = Loaded::new(&device, |device| {
        model.encoder(LoadEncoder {
            checkpoint: &checkpoint.path,
            device,
            options: &of_model,
            adapters: &adapters,
        })
    })?;
    let info = loaded.encoder().info().clone();
    check_vocabulary(&tokens, &info)?;
    let batch_tokens = options.batch_tokens.unwrap_or_else(|| default_batch(&device, info.widest));
    let lengths = tokens.lengths();
    let neighbourhoods = neighbourhoods(&info.neighbourhood, &obs)?;
    step.progress.total(lengths.len() as u64, "cells");
    let started = Instant::now();
    let embedding = embed_cells(
        &mut loaded,
        Cells { lengths: &lengths, neighbourhoods: neighbourhoods.as_deref(), batch_tokens },
        |cells| -> Result<_, Failure> {
            step.check_cancelled()?;
            cells.iter().map(|&cell| Ok(tokens.cell(cell)?)).collect()
        },
        |cells| {
            step.progress.advance(cells as u64);
            Ok(())
        },
    )?;
    let seconds = started.elapsed().as_secs_f64();
    let embedded = lengths.iter().filter(|&&length| length > 0).count();
    step.fact("parameters", info.parameters);
    step.fact("variant", info.variant.clone());
    #[expect(clippy::cast_precision_loss, reason = "a speed")]
    step.execution("cells_per_second", (embedded as f64 / seconds.max(1e-9) * 100.0).round() / 100.0);
    // How much memory a batch took depends on the machine and its limit: it is said beside the result, not in it.
    step.execution("peak_memory", loaded.peak());
    let dim = info.dim;
    report(step, &obs.index, &lengths, &embedding, dim)?;
    let provenance = json!({
        "model": model.name(),
        "variant": info.variant,
        "tokens": tokens.info().tokenizer.options,
        "readout": info.options,
        "precision": options.precision,
        "dimensions": dim,
        "parameters": info.parameters,
        "checkpoint": checkpoint.digest,
        "vocabulary": info.vocabulary,
    });
    let array = format!("X_{}", model.name());
    output::write(step.output("embedding")?, &obs, &array, dim, &embedding, &provenance)?;
    Ok(())
}

/// The model of the tokens; the one that was asked for, if one was.
fn model(tokens: &TokensFile, options: &Options) -> Result<&'static dyn CellModel, NodeError> {
    let name = tokens.info().model.as_str();
    if let Some(asked) = options.model.as_deref().filter(|asked| *asked != name) {
        return Err(NodeError::parameter(format!("the tokens are of the model `{name}`, not of `{asked}`")));
    }
    cell_model(name).ok_or_else(|| {
        NodeError::data(format!("the tokens are of the model `{name}`, which is unknown here"))
    })
}

/// A number for each cell's neighbourhood, if cells are looked at together.
fn neighbourhoods(of: &Neighbourhood, obs: &Table) -> Result<Option<Vec<u32>>, NodeError> {
    let column = match of {
        Neighbourhood::Cell => return Ok(None),
        Neighbourhood::All => return Ok(Some(vec![0; obs.len()])),
        Neighbourhood::Column(name) => obs.column(name).ok_or_else(|| {
            let names: Vec<&str> = obs.columns.iter().map(|(name, _)| name.as_str()).collect();
            NodeError::parameter(format!("the cells have no column `{name}`; they have {}", names.join(", ")))
        })?,
    };
    let mut numbers: BTreeMap<String, u32> = BTreeMap::new();
    let mut of_cells = Vec::with_capacity(obs.len());
    for (cell, name) in obs.index.iter().enumerate() {
        let value = column.as_text(cell).ok_or_else(|| {
            NodeError::data(format!("cell `{name}` has no value in the column that `neighbourhood` names"))
                .help("fill the column, or leave the cell out")
        })?;
        let next = u32::try_from(numbers.len()).unwrap_or(u32::MAX);
        of_cells.push(*numbers.entry(value.into_owned()).or_insert(next));
    }
    Ok(Some(of_cells))
}

/// Wrong dictionaries are the classic mistake: ids stay in range, and only the numbers are wrong.
fn check_vocabulary(tokens: &TokensFile, model: &EncoderInfo) -> Result<(), NodeError> {
    let made_with = &tokens.info().tokenizer;
    if made_with.vocabulary == model.vocabulary {
        return Ok(());
    }
    Err(NodeError::data(format!(
        "the tokens were made with another vocabulary ({} {}, {} tokens) than the checkpoint's ({}, {} tokens)",
        tokens.info().model,
        made_with.variant,
        made_with.vocabulary_size,
        model.variant,
        model.vocabulary_size,
    ))
    .help("give `tokenize` and `embed` the same checkpoint"))
}

/// As many tokens as keep the device busy and whose widest intermediate still fits one binding of it.
pub(super) fn default_batch(device: &Device, widest: usize) -> usize {
    let busy = if device.info().backend == "cpu" { CPU_BATCH } else { GPU_BATCH };
    let fits = device.largest_unsplit_bytes() / (4 * widest.max(1) as u64);
    usize::try_from(fits).map_or(busy, |fits| busy.min(fits)).max(1)
}

fn report(
    step: &Step<'_>,
    names: &[String],
    lengths: &[usize],
    embedding: &[f32],
    dim: usize,
) -> Result<(), NodeError> {
    for ((cell, &length), row) in names.iter().zip(lengths).zip(embedding.chunks_exact(dim)) {
        if length > 0 && row.iter().any(|v| !v.is_finite()) {
            let message = format!("the embedding of cell `{cell}` is not finite");
            return Err(NodeError::failed(message).help("the weights may be damaged"));
        }
    }
    let empty = lengths.iter().filter(|&&length| length == 0).count();
    step.fact("cells", names.len());
    step.fact("dimensions", dim);
    step.fact("cells_without_tokens", empty);
    if empty > 0 {
        step.warn(format!("{empty} of {} cells have no tokens; their rows are NaN", names.len()));
    }
    Ok(())
}
