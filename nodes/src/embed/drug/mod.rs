//! The kind `embed-drug`: SMILES to one vector a drug.
//!
//! Drugs are few and short, so their tokens are no artifact of their own as those of cells are: one node reads the table,
//! tokenizes, and embeds. What a model does not see of a drug is said in warnings, row by row where it matters.

mod output;
mod params;
mod table;

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use celldag_engine::{InPort, Kind, KindSpec, Multiplicity, NodeError, OutPort, Param, Params, Step};
use celldag_models::drug::{DrugModel, DrugTokens, Remark, drug_model, drug_models};
use celldag_models::{Adapters, Cells, LoadEncoder, Loaded};
use celldag_shaders::Precision;
use indexmap::IndexMap;
use serde::Deserialize;
use serde_json::Value;

use super::embed_cells::{default_batch, per_second};
use super::failure::{self, Failure};
use super::kept::{self, Embedded};
use super::{checkpoint, options};
use crate::artifacts::{CHECKPOINT, DRUG_EMBEDDING, DRUGS};
use crate::device;
use table::DrugTable;
pub use table::DrugTableError;

/// Drugs named in a warning.
const EXAMPLES: usize = 5;

/// SMILES to vectors.
#[derive(Clone, Copy, Debug, Default)]
pub struct EmbedDrug;

#[derive(Deserialize)]
struct Chosen {
    model: String,
    smiles: String,
    id: Option<String>,
    precision: String,
    batch_tokens: Option<usize>,
}

impl Kind for EmbedDrug {
    fn spec(&self) -> KindSpec {
        let names: Vec<&'static str> = drug_models().iter().map(|model| model.name()).collect();
        KindSpec {
            name: "embed-drug",
            epoch: 1,
            about: "runs a model over SMILES and writes one vector a drug",
            inputs: vec![
                InPort {
                    name: "drugs",
                    ty: DRUGS,
                    many: Multiplicity::One,
                    about: "one drug a row; SMILES as the model was trained on (canonical), since another spelling of a drug \
                            gives another vector",
                },
                InPort {
                    name: "checkpoint",
                    ty: CHECKPOINT,
                    many: Multiplicity::One,
                    about: "folder of the model, as published",
                },
            ],
            outputs: vec![OutPort {
                name: "embedding",
                ty: DRUG_EMBEDDING,
                file: "drugs.csv",
                about: "the rows of `drugs` in their order: id, smiles, <model>_0, <model>_1, ...; no numbers where a drug has \
                        no vector",
            }],
            params: [
                Param::choice("model", &names, "which model"),
                Param::text("smiles", "column of the SMILES; upper or lower case").default("smiles"),
                Param::text(
                    "id",
                    "column of the drugs' names; default: `id`, else `name`, else rows are numbered from 1",
                )
                .optional(),
            ]
            .into_iter()
            .chain(options::computing())
            .chain([options::allow_unused()])
            .chain(params::of_models().iter().cloned())
            .collect(),
            uses_device: true,
            wants_lineage: false,
        }
    }

    fn check(&self, values: &Params) -> Vec<(String, String)> {
        named(values)
            .map_or_else(Vec::new, |model| params::given(values).unknown_among(model.name(), model.options()))
    }

    fn resolve(&self, values: &mut Params) {
        if let Some(model) = named(values) {
            options::write_out(values, model.options());
        }
    }

    fn parts(&self, values: &Params) -> BTreeMap<String, u32> {
        named(values).map(|model| (model.name().to_owned(), model.epoch())).into_iter().collect()
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
        let name = params.get("model").and_then(Value::as_str).unwrap_or_default();
        let files = model(name)?.files(path).map_err(|e| failure::model(&e))?;
        checkpoint::relative_to(path, &files).map(Some)
    }

    fn run(&self, step: &Step<'_>) -> Result<(), NodeError> {
        let chosen: Chosen = step.read_params()?;
        Ok(run(step, model(&chosen.model)?, &chosen)?)
    }
}

fn named(values: &Params) -> Option<&'static dyn DrugModel> {
    values.get("model").and_then(Value::as_str).and_then(drug_model)
}

fn model(name: &str) -> Result<&'static dyn DrugModel, NodeError> {
    drug_model(name).ok_or_else(|| NodeError::parameter(format!("there is no model of drugs `{name}`")))
}

fn run(step: &Step<'_>, model: &dyn DrugModel, chosen: &Chosen) -> Result<(), Failure> {
    let table = DrugTable::read(&step.input("drugs")?.path, &chosen.smiles, chosen.id.as_deref())?;
    let of_model = params::given(step.params);
    if let Some((_, message)) = of_model.unknown_among(model.name(), model.options()).pop() {
        return Err(NodeError::parameter(message).into());
    }
    let checkpoint = step.input("checkpoint")?;
    let tokenizer = model.tokenizer(&checkpoint.path, &of_model)?;
    let read: Vec<DrugTokens> = table.drugs.iter().map(|drug| tokenizer.tokenize(&drug.smiles)).collect();
    report(step, &table, &read)?;
    let precision: Precision =
        chosen.precision.parse().map_err(|e| NodeError::parameter(format!("precision: {e}")))?;
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
    let batch_tokens = chosen.batch_tokens.unwrap_or_else(|| default_batch(&device, info.widest));
    let lengths: Vec<usize> = read.iter().map(|drug| drug.tokens.len()).collect();
    step.progress.total(lengths.len() as u64, "drugs");
    let drugs = Cells { lengths: &lengths, neighbourhoods: None, batch_tokens };
    let tokens = |drugs: &[usize]| Ok(drugs.iter().map(|&drug| read[drug].tokens.clone()).collect());
    let Embedded { vectors, cells: embedded, elapsed } = kept::embed(step, &mut loaded, drugs, tokens)?;
    let vectors = vectors.into_values();
    step.execution("drugs_per_second", per_second(embedded, elapsed));
    step.execution("peak_memory", loaded.peak());
    let rows = table.drugs.iter().zip(vectors.chunks_exact(info.dim.max(1)));
    for ((drug, row), &length) in rows.zip(&lengths) {
        if length > 0 && row.iter().any(|value| !value.is_finite()) {
            let message = format!("the vector of the drug `{}` is not finite", drug.id);
            return Err(NodeError::failed(message).help("the weights may be damaged").into());
        }
    }
    step.fact("dimensions", info.dim);
    step.fact("parameters", info.parameters);
    step.fact("variant", info.variant);
    step.fact("tokenizer", tokenizer.info().options.clone());
    step.fact("readout", info.options);
    step.fact("vocabulary", info.vocabulary);
    output::write(step.output("embedding")?, &table, model.name(), info.dim, &vectors)?;
    Ok(())
}

/// Says what the model does not see of the drugs: remarks of one meaning together, with some of the drugs that they are about.
fn report(step: &Step<'_>, table: &DrugTable, read: &[DrugTokens]) -> Result<(), NodeError> {
    let mut said: IndexMap<&str, Vec<String>> = IndexMap::new();
    for (drug, tokens) in table.drugs.iter().zip(read) {
        if drug.smiles.is_empty() {
            let place = format!("`{}` (line {})", drug.id, drug.line);
            said.entry("have no SMILES and get no vector").or_default().push(place);
            continue;
        }
        for remark in &tokens.remarks {
            let about = match remark {
                Remark::Nothing => format!("`{}` ({})", drug.id, drug.smiles),
                _ => format!("`{}` ({remark})", drug.id),
            };
            said.entry(remark.meaning()).or_default().push(about);
        }
    }
    let without = read.iter().filter(|drug| drug.tokens.is_empty()).count();
    step.fact("drugs", table.drugs.len());
    step.fact("drugs_without_vector", without);
    step.fact("longest_drug", read.iter().map(|drug| drug.tokens.len()).max().unwrap_or_default());
    if without == table.drugs.len() {
        let message =
            format!("{}: none of the {without} rows holds SMILES that the model knows", table.path.display());
        return Err(NodeError::data(message).help("name the column of the SMILES with `smiles`"));
    }
    for (what, drugs) in said {
        let more = if drugs.len() > EXAMPLES { ", ..." } else { "" };
        let examples = drugs.iter().take(EXAMPLES).cloned().collect::<Vec<_>>().join(", ");
        step.warn(format!("{} of {} drugs {what}: {examples}{more}", drugs.len(), table.drugs.len()));
    }
    Ok(())
}
