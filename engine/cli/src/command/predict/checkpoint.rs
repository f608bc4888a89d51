//! The checkpoint whose vectors the heads were trained on: where it is now, by its content. A run records where its inputs
//! were, but folders move, and what lies there may have changed.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

use celldag_cache::Store;
use celldag_engine::{LoadOptions, Params, Pipeline, Source};

use super::training::Training;
use crate::failure::Failure;
use crate::kinds::{find, registry};

/// The folder that the user named, if it has the content of the training.
pub(super) fn named(folder: &Path, training: &Training, store: &Store) -> Result<PathBuf, Failure> {
    let found = digest(folder, training, store)?;
    if found == training.checkpoint {
        return Ok(folder.to_path_buf());
    }
    Err(Failure::Data(format!(
        "{} is another checkpoint (content {found}) than the one whose vectors the head was trained on (content {}): a head \
         says nothing about vectors of other weights",
        folder.display(),
        training.checkpoint
    )))
}

/// The folder that the run read, else one that the pipeline file names, which may be any of `files`: of all its models and
/// profiles the one with the content of the training.
pub(super) fn recorded(files: &[PathBuf], training: &Training, store: &Store) -> Result<PathBuf, Failure> {
    let named = files.iter().flat_map(|file| {
        celldag_engine::load(file, None, &registry(), &LoadOptions::default())
            .map(|pipeline| places(&pipeline, training))
            .unwrap_or_default()
    });
    let mut looked: Vec<PathBuf> = Vec::new();
    for place in training.checkpoint_places.iter().cloned().chain(named) {
        if looked.contains(&place) {
            continue;
        }
        // A folder that is no checkpoint of this model is not the one that is looked for.
        if place.exists() && digest(&place, training, store).is_ok_and(|found| found == training.checkpoint) {
            return Ok(place);
        }
        looked.push(place);
    }
    let node = &training.embed_node;
    let looked = looked.iter().map(|place| place.display().to_string()).collect::<Vec<_>>().join(", ");
    Err(Failure::Usage {
        message: if looked.is_empty() {
            format!("where the checkpoint of the node `{node}` is now is not known")
        } else {
            format!("the checkpoint that the node `{node}` read in the run is not at {looked} now")
        },
        help: Some(
            "name its folder with --checkpoint DIR; it must have the content that it had in the run"
                .to_owned(),
        ),
    })
}

/// Folders on the port `checkpoint` of the node: first that of the same model and data set as in the run.
fn places(pipeline: &Pipeline, training: &Training) -> Vec<PathBuf> {
    let (mut same, mut others) = (Vec::new(), BTreeSet::new());
    for job in pipeline.jobs.iter().filter(|job| job.node == training.embed_node) {
        for input in job.inputs.iter().filter(|input| input.port == "checkpoint") {
            match &input.source {
                Source::Path(path) if *job.coordinates == training.embed_coordinates => {
                    same.push(path.clone());
                }
                Source::Path(path) => {
                    others.insert(path.clone());
                }
                Source::Job { .. } => {}
            }
        }
    }
    others.retain(|path| !same.contains(path));
    same.into_iter().chain(others).collect()
}

/// Digest of a checkpoint as `embed` reads it.
fn digest(folder: &Path, training: &Training, store: &Store) -> Result<String, Failure> {
    let registry = registry();
    let folder = std::path::absolute(folder)?;
    let params = Params(training.embed.as_object().cloned().unwrap_or_default());
    let files = find(&registry, "embed")?
        .kind
        .input_files("checkpoint", &folder, &params)
        .map_err(|e| Failure::Data(format!("{}: {e}", folder.display())))?;
    Ok(store.digest_path(&folder, files.as_deref())?.0.to_string())
}
