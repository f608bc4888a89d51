//! How the heads of a run were made: from the head back to the cells, by the content that went from node to node.

use std::collections::BTreeMap;
use std::path::PathBuf;

use celldag_cache::Artifact;
use celldag_engine::{Action, JobRecord, RunRecord, record::InputFrom};
use serde_json::{Map, Value};

use super::given;
use super::heads::{Chosen, choose, of_type};
use crate::failure::Failure;

/// Kinds whose heads need nothing but vectors of the checkpoint as it was published.
const HEADS_ON_FROZEN_VECTORS: [&str; 2] = ["mlp-head", "linear-head"];

/// What has to be repeated for new cells, and what it is repeated for.
pub(super) struct Training {
    /// Folders of heads, one for each job of the training.
    pub(super) heads: Vec<Artifact>,
    /// Parameters of `normalize`, if cells were normalised before they were tokenized.
    pub(super) normalize: Option<Value>,
    /// Parameters of `tokenize`.
    pub(super) tokenize: Value,
    /// Parameters of `embed`.
    pub(super) embed: Value,
    /// Folds of the training whose heads were not asked for.
    pub(super) folds_left_out: usize,
    /// Name of the node that embedded.
    pub(super) embed_node: String,
    /// Which of its jobs: axis → value.
    pub(super) embed_coordinates: BTreeMap<String, String>,
    /// Digest of the checkpoint.
    pub(super) checkpoint: String,
    /// Where it was in the run; empty in records of earlier versions.
    pub(super) checkpoint_places: Vec<PathBuf>,
    /// Genes of the vocabulary that the training cells had.
    pub(super) genes: Option<u64>,
    /// Whether `qc` left out cells or genes before the training.
    pub(super) filters: bool,
    /// Genes that all data sets of the training have, where others were left out when they were joined.
    pub(super) shared_genes: Option<u64>,
}

/// What was done to the cells before they were tokenized.
#[derive(Default)]
struct Before {
    normalize: Option<Value>,
    filters: bool,
    shared_genes: Option<u64>,
}

/// A job with its action.
pub(super) type Known<'a> = (&'a JobRecord, Action);

impl Training {
    /// Looks for the heads in a run; `wanted` says which, where there is more than one training.
    pub(super) fn find(run: &RunRecord, wanted: Option<&str>) -> Result<Self, Failure> {
        let jobs: Vec<Known<'_>> = run.jobs.iter().filter_map(|job| Some((job, job.action()?))).collect();
        let Chosen { jobs: heads, left_out } = choose(run, &jobs, wanted)?;
        let (first, action) = heads[0];
        if !HEADS_ON_FROZEN_VECTORS.contains(&first.kind.as_str()) {
            return Err(Failure::Usage {
                message: format!(
                    "the heads of `{}` were trained by `{}` together with more than a head, which this command cannot repeat",
                    first.node, first.kind
                ),
                help: Some(format!("it can for {}", HEADS_ON_FROZEN_VECTORS.join(" and "))),
            });
        }
        let embed = producer(&jobs, action, first, "embedding", "embed")?;
        if let Some(port) =
            embed.1.inputs.keys().find(|port| !["tokens", "checkpoint"].contains(&port.as_str()))
        {
            return Err(Failure::Usage {
                message: format!(
                    "`{}` of the run also read `{port}`, which this command cannot give it again",
                    embed.0.id
                ),
                help: Some("embed the new cells as the run did, and use `celldag step predict`".to_owned()),
            });
        }
        let tokenize = producer(&jobs, &embed.1, embed.0, "tokens", "tokenize")?;
        let Before { normalize, filters, shared_genes } = before(&jobs, tokenize)?;
        let checkpoint = digest(&embed.1, "checkpoint").unwrap_or_default().to_owned();
        Ok(Self {
            heads: heads.iter().flat_map(|(job, action)| of_type(job, action, "head")).cloned().collect(),
            normalize,
            tokenize: given(&tokenize.1.params),
            embed: given(&embed.1.params),
            folds_left_out: left_out,
            embed_node: embed.0.node.clone(),
            embed_coordinates: embed.0.coordinates.clone(),
            checkpoint,
            checkpoint_places: files(embed.0, "checkpoint"),
            genes: tokenize.0.summary.facts.get("vocabulary_genes_in_file").and_then(Value::as_u64),
            filters,
            shared_genes,
        })
    }
}

/// Goes back from the tokens to the cells of the user.
fn before(jobs: &[Known<'_>], tokenize: &Known<'_>) -> Result<Before, Failure> {
    let mut found = Before::default();
    let mut at = tokenize;
    while let Some(above) = digest(&at.1, "cells").and_then(|cells| maker(jobs, cells)) {
        match above.0.kind.as_str() {
            "qc" => found.filters = true,
            "concat" => found.shared_genes = shared_genes(&above.1.params, &above.0.summary.facts),
            "normalize" if found.normalize.is_none() => {
                let mut with = given(&above.1.params);
                // The median of the training cells, not that of the new ones.
                if let Some(sum) = above.0.summary.facts.get("target_sum") {
                    with["target_sum"] = sum.clone();
                }
                found.normalize = Some(with);
            }
            other => {
                return Err(Failure::Usage {
                    message: format!(
                        "the cells of the run went through `{other}` (node `{}`) before they were tokenized, which this \
                         command cannot repeat",
                        above.0.node
                    ),
                    help: Some(
                        "do the same to the new cells with `celldag step`, and predict with `celldag step predict`"
                            .to_owned(),
                    ),
                });
            }
        }
        at = above;
    }
    Ok(found)
}

/// Genes behind a `concat` that left out some, because not all data sets have them.
fn shared_genes<'a>(
    params: impl IntoIterator<Item = (&'a String, &'a Value)>,
    facts: &Map<String, Value>,
) -> Option<u64> {
    let inner = params.into_iter().any(|(name, value)| name == "join" && value == "inner");
    let lost = facts.iter().filter(|(name, _)| name.starts_with("genes_lost_"));
    let lost = lost.filter_map(|(_, count)| count.as_u64()).any(|count| count > 0);
    if inner && lost { facts.get("genes_out").and_then(Value::as_u64) } else { None }
}

/// The job of kind `kind` whose output stood on a port.
fn producer<'a>(
    jobs: &'a [Known<'a>],
    action: &Action,
    job: &JobRecord,
    port: &str,
    kind: &str,
) -> Result<&'a Known<'a>, Failure> {
    let made = digest(action, port).and_then(|digest| maker(jobs, digest));
    made.filter(|(maker, _)| maker.kind == kind).ok_or_else(|| Failure::Usage {
        message: format!(
            "`{}` of the run got its {port} from {}, not from a node `{kind}`; this command can only repeat `tokenize` and \
             `embed`",
            job.id,
            made.map_or_else(|| "a file".to_owned(), |(maker, _)| format!("a node `{}`", maker.kind))
        ),
        help: Some("make the vectors of the new cells in the same way, and use `celldag step predict`".to_owned()),
    })
}

/// The job that wrote this content.
fn maker<'a>(jobs: &'a [Known<'a>], digest: &str) -> Option<&'a Known<'a>> {
    jobs.iter().find(|(job, _)| job.outputs.values().any(|artifact| artifact.digest.to_string() == digest))
}

/// Files of the user on a port.
fn files(job: &JobRecord, port: &str) -> Vec<PathBuf> {
    let inputs = job.inputs.iter().filter(|input| input.port == port);
    let file = |from: &InputFrom| match from {
        InputFrom::File(path) => Some(path.clone()),
        InputFrom::Job { .. } => None,
    };
    inputs.filter_map(|input| file(&input.from)).collect()
}

/// Digest of the single artifact on a port.
fn digest<'a>(action: &'a Action, port: &str) -> Option<&'a str> {
    action.inputs.get(port)?.first().map(|input| input.digest.as_str())
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn genes_are_shared_where_a_join_left_out_others() {
        let genes = |join: &str, lost: u64| {
            let facts = [("genes_out", 90), ("genes_lost_a", 0), ("genes_lost_b", lost)];
            let facts = facts.into_iter().map(|(name, count)| (name.to_owned(), json!(count))).collect();
            shared_genes(&BTreeMap::from([("join".to_owned(), json!(join))]), &facts)
        };
        assert_eq!(genes("inner", 7), Some(90));
        assert_eq!(genes("inner", 0), None, "all data sets have the same genes");
        assert_eq!(genes("outer", 7), None);
    }
}
