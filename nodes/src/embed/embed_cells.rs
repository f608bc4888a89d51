//! The kind `embed`: tokens to one vector a cell.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};
use std::time::Duration;

use celldag_data::Table;
use celldag_engine::{InPort, Kind, KindSpec, Multiplicity, NodeError, OutPort, Params, Shard, Step, Work};
use celldag_models::{
    CellModel, Cells, EncoderInfo, LoadEncoder, Loaded, Neighbourhood, PeftAdapter, Purpose, Vectors,
    cell_model,
};
use celldag_shaders::{Device, Precision};
use serde::Deserialize;
use serde_json::json;

use super::embed_parts::{self, Described};
use super::failure::Failure;
use super::kept::{self, Embedded};
use super::tokens_file::TokensFile;
use super::{adapter, checkpoint, options, output};
use crate::artifacts::{ADAPTER, CHECKPOINT, EMBEDDING, TOKENS};
use crate::device;

/// Tokens of a batch when nobody says: enough to keep a device busy, little enough for the caches of a processor.
const CPU_BATCH: usize = 4096;
const GPU_BATCH: usize = 32_768;

/// The column by which CellPLM's own embedding pipeline divides cells.
const BATCH: &str = "batch";

/// Tokens to vectors.
#[derive(Clone, Copy, Debug, Default)]
pub struct Embed;

#[derive(Deserialize)]
struct Options {
    model: Option<String>,
    precision: String,
    batch_tokens: Option<usize>,
    allow_unused: Vec<String>,
}

impl Kind for Embed {
    fn spec(&self) -> KindSpec {
        KindSpec {
            name: "embed",
            epoch: 3,
            about: "runs a model over tokens and writes one vector a cell",
            inputs: vec![
                InPort { name: "tokens", ty: TOKENS, many: Multiplicity::One, about: "output of `tokenize`" },
                InPort {
                    name: "checkpoint",
                    ty: CHECKPOINT,
                    many: Multiplicity::One,
                    about: "folder of the model; must be the one the tokens were made for",
                },
                InPort {
                    name: "adapter",
                    ty: ADAPTER,
                    many: Multiplicity::Optional,
                    about: "PEFT folder laid over the model: of `lora-train` or Hugging Face peft",
                },
            ],
            outputs: vec![OutPort {
                name: "embedding",
                ty: EMBEDDING,
                file: "embedding.h5ad",
                about: "obsm[\"X_<model>\"], obs carried over, provenance in uns[\"celldag\"]",
            }],
            params: options::of_encoder().collect(),
            uses_device: true,
            wants_lineage: false,
        }
    }

    fn check(&self, params: &Params) -> Vec<(String, String)> {
        options::misplaced(params, Purpose::Embed)
    }

    fn resolve(&self, params: &mut Params) {
        options::resolve(params, Purpose::Embed);
    }

    fn parts(&self, params: &Params) -> BTreeMap<String, u32> {
        options::epochs(params)
    }

    fn input_files(
        &self,
        port: &str,
        path: &Path,
        params: &Params,
    ) -> Result<Option<Vec<PathBuf>>, NodeError> {
        match port {
            "checkpoint" => checkpoint::files_of_any(path, params).map(Some),
            "adapter" => adapter::files(path).map(Some),
            _ => Ok(None),
        }
    }

    fn can_be_cut(&self) -> bool {
        true
    }

    fn run(&self, step: &Step<'_>) -> Result<(), NodeError> {
        Ok(run(step, &step.read_params()?)?)
    }
}

fn run(step: &Step<'_>, options: &Options) -> Result<(), Failure> {
    let tokens = TokensFile::open(&step.input("tokens")?.path)?;
    let obs = tokens.obs()?;
    let model = model(&tokens, options.model.as_deref())?;
    let (described, vectors) = match step.work {
        Work::Parts(parts) => {
            let (described, vectors) = embed_parts::gather(step, parts, &tokens)?;
            if let Some(warning) = &described.warning {
                step.warn(warning.clone());
            }
            (described, vectors)
        }
        Work::Whole => {
            let (described, vectors, _) = compute(step, options, (&tokens, &obs), model, None)?;
            (described, vectors)
        }
        Work::Shard { shard, .. } => {
            let (described, vectors, mine) = compute(step, options, (&tokens, &obs), model, Some(*shard))?;
            return embed_parts::write(step, *shard, &described, &vectors, (&mine, &obs.index));
        }
    };
    step.fact("parameters", described.parameters);
    step.fact("variant", described.variant.clone());
    let embedding = vectors.into_values();
    report(step, &obs.index, &tokens.lengths(), &embedding, described.dim)?;
    write(step, options, (&tokens, &obs), model, &described, &embedding)
}

/// Loads the model and embeds the cells of the shard, all without one. The third are their numbers.
fn compute(
    step: &Step<'_>,
    options: &Options,
    (tokens, obs): (&TokensFile, &Table),
    model: &dyn CellModel,
    shard: Option<Shard>,
) -> Result<(Described, Vectors, Vec<usize>), Failure> {
    let checkpoint = step.input("checkpoint")?;
    let of_model = options::given(step.params, Purpose::Embed);
    of_model.expect_known(model, Purpose::Embed)?;
    let precision: Precision =
        options.precision.parse().map_err(|e| NodeError::parameter(format!("precision: {e}")))?;
    let device = device::open_in(step, precision)?;
    let adapter = step.optional_input("adapter");
    let peft = adapter.map(|input| adapter::find(&input.path)).transpose()?;
    let peft = peft.map(|folder| PeftAdapter::read(&folder)).transpose()?;
    let mut loaded = Loaded::new(&device, |device| {
        let adapters = peft.as_ref().map(|peft| peft.adapters(device)).transpose()?.unwrap_or_default();
        model.encoder(LoadEncoder {
            checkpoint: &checkpoint.path,
            device,
            options: &of_model,
            adapters: &adapters,
        })
    })?;
    let info = loaded.encoder().info().clone();
    check_vocabulary(tokens, &info)?;
    let batch_tokens = options.batch_tokens.unwrap_or_else(|| default_batch(&device, info.widest));
    let (lengths, together) = (tokens.lengths(), neighbourhoods(&info.neighbourhood, obs)?);
    let mine: Vec<usize> = match shard {
        Some(shard) => embed_parts::of_shard(shard, lengths.len(), together.as_deref()),
        None => (0..lengths.len()).collect(),
    };
    let lengths: Vec<usize> = mine.iter().map(|&cell| lengths[cell]).collect();
    let neighbourhoods: Option<Vec<u32>> =
        together.map(|together| mine.iter().map(|&cell| together[cell]).collect());
    let warning = batches_together(model, &info.neighbourhood, obs);
    if let Some(warning) = &warning {
        step.warn(warning.clone());
    }
    step.progress.total(lengths.len() as u64, "cells");
    let cells = Cells { lengths: &lengths, neighbourhoods: neighbourhoods.as_deref(), batch_tokens };
    let read =
        |cells: &[usize]| Ok(cells.iter().map(|&row| tokens.cell(mine[row])).collect::<Result<_, _>>()?);
    let Embedded { vectors, cells: embedded, elapsed } = kept::embed(step, &mut loaded, cells, read)?;
    step.execution("cells_per_second", per_second(embedded, elapsed));
    // How much memory a batch took depends on the machine and its limit: it is said beside the result, not in it.
    step.execution("peak_memory", loaded.peak());
    let described = Described {
        variant: info.variant,
        vocabulary: info.vocabulary,
        options: info.options,
        parameters: info.parameters,
        dim: info.dim,
        warning,
    };
    Ok((described, vectors, mine))
}

fn write(
    step: &Step<'_>,
    options: &Options,
    (tokens, obs): (&TokensFile, &Table),
    model: &dyn CellModel,
    described: &Described,
    embedding: &[f32],
) -> Result<(), Failure> {
    let mut provenance = json!({
        "model": model.name(),
        "variant": described.variant,
        "tokens": tokens.info().tokenizer.options,
        "readout": described.options,
        "precision": options.precision,
        "dimensions": described.dim,
        "parameters": described.parameters,
        "checkpoint": step.input("checkpoint")?.digest,
        "vocabulary": described.vocabulary,
        "allow_unused": options.allow_unused,
    });
    if let Some(adapter) = step.optional_input("adapter") {
        provenance["adapter"] = adapter.digest.as_str().into();
    }
    let array = format!("X_{}", model.name());
    output::write(step.output("embedding")?, obs, &array, described.dim, embedding, &provenance)?;
    Ok(())
}

/// So many in so long, to four digits behind the point.
pub(super) fn per_second(count: usize, elapsed: Duration) -> f64 {
    #[expect(clippy::cast_precision_loss, reason = "a speed")]
    let speed = count as f64 / elapsed.as_secs_f64().max(1e-9);
    (speed * 1e4).round() / 1e4
}

/// The model of the tokens; the one that was asked for, if one was.
pub(crate) fn model(tokens: &TokensFile, asked: Option<&str>) -> Result<&'static dyn CellModel, NodeError> {
    let name = tokens.info().model.as_str();
    if let Some(asked) = asked.filter(|asked| *asked != name) {
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

/// What to say when cells of several batches are looked at together by a model whose published code keeps batches apart
/// (CellPLM's `obs["batch"]`): the same file gives other vectors there.
fn batches_together(model: &dyn CellModel, of: &Neighbourhood, obs: &Table) -> Option<String> {
    if *of != Neighbourhood::All {
        return None;
    }
    let column = obs.column(BATCH)?;
    let distinct: BTreeSet<_> = (0..obs.len()).filter_map(|cell| column.as_text(cell)).collect();
    (distinct.len() > 1).then(|| {
        format!(
            "all cells are one neighbourhood though obs has a column `{BATCH}` of {} values, by which the published code of {} \
             divides them; `neighbourhood: obs:{BATCH}` does as it does",
            distinct.len(),
            model.name()
        )
    })
}

/// Wrong dictionaries are the classic mistake: ids stay in range, and only the numbers are wrong.
pub(crate) fn check_vocabulary(tokens: &TokensFile, model: &EncoderInfo) -> Result<(), NodeError> {
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
pub(crate) fn default_batch(device: &Device, widest: usize) -> usize {
    let busy = if device.info().backend == "cpu" { CPU_BATCH } else { GPU_BATCH };
    let fits = device.largest_unsplit_bytes() / (4 * widest.max(1) as u64);
    usize::try_from(fits).map_or(busy, |fits| busy.min(fits)).max(1)
}

/// Fails when a vector holds what is no number.
pub(super) fn check_finite(cell: &str, row: &[f32]) -> Result<(), NodeError> {
    if row.iter().all(|v| v.is_finite()) {
        return Ok(());
    }
    let message = format!("the embedding of cell `{cell}` is not finite");
    Err(NodeError::failed(message).help("the weights may be damaged"))
}

fn report(
    step: &Step<'_>,
    names: &[String],
    lengths: &[usize],
    embedding: &[f32],
    dim: usize,
) -> Result<(), NodeError> {
    for ((cell, &length), row) in names.iter().zip(lengths).zip(embedding.chunks_exact(dim)) {
        if length > 0 {
            check_finite(cell, row)?;
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
