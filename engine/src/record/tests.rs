use serde_json::json;

use super::*;
use crate::error::EngineError;
use crate::world::World;

fn pipeline(world: &World, min: i64) -> crate::Pipeline {
    world
        .build()
        .job("qc", "keep", json!({ "min": min }), &[("cells", "cells.txt")])
        .job("total", "sum", json!({}), &[("cells", "qc.cells")])
        .done()
}

fn world() -> World {
    let world = World::new();
    world.write("cells.txt", "1\n5\n9\n");
    world
}

#[test]
fn a_record_is_read_back_whole() {
    let world = world();
    world.write("demo.yaml", "celldag: 1\n");
    let made = world.run(&pipeline(&world, 2));
    let read = load(&world.store, made.id()).unwrap();
    assert_eq!(read.header, made.header);
    assert_eq!(serde_json::to_value(&read.jobs).unwrap(), serde_json::to_value(&made.jobs).unwrap());
    assert_eq!(read.header.text_digest.as_deref(), Some(blake3::hash(b"celldag: 1\n").to_hex().as_str()));
    assert_eq!(read.job("qc").unwrap().action().unwrap().params["min"], 2);
    let used: Vec<Key> =
        serde_json::from_slice(&fs_err::read(made.folder.join("used.json")).unwrap()).unwrap();
    assert_eq!(used.len(), 2);
    assert!(made.jobs.iter().all(|job| used.contains(&job.key.unwrap())));
}

#[test]
fn runs_are_found_by_id_by_beginning_and_as_the_last() {
    let world = world();
    assert!(list(&world.store).unwrap().is_empty());
    assert!(matches!(load(&world.store, "last"), Err(EngineError::NoRun { .. })));
    let first = world.run(&pipeline(&world, 2));
    let second = world.run(&pipeline(&world, 3));
    let ids: Vec<String> = list(&world.store).unwrap().into_iter().map(|header| header.id).collect();
    assert_eq!(ids, [second.id(), first.id()], "newest first");
    assert_eq!(load(&world.store, "last").unwrap().id(), second.id());
    assert_eq!(load(&world.store, &first.id()[..first.id().len() - 1]).unwrap().id(), first.id());
    let error = load(&world.store, &first.id()[..4]).unwrap_err();
    assert!(matches!(&error, EngineError::AmbiguousRun { fits, .. } if fits.len() == 2), "{error}");
    assert!(load(&world.store, "nothing").unwrap_err().help().unwrap().contains("celldag runs"));
}

#[test]
fn a_killed_run_can_be_looked_at_and_does_not_disturb() {
    let world = world();
    let killed = world.run(&pipeline(&world, 2));
    for name in ["jobs.json", "used.json"] {
        fs_err::remove_file(killed.folder.join(name)).unwrap();
    }
    let events = killed.folder.join("events.jsonl");
    let text = fs_err::read_to_string(&events).unwrap();
    fs_err::write(&events, &text[..text.len() - 30]).unwrap();
    let whole = text.lines().count();
    assert_eq!(read_events(&killed.folder).unwrap().len(), whole - 1, "the torn line is left out");
    // Cut within a letter of several bytes.
    let mut torn = text.lines().next().unwrap().as_bytes().to_vec();
    torn.extend_from_slice(b"\n{\"v\":1,\"event\":\"warning\",\"message\":\"\xE2\x82");
    fs_err::write(&events, torn).unwrap();
    assert_eq!(read_events(&killed.folder).unwrap().len(), 1, "what is whole is read");
    assert!(load(&world.store, "last").unwrap().jobs.is_empty());
    assert!(world.plan(&pipeline(&world, 2)).is_cached());
    fs_err::write(killed.folder.join("run.json"), "{").unwrap();
    assert!(list(&world.store).unwrap().is_empty());
    assert!(matches!(load(&world.store, "last"), Err(EngineError::Record { .. })));
}

#[test]
fn a_run_that_nobody_runs_is_killed_and_tells_how_far_it_was() {
    let world = world();
    let run = world.run(&pipeline(&world, 2));
    let path = run.folder.join("run.json");
    let mut header = run.header.clone();
    header.status = RunStatus::Running;
    fs_err::write(&path, serde_json::to_string(&header).unwrap()).unwrap();
    fs_err::remove_file(run.folder.join("jobs.json")).unwrap();
    let events = run.folder.join("events.jsonl");
    let text = fs_err::read_to_string(&events).unwrap();
    let told = |until: &str| {
        let end = text.find(until).unwrap();
        fs_err::write(&events, &text[..text[..end].rfind('\n').unwrap() + 1]).unwrap();
        let header = list(&world.store).unwrap().remove(0);
        (header.status, header.counts.ran, unfinished(&read_events(&run.folder).unwrap()))
    };
    let total = r#""finished","job":"total""#;
    assert_eq!(told(total), (RunStatus::Killed, 1, vec!["total".to_owned()]));
    assert_eq!(load(&world.store, "last").unwrap().header.status, RunStatus::Killed);
    let alive = alive::Alive::claim(&run.folder).unwrap();
    assert_eq!(told(total).0, RunStatus::Running, "somebody runs it");
    assert_eq!(told(total).0, RunStatus::Running, "readers do not disturb each other");
    drop(alive);
    assert_eq!(told(total).0, RunStatus::Killed);
    assert_eq!(fs_err::read_dir(&run.folder).unwrap().count(), 3, "no file is left");
    // It ended well after its header was read, and before `alive` was looked at.
    let mut read = header;
    fs_err::write(&path, serde_json::to_string(&run.header).unwrap()).unwrap();
    KilledRuns::default().settle(&run.folder, &mut read);
    assert_eq!(read, run.header);
}

#[test]
fn events_of_a_killed_run_are_read_once_by_who_asks_again() {
    let world = world();
    let run = world.run(&pipeline(&world, 2));
    // As a run writes it at its start.
    let counts = Counts { jobs: 2, ..Counts::default() };
    let header = RunHeader { status: RunStatus::Running, counts, ..run.header.clone() };
    fs_err::write(run.folder.join("run.json"), serde_json::to_string(&header).unwrap()).unwrap();
    let (known, events) = (KilledRuns::default(), run.folder.join("events.jsonl"));
    let ran = || list_again(&world.store, &known).unwrap()[0].counts.ran;
    assert_eq!(ran(), 2);
    let text = fs_err::read_to_string(&events).unwrap();
    fs_err::write(&events, text.replace("\"finished\"", "\"finishes\"")).unwrap();
    assert_eq!(
        (ran(), list(&world.store).unwrap()[0].counts.ran),
        (2, 0),
        "of the same length: not read again"
    );
    fs_err::write(&events, "").unwrap();
    assert_eq!(ran(), 0, "of another length: read again");
    fs_err::remove_file(&events).unwrap();
    assert_eq!(
        (ran(), list(&world.store).unwrap()[0].status),
        (0, RunStatus::Killed),
        "killed before its log"
    );
}

#[test]
fn a_run_is_compared_with_one_that_ended_with_its_jobs_on_record() {
    let world = world();
    let runs: Vec<RunRecord> = (2..6).map(|min| world.run(&pipeline(&world, min))).collect();
    let [first, killed, torn, last] = runs.as_slice() else { panic!("four runs") };
    let header = RunHeader { status: RunStatus::Running, ..killed.header.clone() };
    fs_err::write(killed.folder.join("run.json"), serde_json::to_string(&header).unwrap()).unwrap();
    let before = |run: &RunRecord| ended_before(&world.store, &run.header).unwrap();
    assert_eq!(before(last).as_deref(), Some(torn.id()));
    fs_err::remove_file(torn.folder.join("jobs.json")).unwrap();
    assert_eq!((before(last).as_deref(), before(first)), (Some(first.id()), None));
    let other = RunHeader { pipeline: "other".to_owned(), ..last.header.clone() };
    assert_eq!(ended_before(&world.store, &other).unwrap(), None);
}

#[test]
fn two_runs_are_compared_job_by_job() {
    let world = world();
    let first = world.run(&pipeline(&world, 2));
    let second = world.run(&pipeline(&world, 2));
    assert_eq!(diff(&first, &second), RunDiff { jobs: Vec::new(), same: 2 });
    let mut third = world.run(&pipeline(&world, 6));
    let changed = diff(&first, &third);
    let JobDiff::Changed { job, changes, outputs, facts, outcomes } = &changed.jobs[0] else { panic!() };
    assert_eq!((job.as_str(), outcomes), ("qc", &None));
    assert_eq!(changes[0].to_string(), "parameter min changed 2 → 6");
    assert_eq!(outputs, &["cells"]);
    assert_eq!(facts["kept"], (Some(json!(2)), Some(json!(1))));
    third.jobs.remove(0);
    assert!(matches!(&diff(&first, &third).jobs[1], JobDiff::Removed { job } if job == "qc"));
    assert!(matches!(&diff(&third, &first).jobs[0], JobDiff::Added { job } if job == "qc"));
}

#[test]
fn why_compares_with_the_run_before() {
    let world = world();
    let first = world.run(&pipeline(&world, 2));
    let second = world.run(&pipeline(&world, 6));
    let why = crate::why(&world.store, "qc", "last").unwrap();
    assert_eq!(why[0].compared_with.as_deref(), Some(first.id()));
    assert_eq!(why[0].changes[0].to_string(), "parameter min changed 2 → 6");
    let why = crate::why(&world.store, "total", second.id()).unwrap();
    assert_eq!(why[0].changes[0].to_string(), "input cells changed");
    let why = crate::why(&world.store, "qc", first.id()).unwrap();
    assert_eq!((why[0].compared_with.as_ref(), why[0].changes.len()), (None, 0));
    let plan = world.plan(&pipeline(&world, 7));
    let why = crate::why_planned(&world.store, &plan, "qc").unwrap();
    assert_eq!(why[0].changes[0].to_string(), "parameter min changed 6 → 7");
    let error = crate::why(&world.store, "totale", "last").unwrap_err();
    assert_eq!(error.help().as_deref(), Some("did you mean `total`?"));
}

#[test]
fn results_are_compared_number_by_number() {
    let world = world();
    let text = |auroc: f64, extra: &str| {
        format!(
            r#"{{"format":"celldag.report/1","title":"t","headline":[["AUROC",{auroc}]],"metrics":{{"n":2000,"by":[{auroc},{{"x":{extra}}}]}}}}"#
        )
    };
    let build = |auroc: f64, extra: &str| {
        let job = world.build().job("scores", "report", json!({ "text": text(auroc, extra) }), &[]);
        world.run(&job.output("scores.json", "text").done())
    };
    let (first, second) = (build(0.5, "null"), build(0.75, "1"));
    let told = diff_results(&world.store, &first, &second);
    let lines: Vec<String> =
        told.metrics.iter().map(|m| format!("{} {} {:?} {:?}", m.job, m.path, m.before, m.after)).collect();
    insta::assert_snapshot!(lines.join("\n"), @r"
    scores metrics.by[1].x None Some(1.0)
    scores headline.AUROC Some(0.5) Some(0.75)
    scores metrics.by[0] Some(0.5) Some(0.75)
    ");
    assert_eq!((told.documents, told.unread.len(), told.files.len()), (1, 0, 1));
    fs_err::remove_file(world.blob(&first, "scores", "text")).unwrap();
    let gone = diff_results(&world.store, &first, &second);
    assert_eq!((gone.documents, gone.unread), (0, vec!["scores.text".to_owned()]));
}

#[test]
fn why_knows_files_and_defaults() {
    let world = world();
    world.write("demo.yaml", "celldag: 1\n");
    let first = world.run(&pipeline(&world, 2));
    let why = |name: &str| crate::why(&world.store, name, "last").unwrap().remove(0);
    assert!(why("qc").notes[0].starts_with("no earlier run"), "{:?}", why("qc").notes);
    world.run(&pipeline(&world, 3));
    assert!(why("qc").notes[0].contains("`--set`, a profile or a table"), "{:?}", why("qc").notes);
    // The same file, run by an older celldag: a default may have changed.
    let path = first.folder.join("run.json");
    for folder in fs_err::read_dir(world.store.runs_dir()).unwrap() {
        let path = folder.unwrap().path().join("run.json");
        let text = fs_err::read_to_string(&path).unwrap();
        fs_err::write(&path, text.replace(env!("CARGO_PKG_VERSION"), "0.0.1")).unwrap();
    }
    assert!(path.is_file());
    world.run(&pipeline(&world, 4));
    assert!(why("qc").notes[0].contains("celldag is not (0.0.1 → "), "{:?}", why("qc").notes);
    world.write("cells.txt", "1\n5\n9\n11\n");
    world.run(&pipeline(&world, 4));
    let told = why("qc");
    assert_eq!(told.sources[0].from, InputFrom::File(world.path("cells.txt")));
    assert!(matches!(&told.changes[0], crate::Change::Input { before: Some(_), after: Some(_), .. }));
    fs_err::remove_dir_all(world.store.root().join("ac")).unwrap();
    world.run(&pipeline(&world, 4));
    assert!(why("qc").notes[0].contains("garbage collection"), "{:?}", why("qc").notes);
    let forced = crate::run::RunOptions { force: vec!["qc".to_owned()], ..crate::world::options() };
    world.run_with(&pipeline(&world, 4), &forced);
    assert!(why("qc").notes[0].contains("`--force`"), "{:?}", why("qc").notes);
    assert_eq!(why("qc").changes, []);
}

#[test]
fn included_files_are_recorded_kept_and_compared() {
    let world = world();
    world.write("demo.yaml", "celldag: 1\ninclude: lib/std.yaml\n");
    fs_err::create_dir(world.path("lib")).unwrap();
    let run = |min: i64, text: &str| {
        let file = world.write("lib/std.yaml", text);
        let included = vec![file.clone(), file];
        world.run(&crate::Pipeline { included, ..pipeline(&world, min) })
    };
    let first = run(2, "one");
    let digest = |text: &str| Some(blake3::hash(text.as_bytes()).to_hex().to_string());
    let std = |text: &str| IncludedFile { path: "lib/std.yaml".to_owned(), digest: digest(text) };
    assert_eq!(load(&world.store, "last").unwrap().header.included, Some(vec![std("one")]));
    let kept = first.included_text(&digest("one").unwrap());
    assert_eq!(fs_err::read_to_string(kept).unwrap(), "one", "the text is kept as it was");

    let second = run(3, "two");
    let told = diff_results(&world.store, &first, &second).included;
    let path = "lib/std.yaml".to_owned();
    assert_eq!(told, [IncludedChange { path, before: digest("one"), after: digest("two") }]);
    assert!(diff_results(&world.store, &first, &first).included.is_empty());
    let note = |name: &str| crate::why(&world.store, name, "last").unwrap()[0].notes.join("; ");
    assert!(note("qc").starts_with("the included file lib/std.yaml changed (BLAKE3 "), "{}", note("qc"));
    world.run(&pipeline(&world, 4));
    assert_eq!(note("qc"), "the file lib/std.yaml is not included any more");

    // A record of an earlier version tells nothing of included files, and nothing is claimed about them.
    let path = world.store.runs_dir().join(load(&world.store, "last").unwrap().id()).join("run.json");
    let mut old: serde_json::Value = serde_json::from_slice(&fs_err::read(&path).unwrap()).unwrap();
    assert!(old.as_object_mut().unwrap().remove("included").is_some());
    fs_err::write(&path, old.to_string()).unwrap();
    assert_eq!(load(&world.store, "last").unwrap().header.included, None);
    run(5, "two");
    assert!(!note("qc").contains("lib/std.yaml"), "{}", note("qc"));
}
