//! What `predict` does: check that vectors and heads fit, score, write.

use celldag_engine::{NodeError, Step};
use celldag_shaders::Device;
use serde_json::Value;

use super::heads::Heads;
use super::kind::Options;
use super::table::{Scored, write};
use crate::learn::mlp::{Embedding, FeatureRows};

/// A number of genes that differs by more than this share from that of the training is warned about.
const GENES_DIFFER: f64 = 0.05;

pub(super) fn run(step: &Step<'_>, options: &Options) -> Result<(), NodeError> {
    let heads = Heads::read(step.gathered("head"))?;
    let embedding = embedding(step, options, &heads)?;
    warn_of_genes(step, options);
    let known: Vec<usize> = (0..embedding.ids.len()).filter(|&row| embedding.is_finite(row)).collect();
    let cells = FeatureRows {
        ids: known.iter().map(|&row| embedding.ids[row].clone()).collect(),
        dim: embedding.dim,
        values: known.iter().flat_map(|&row| embedding.vector(row).iter().copied()).collect(),
    };
    let device = Device::cpu(step.threads).map_err(|e| NodeError::device(e.to_string()))?;
    step.progress.total(heads.folds.len() as u64, "folds");
    let mut by_fold = Vec::with_capacity(heads.folds.len());
    for head in &heads.folds {
        step.check_cancelled()?;
        by_fold.push(heads.scores(head, &device, &cells)?);
        step.progress.advance(1);
    }
    let missing = embedding.ids.len() - known.len();
    step.fact("cells", embedding.ids.len());
    step.fact("cells_without_vector", missing);
    step.fact("folds", heads.folds.len());
    if missing > 0 {
        step.warn(format!(
            "{missing} of {} cells have no vector, because the model knows none of their genes; they stay without prediction",
            embedding.ids.len()
        ));
    }
    let scored = Scored { ids: &embedding.ids, known: &known, by_fold: &by_fold, heads: &heads };
    write(step.output("predictions")?, &scored)
}

/// The vectors, if they are such as the heads were trained on.
fn embedding(step: &Step<'_>, options: &Options, heads: &Heads) -> Result<Embedding, NodeError> {
    const HELP: &str =
        "embed the cells with the model, checkpoint and options of the training; `celldag predict` does so";
    let architecture = &heads.info.architecture;
    let embedding = Embedding::read(&step.input("embedding")?.path, Some(&architecture.embedding))
        .map_err(|e| NodeError { help: Some(HELP.to_owned()), ..e })?;
    if Some(&embedding.dim) != architecture.widths.first() {
        return Err(NodeError::data(format!(
            "obsm/{} has {} dimensions, the head takes {}",
            embedding.key,
            embedding.dim,
            architecture.widths.first().copied().unwrap_or_default()
        ))
        .help(HELP));
    }
    let made_with = embedding.provenance["checkpoint"].as_str();
    match (options.checkpoint.as_deref(), made_with) {
        (Some(wanted), found) if found != Some(wanted) => Err(NodeError::data(format!(
            "the vectors were made with another checkpoint ({}) than those that the head was trained on ({wanted})",
            found.unwrap_or("not recorded")
        ))
        .help(HELP)),
        _ => Ok(embedding),
    }
}

/// Fewer genes than in training shift every vector, and nothing else would show it.
fn warn_of_genes(step: &Step<'_>, options: &Options) {
    let Some(trained) = options.training_genes else { return };
    let facts = step.lineage.as_array().into_iter().flatten();
    let found = facts
        .filter(|node| node["kind"] == "tokenize")
        .find_map(|node| node["facts"].get("vocabulary_genes_in_file").and_then(Value::as_u64));
    let Some(found) = found else { return };
    step.fact("vocabulary_genes_in_file", found);
    step.fact("vocabulary_genes_in_training", trained);
    if found.abs_diff(trained) as f64 > GENES_DIFFER * trained as f64 {
        step.warn(format!(
            "the cells have {found} genes of the model's vocabulary, those of the training had {trained}: scores may be \
             shifted. Use all genes of both, measured alike"
        ));
    }
}
