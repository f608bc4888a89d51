use serde_json::json;

use super::search::Runs;
use super::trace::provenance_in;
use super::*;
use crate::pipeline::Pipeline;
use crate::world::World;

fn world() -> World {
    let world = World::new();
    world.write("cells.txt", "1\n5\n9\n");
    world
}

fn pipeline(world: &World, min: i64) -> Pipeline {
    world
        .build()
        .job("qc", "keep", json!({ "min": min }), &[("cells", "cells.txt")])
        .job("total", "sum", json!({ "factor": 2.0 }), &[("cells", "qc.cells")])
        .output("out/total.txt", "total")
        .done()
}

fn of(world: &World, name: &str, depth: usize) -> Option<Provenance> {
    let (digest, _) = celldag_cache::digest_file(&world.path(name)).unwrap();
    provenance(&world.store, &digest, depth).unwrap()
}

#[test]
fn a_result_leads_to_the_files_of_the_user() {
    let world = world();
    world.write("demo.yaml", "celldag: 1\n");
    let run = world.run(&pipeline(&world, 2));
    // A copy under another name has the same origin.
    fs_err::copy(world.path("out/total.txt"), world.path("mailed.txt")).unwrap();
    let told = of(&world, "mailed.txt", usize::MAX).unwrap();
    assert_eq!(told.runs.len(), 1);
    assert_eq!((told.runs[0].id.as_str(), told.runs[0].job.as_str()), (run.id(), "total"));
    assert_eq!(told.runs[0].pipeline_digest, run.header.text_digest);
    let [total, qc] = told.works.as_slice() else { panic!("{:?}", told.works) };
    assert_eq!(
        (total.depth, total.kind.as_str(), total.epoch, &total.params["factor"]),
        (0, "sum", 1, &json!(2.0))
    );
    let from_qc = Origin::Work { run: run.id().to_owned(), job: "qc".to_owned(), port: "cells".to_owned() };
    assert_eq!(total.inputs[0].from, from_qc);
    assert_eq!((qc.depth, qc.job.as_str(), &qc.params["min"]), (1, "qc", &json!(2)));
    assert_eq!(qc.inputs[0].from, Origin::File { path: world.path("cells.txt") });
    assert_eq!(qc.inputs[0].digest, Digest::of_bytes(b"1\n5\n9\n").to_string());
    let made = qc.made.as_ref().unwrap();
    assert_eq!((made.version.as_str(), &made.execution["batch"]), (env!("CARGO_PKG_VERSION"), &json!(8)));
    assert!(!told.cut);
}

#[test]
fn depth_is_limited_and_says_so() {
    let world = world();
    world.run(&pipeline(&world, 2));
    let told = of(&world, "out/total.txt", 0).unwrap();
    assert_eq!((told.works.len(), told.cut), (1, true));
    let whole = of(&world, "out/total.txt", 1).unwrap();
    assert_eq!((whole.works.len(), whole.cut), (2, false));
}

#[test]
fn what_one_run_writes_and_another_reads_is_one_story() {
    let world = world();
    let first = world.run(&pipeline(&world, 2));
    let build = world.build().job("again", "keep", json!({ "min": 3 }), &[("cells", "out/total.txt")]);
    world.run(&build.output("out/again.txt", "cells").done());
    let told = of(&world, "out/again.txt", usize::MAX).unwrap();
    let jobs: Vec<&str> = told.works.iter().map(|work| work.job.as_str()).collect();
    assert_eq!(jobs, ["again", "total", "qc"]);
    assert!(matches!(&told.works[0].inputs[0].from, Origin::Work { run, .. } if run == first.id()));
}

#[test]
fn a_result_with_the_bytes_of_its_input_is_not_its_own_cause() {
    let world = world();
    world.run(&pipeline(&world, 0));
    world.run(&pipeline(&world, 1));
    let told = of(&world, "cells.txt", usize::MAX).unwrap();
    let jobs: Vec<(&str, &Value)> =
        told.works.iter().map(|work| (work.job.as_str(), &work.params["min"])).collect();
    assert_eq!(jobs, [("qc", &json!(1)), ("qc", &json!(0))]);
    assert_eq!(told.works[1].inputs[0].from, Origin::File { path: world.path("cells.txt") });
}

#[test]
fn runs_that_took_it_from_the_store_are_told_too() {
    let world = world();
    let first = world.run(&pipeline(&world, 2));
    let second = world.run(&pipeline(&world, 2));
    let told = of(&world, "out/total.txt", 0).unwrap();
    let runs: Vec<(&str, JobOutcome)> = told.runs.iter().map(|run| (run.id.as_str(), run.outcome)).collect();
    assert_eq!(runs, [(second.id(), JobOutcome::Hit), (first.id(), JobOutcome::Ran)]);
}

#[test]
fn without_runs_the_store_knows_the_work_but_not_the_job() {
    let world = world();
    world.run(&pipeline(&world, 2));
    fs_err::remove_dir_all(world.store.runs_dir()).unwrap();
    let told = of(&world, "out/total.txt", usize::MAX).unwrap();
    assert!(told.runs.is_empty());
    let [total] = told.works.as_slice() else { panic!("{:?}", told.works) };
    assert_eq!(
        (total.kind.as_str(), total.job.as_str(), &total.inputs[0].from),
        ("sum", "", &Origin::Unknown)
    );
}

#[test]
fn a_file_that_no_run_made_is_told_by_who_read_or_wrote_it() {
    let world = world();
    let run = world.run(&pipeline(&world, 2));
    assert!(of(&world, "cells.txt", usize::MAX).is_none());
    let (digest, _) = celldag_cache::digest_file(&world.path("cells.txt")).unwrap();
    let read = readers(&world.store, &digest).unwrap();
    assert_eq!((read.len(), read[0].job.as_str(), read[0].port.as_str()), (1, "qc", "cells"));
    world.write("out/total.txt", "edited by hand");
    assert!(of(&world, "out/total.txt", usize::MAX).is_none());
    let wrote = writers(&world.store, &run.outputs[0].path).unwrap().unwrap();
    assert_eq!((wrote.run.as_str(), wrote.job.as_str()), (run.id(), "total"));
    assert!(writers(&world.store, &world.path("elsewhere")).unwrap().is_none());
}

#[test]
fn each_record_is_read_once_however_many_files_are_looked_for() {
    let world = world();
    let mut build = world.build();
    for n in 0..20 {
        world.write(&format!("part{n}.txt"), &n.to_string());
        build = build.job(&format!("part{n}"), "keep", json!({}), &[("cells", &format!("part{n}.txt"))]);
    }
    let first = world.run(&build.output("out/part19.txt", "cells").done());
    // What that run was given again and again: nobody made these files, so that every record is asked about each.
    let runs = world.store.runs_dir();
    for n in 0..200 {
        let id = format!("20200101T000000.000-{n:04}");
        fs_err::create_dir(runs.join(&id)).unwrap();
        for name in ["run.json", "jobs.json"] {
            let text = fs_err::read_to_string(first.folder.join(name)).unwrap();
            let older = text.replace(first.id(), &id).replace(r#""outputs":{""#, r#""outputs":{},"was":{""#);
            fs_err::write(runs.join(&id).join(name), older).unwrap();
        }
    }
    let mut labels: Vec<(String, String)> = Vec::new();
    for n in 0..20 {
        labels.push((format!("after[{n}]"), format!("part{n}.txt")));
    }
    let inputs: Vec<(&str, &str)> = labels.iter().map(|(at, from)| (at.as_str(), from.as_str())).collect();
    world.run(&world.build().job("all", "act", json!({}), &inputs).output("out/all.txt", "text").done());
    let (digest, _) = celldag_cache::digest_file(&world.path("out/all.txt")).unwrap();
    let mut opened = Runs::open(&world.store).unwrap();
    let told = provenance_in(&world.store, &mut opened, &digest, usize::MAX).unwrap().unwrap();
    assert_eq!((told.runs.len(), told.works[0].inputs.len()), (1, 20));
    let records = 202;
    assert!(opened.reads() <= records + 2, "{} reads of {records} records", opened.reads());
}
