//! The kind `embed-genes`: tokens to one vector a gene, the mean over the cells.

mod output;

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use celldag_engine::{InPort, Kind, KindSpec, Multiplicity, NodeError, OutPort, Param, Params, Step};
use celldag_models::{
    Adapters, CellModel, GeneEncoder, LoadEncoder, Loaded, MeanVectors, Options, Purpose, cell_model,
    mean_over_cells, models_of_genes,
};
use celldag_shaders::Precision;
use serde::Deserialize;
use serde_json::{Value, json};

use super::embed_cells::check_vocabulary;
use super::failure::Failure;
use super::tokens_file::TokensFile;
use super::{checkpoint, options};
use crate::artifacts::{CHECKPOINT, GENE_EMBEDDING, TOKENS};
use crate::device;

/// Tokens to vectors of genes.
#[derive(Clone, Copy, Debug, Default)]
pub struct EmbedGenes;

#[derive(Deserialize)]
struct Chosen {
    model: String,
    precision: String,
    allow_unused: Vec<String>,
}

impl Kind for EmbedGenes {
    fn spec(&self) -> KindSpec {
        let [precision, _] = options::computing();
        KindSpec {
            name: "embed-genes",
            epoch: 1,
            about: "runs a model over tokens and writes one vector a gene, the mean over the cells",
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
                ty: GENE_EMBEDDING,
                file: "genes.h5ad",
                about: "a row a gene: obsm[\"X_<model>\"], obs[\"cells\"] says over how many cells the mean is, provenance in \
                        uns[\"celldag\"]",
            }],
            params: [
                Param::choice("model", &models_of_genes(), "which model; the tokens must be its"),
                precision,
                options::allow_unused(),
            ]
            .into_iter()
            .chain(options::gene_params().iter().cloned())
            .collect(),
            uses_device: true,
            wants_lineage: false,
        }
    }

    fn check(&self, values: &Params) -> Vec<(String, String)> {
        let Some(model) = options::model_of(values) else { return Vec::new() };
        given(values).unknown_among(model.name(), model.gene_options().unwrap_or_default())
    }

    fn resolve(&self, values: &mut Params) {
        if let Some(model) = options::model_of(values) {
            options::write_out(values, model.gene_options().unwrap_or_default());
        }
    }

    fn parts(&self, values: &Params) -> BTreeMap<String, u32> {
        options::model_of(values).map(options::epoch).into_iter().collect()
    }

    fn input_files(
        &self,
        port: &str,
        path: &Path,
        values: &Params,
    ) -> Result<Option<Vec<PathBuf>>, NodeError> {
        if port != "checkpoint" {
            return Ok(None);
        }
        let name = values.get("model").and_then(Value::as_str).unwrap_or_default();
        checkpoint::files(model(name)?, path, Purpose::Embed, &given(values)).map(Some)
    }

    fn run(&self, step: &Step<'_>) -> Result<(), NodeError> {
        let chosen: Chosen = step.read_params()?;
        Ok(run(step, model(&chosen.model)?, &chosen)?)
    }
}

fn model(name: &str) -> Result<&'static dyn CellModel, NodeError> {
    cell_model(name).ok_or_else(|| NodeError::parameter(format!("there is no model `{name}`")))
}

fn given(values: &Params) -> Options {
    options::of_params(options::gene_params(), values)
}

fn run(step: &Step<'_>, model: &dyn CellModel, chosen: &Chosen) -> Result<(), Failure> {
    let tokens = TokensFile::open(&step.input("tokens")?.path)?;
    let of_tokens = tokens.info().model.as_str();
    if of_tokens != model.name() {
        let message = format!("the tokens are of the model `{of_tokens}`, not of `{}`", model.name());
        let offered = models_of_genes().join(", ");
        let help = format!("vectors of genes come from {offered}; make tokens of it with `tokenize`");
        return Err(NodeError::parameter(message).help(help).into());
    }
    let checkpoint = step.input("checkpoint")?;
    let of_model = given(step.params);
    let precision: Precision =
        chosen.precision.parse().map_err(|e| NodeError::parameter(format!("precision: {e}")))?;
    let device = device::open_in(step, precision)?;
    let adapters = Adapters::default();
    let mut loaded = Loaded::<dyn GeneEncoder>::new(&device, |device| {
        let options = &of_model;
        model.gene_encoder(LoadEncoder { checkpoint: &checkpoint.path, device, options, adapters: &adapters })
    })?;
    let info = loaded.encoder().info().clone();
    check_vocabulary(&tokens, &info)?;
    let lengths = tokens.lengths();
    step.progress.total(lengths.len() as u64, "cells");
    let cells = (0..lengths.len()).map(|cell| -> Result<_, Failure> {
        step.check_cancelled()?;
        Ok(tokens.cell(cell)?)
    });
    let mean = mean_over_cells(&mut loaded, cells, || {
        step.progress.advance(1);
        Ok::<_, Failure>(())
    })?;
    step.execution("peak_memory", loaded.peak());
    let genes = loaded.encoder().genes();
    report(step, genes, &lengths, &mean, info.dim)?;
    step.fact("dimensions", info.dim);
    step.fact("parameters", info.parameters);
    step.fact("variant", info.variant.clone());
    let provenance = json!({
        "model": model.name(),
        "variant": info.variant,
        "tokens": tokens.info().tokenizer.options,
        "readout": info.options,
        "over": "mean over cells",
        "precision": chosen.precision,
        "dimensions": info.dim,
        "parameters": info.parameters,
        "checkpoint": checkpoint.digest,
        "vocabulary": info.vocabulary,
        "allow_unused": chosen.allow_unused,
    });
    let array = format!("X_{}", model.name());
    output::write(step.output("embedding")?, genes, &array, info.dim, &mean, &provenance)?;
    Ok(())
}

fn report(
    step: &Step<'_>,
    genes: &[String],
    lengths: &[usize],
    mean: &MeanVectors,
    dim: usize,
) -> Result<(), NodeError> {
    let empty = lengths.iter().filter(|&&length| length == 0).count();
    if empty == lengths.len() {
        let message = format!("none of the {empty} cells has tokens, so no gene has a vector");
        return Err(NodeError::data(message).help("see the warnings of `tokenize`"));
    }
    let rows = mean.values.chunks_exact(dim.max(1)).zip(&mean.cells);
    for ((row, &cells), gene) in rows.zip(genes) {
        if cells > 0 && row.iter().any(|value| !value.is_finite()) {
            let message = format!("the vector of the gene `{gene}` is not finite");
            return Err(NodeError::failed(message).help("the weights may be damaged"));
        }
    }
    let unseen = mean.cells.iter().filter(|&&cells| cells == 0).count();
    step.fact("genes", genes.len());
    step.fact("genes_without_vector", unseen);
    step.fact("cells", lengths.len() - empty);
    step.fact("cells_without_tokens", empty);
    if empty > 0 {
        step.warn(format!("{empty} of {} cells have no tokens and do not count", lengths.len()));
    }
    if unseen > 0 {
        let all = genes.len();
        step.warn(format!("{unseen} of {all} genes have a vector in no cell; their rows are NaN"));
    }
    Ok(())
}
