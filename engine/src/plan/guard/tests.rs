use std::path::PathBuf;

use serde_json::json;

use crate::error::{EngineError, ExitClass};
use crate::events::Quiet;
use crate::pipeline::Pipeline;
use crate::plan::{PlanOptions, plan};
use crate::run::{RunOptions, run};
use crate::step::Cancel;
use crate::world::{World, options};

const CELLS: &str = "1\n5\n9\n";

fn world() -> World {
    let world = World::new();
    world.write("cells.txt", CELLS);
    world
}

/// Writes `qc.cells` to each of `outputs`.
fn pipeline(world: &World, outputs: &[&str]) -> Pipeline {
    let mut build = world.build().job("qc", "keep", json!({ "min": 2 }), &[("cells", "cells.txt")]);
    for path in outputs {
        build = build.output(path, "cells");
    }
    build.done()
}

/// Plan and run must refuse alike, with exit code 2, before anything is computed; returns the message.
fn refused(world: &World, pipeline: &Pipeline, out: Option<PathBuf>) -> String {
    let planned = plan(pipeline, &world.store, &PlanOptions { out: out.clone(), ..PlanOptions::default() });
    let error = planned.expect_err("the plan refuses");
    let ran = run(pipeline, &world.store, &RunOptions { out, ..options() }, &Quiet, &Cancel::new());
    let again = ran.expect_err("the run refuses");
    assert_eq!(error.to_string(), again.to_string());
    assert!(matches!(again, EngineError::Overwrites(_)), "{again}");
    assert_eq!(again.exit_class(), ExitClass::Usage);
    assert!(again.help().is_some());
    assert!(world.ran().is_empty());
    assert_eq!(fs_err::read_to_string(world.path("cells.txt")).unwrap(), CELLS, "the input is intact");
    error.to_string().replace(&world.dir.path().display().to_string(), "FOLDER")
}

#[test]
fn an_output_on_an_input_is_refused() {
    let world = world();
    let message = refused(&world, &pipeline(&world, &["cells.txt"]), None);
    assert!(message.starts_with("output `qc.cells` at FOLDER/"), "{message}");
    assert!(message.contains("would overwrite the input `cells` of qc, FOLDER/cells.txt"), "{message}");
    refused(&world, &pipeline(&world, &["new/../cells.txt"]), None);
    // A single step has no pipeline file.
    let single = Pipeline { file: PathBuf::new(), ..pipeline(&world, &["./cells.txt"]) };
    refused(&world, &single, None);
}

#[test]
fn the_out_folder_counts() {
    let world = world();
    fs_err::create_dir(world.path("below")).unwrap();
    let up = pipeline(&world, &["cells.txt"]);
    refused(&world, &up, Some(world.path("below/..")));
    let record = world.run_with(&up, &RunOptions { out: Some(world.path("below")), ..options() });
    assert_eq!(record.exit(), ExitClass::Ok, "elsewhere the same name is free");
    assert_eq!(fs_err::read_to_string(world.path("cells.txt")).unwrap(), CELLS);
}

#[test]
fn an_output_around_or_inside_an_input_is_refused() {
    let world = World::new();
    world.write("cells.txt", CELLS);
    fs_err::create_dir(world.path("data")).unwrap();
    world.write("data/more.txt", "7\n");
    let of = |from: &str, to: &str| {
        world.build().job("qc", "keep", json!({}), &[("cells", from)]).output(to, "cells").done()
    };
    refused(&world, &of("data/more.txt", "data"), None);
    refused(&world, &of("data", "data/result.txt"), None);
}

#[cfg(unix)]
#[test]
fn links_are_followed() {
    let world = world();
    fs_err::create_dir(world.path("real")).unwrap();
    world.write("real/cells.txt", CELLS);
    fs_err::os::unix::fs::symlink(world.path("real"), world.path("results")).unwrap();
    fs_err::os::unix::fs::symlink(world.path("cells.txt"), world.path("link.txt")).unwrap();
    let of = |from: &str, to: &str| {
        world.build().job("qc", "keep", json!({}), &[("cells", from)]).output(to, "cells").done()
    };
    // The folder of the output is a link to that of the input; then the input itself is a link.
    refused(&world, &of("real/cells.txt", "results/cells.txt"), None);
    refused(&world, &of("link.txt", "cells.txt"), None);
    refused(&world, &of("link.txt", "link.txt"), None);
}

#[test]
fn the_pipeline_file_and_tables_are_protected() {
    let world = world();
    world.write("demo.yaml", "celldag: 1\n");
    let table = world.write("datasets.tsv", "id\n");
    let message = refused(&world, &pipeline(&world, &["demo.yaml"]), None);
    assert!(message.contains("the pipeline file"), "{message}");
    let tabled = Pipeline { tables: vec![table], ..pipeline(&world, &["datasets.tsv"]) };
    let message = refused(&world, &tabled, None);
    assert!(message.contains("the table of an axis"), "{message}");
}

#[test]
fn two_outputs_at_one_path_are_refused() {
    let world = world();
    let message = refused(&world, &pipeline(&world, &["a.txt", "new/../a.txt"]), None);
    assert!(message.contains("would overwrite output `qc.cells` at"), "{message}");
    refused(&world, &pipeline(&world, &["a.txt", "a.txt/b.txt"]), None);
    let record = world.run(&pipeline(&world, &["a.txt", "b.txt"]));
    assert_eq!(record.exit(), ExitClass::Ok);
    assert!(world.path("a.txt").exists() && world.path("b.txt").exists());
    // What was written once may be written again.
    assert_eq!(world.run(&pipeline(&world, &["a.txt", "b.txt"])).exit(), ExitClass::Ok);
}
