//! `pipelines/compare_models.yaml`: one axis takes the same cells through every cell model; `models inspect` knows them all.

use std::path::{Path, PathBuf};

use serde_json::Value;

use crate::sandbox::{Sandbox, fixtures, repository};

/// Model and the fixture whose checkpoint stands in for a download.
const MODELS: &[(&str, &str)] = &[
    ("celllm", "celllm"),
    ("cellplm", "cellplm"),
    ("geneformer", "geneformer-v1"),
    ("llama", "llama"),
    ("scbert", "scbert"),
    ("scfoundation", "scfoundation"),
    ("scgpt", "scgpt"),
    ("tgpt", "tgpt"),
    ("uce", "uce"),
];

/// The folder that a user would have: one checkpoint for each model, by its name. Paths of the dictionaries of Geneformer
/// lead out of the folder of its weights, so the folders are links.
fn checkpoints(sandbox: &Sandbox, fixtures: &Path) -> PathBuf {
    let folder = sandbox.join("models");
    fs_err::create_dir_all(&folder).expect("folder");
    for (model, fixture) in MODELS {
        let published = fixtures.join("golden").join(fixture).join("checkpoint");
        fs_err::os::unix::fs::symlink(published, folder.join(model)).expect("link");
    }
    folder
}

fn json(text: &str) -> Value {
    serde_json::from_str(text).expect("JSON on stdout")
}

#[test]
fn one_axis_embeds_the_same_cells_with_every_model() {
    let Some(fixtures) = fixtures() else { return };
    let sandbox = Sandbox::new();
    let folder = checkpoints(&sandbox, &fixtures);
    // A copy of the file, so that its store and results stay in the sandbox.
    fs_err::copy(repository().join("pipelines/compare_models.yaml"), sandbox.join("compare.yaml"))
        .expect("copy");
    let names: Vec<&str> = MODELS.iter().map(|(model, _)| *model).collect();
    let sets = [
        format!("cells={}", fixtures.join("golden/scgpt/input.h5ad").display()),
        format!("checkpoints={}", folder.display()),
        // Weights of a text encoder are not among the fixtures.
        format!("models=[{}]", names.join(", ")),
    ];
    let mut args = vec!["run", "compare.yaml", "--device", "cpu"];
    args.extend(sets.iter().flat_map(|set| ["--set", set]));
    sandbox.ok(&args);
    let rows = json(&sandbox.ok(&["runs", "table", "--kind", "embed", "--json"]).stdout);
    let rows = rows.as_array().expect("rows");
    let models: Vec<&str> = rows.iter().filter_map(|row| row["model"].as_str()).collect();
    assert_eq!(models, names);
    for row in rows {
        for column in ["parameters", "dimensions", "cells_per_second", "peak_memory", "cells", "seconds"] {
            assert!(row[column].as_f64().is_some_and(|value| value > 0.0), "{column} of {row}");
        }
    }
    for (model, _) in MODELS {
        let written = sandbox.join("results/compare_models").join(format!("{model}.h5ad"));
        assert!(written.is_file(), "{}", written.display());
    }
}

#[test]
fn inspect_names_the_model_of_every_checkpoint() {
    let Some(fixtures) = fixtures() else { return };
    let sandbox = Sandbox::new();
    let drugs = [("chemberta", "chemberta_77m"), ("chemberta", "chemberta_zinc"), ("molformer", "molformer")];
    for (model, fixture) in MODELS.iter().chain(&drugs) {
        let folder = fixtures.join("golden").join(fixture).join("checkpoint");
        let found =
            json(&sandbox.ok(&["models", "inspect", folder.to_str().expect("path"), "--json"]).stdout);
        let models = found["models"].as_array().expect("models");
        let complete: Vec<&str> = models
            .iter()
            .filter(|seen| seen["state"] == "complete")
            .filter_map(|seen| seen["model"].as_str())
            .collect();
        assert_eq!(complete, [*model], "{fixture}");
    }
}
