//! The kind `embed`: tokens to one vector a cell.

use std::path::{Path, PathBuf};

use celldag_engine::{InPort, Kind, KindSpec, Multiplicity, NodeError, OutPort, Param, Params, Step};
use celldag_models::{
    EmbedOptions, EncoderInfo, Loaded, Pooling, Purpose, Readout, cell_model, cell_models, embed_cells,
};
use celldag_shaders::{Device, Precision};
use serde::Deserialize;
use serde_json::json;

use super::failure::Failure;
use super::tokens_file::TokensFile;
use super::{checkpoint, output};
use crate::artifacts::{CHECKPOINT, EMBEDDING, TOKENS};
use crate::device;

/// Tokens of a batch when nobody says: enough to keep a device busy, little enough for the caches of a processor.
const CPU_BATCH: usize = 4096;
const GPU_BATCH: usize = 32_768;

/// Tokens to vectors.
#[derive(Clone, Copy, Debug, Default)]
pub struct Embed;

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Options {
    layer: Option<i32>,
    pooling: Option<String>,
    precision: String,
    batch_tokens: Option<usize>,
}

impl Kind for Embed {
    fn spec(&self) -> KindSpec {
        KindSpec {
            name: "embed",
            epoch: 1,
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
            params: vec![
                Param::int(
                    "layer",
                    "-1: output of the last layer, -2: of the one before; default: the authors' choice",
                )
                .range(-99, -1)
                .optional(),
                Param::choice(
                    "pooling",
                    &["mean", "cls"],
                    "mean of the gene tokens, or the <cls> token; default: the authors' choice",
                )
                .optional(),
                Param::choice(
                    "precision",
                    &["f32", "f32x3", "f16"],
                    "matrix products: f32; f32x3: f32 accuracy from three f16 products; f16: the fastest, rounded factors",
                )
                .default("f32"),
                Param::int("batch_tokens", "tokens computed at once; default: fits the device")
                    .range(1, 1 << 30)
                    .unit("tokens")
                    .optional()
                    .perf(),
            ],
            uses_device: true,
            wants_lineage: false,
        }
    }

    /// The model is written in the tokens, which need not exist yet; so the folder itself says whose files it holds.
    fn input_files(&self, port: &str, path: &Path, _: &Params) -> Result<Option<Vec<PathBuf>>, NodeError> {
        if port != "checkpoint" {
            return Ok(None);
        }
        let mut refusals = Vec::new();
        for model in cell_models() {
            match checkpoint::files(*model, path, Purpose::Embed) {
                Ok(files) => return Ok(Some(files)),
                Err(error) => refusals.push(format!("as {}: {error}", model.name())),
            }
        }
        let message = format!("the checkpoint is of no model that celldag knows\n{}", refusals.join("\n"));
        Err(NodeError::data(message).help("`celldag models inspect DIR` says what a folder holds"))
    }

    fn run(&self, step: &Step<'_>) -> Result<(), NodeError> {
        Ok(run(step, &step.read_params()?)?)
    }
}

fn run(step: &Step<'_>, options: &Options) -> Result<(), Failure> {
    let tokens = TokensFile::open(&step.input("tokens")?.path)?;
    let obs = tokens.obs()?;
    let checkpoint = step.input("checkpoint")?;
    let name = tokens.info().model.as_str();
    let model = cell_model(name).ok_or_else(|| {
        NodeError::data(format!("the tokens are of the model `{name}`, which is unknown here"))
    })?;
    let precision: Precision =
        options.precision.parse().map_err(|e| NodeError::parameter(format!("precision: {e}")))?;
    let device = device::open_in(step, precision)?;
    let mut loaded = Loaded::new(&device, |device| model.encoder(&checkpoint.path, device))?;
    let info = loaded.encoder().info().clone();
    check_vocabulary(&tokens, &info)?;
    let readout = readout(options, info.default_readout);
    let batch_tokens = options.batch_tokens.unwrap_or_else(|| default_batch(&device, info.widest));
    let lengths = tokens.lengths();
    step.progress.total(lengths.len() as u64, "cells");
    let embedding = embed_cells(
        &mut loaded,
        &lengths,
        EmbedOptions { readout, batch_tokens },
        |cells| -> Result<_, Failure> {
            step.check_cancelled()?;
            cells.iter().map(|&cell| Ok(tokens.cell(cell)?)).collect()
        },
        |cells| {
            step.progress.advance(cells as u64);
            Ok(())
        },
    )?;
    // How much memory a batch took depends on the machine and its limit: it is said beside the result, not in it.
    step.execution("peak_memory", loaded.peak());
    let dim = info.dim;
    report(step, &obs.index, &lengths, &embedding, dim)?;
    let provenance = json!({
        "model": name,
        "variant": info.variant,
        "layer": readout.layer,
        "pooling": pooling_name(readout.pooling),
        "precision": options.precision,
        "dimensions": dim,
        "checkpoint": checkpoint.digest,
        "vocabulary": info.vocabulary,
    });
    output::write(step.output("embedding")?, &obs, &format!("X_{name}"), dim, &embedding, &provenance)?;
    Ok(())
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

fn readout(options: &Options, default: Readout) -> Readout {
    let pooling = match options.pooling.as_deref() {
        Some("mean") => Pooling::Mean,
        Some("cls") => Pooling::Cls,
        _ => default.pooling,
    };
    Readout { layer: options.layer.unwrap_or(default.layer), pooling }
}

fn pooling_name(pooling: Pooling) -> &'static str {
    match pooling {
        Pooling::Mean => "mean",
        Pooling::Cls => "cls",
    }
}

/// As many tokens as keep the device busy and whose widest intermediate still fits one binding of it.
fn default_batch(device: &Device, widest: usize) -> usize {
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
