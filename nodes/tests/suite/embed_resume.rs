//! `embed` goes on where it was stopped, to the same bytes, and computes nothing twice.

use crate::common::lora::{Bench, Ran, bytes, mini, with};
use celldag_engine::FailureCause;
use celldag_engine::alone::{run_alone, run_alone_resumable};
use celldag_nodes::embed::Embed;
use serde_json::json;

/// Batches of a few of the 700 cells each.
fn embed(bench: &Bench, folder: &str, store: Option<&str>, stop_after: Option<u64>) -> Ran {
    let folder = bench.root.path().join(folder);
    fs_err::create_dir_all(&folder).expect("folder");
    let (checkpoint, params) = (mini(), with(json!({"layer": -1, "batch_tokens": 8000})));
    let inputs = [("tokens", "", bench.tokens.as_path()), ("checkpoint", "", checkpoint.as_path())];
    let Some(store) = store else { return run_alone(&Embed, params, &inputs, &folder, "cpu") };
    let store = bench.root.path().join(store);
    run_alone_resumable(&Embed, params, &inputs, (&folder, "cpu"), &store, stop_after)
}

fn resumed_at(ran: &celldag_engine::Summary) -> u64 {
    let text = ran.execution.get("resumed_at").and_then(|at| at.as_str()).expect("went on");
    text.strip_suffix(" of 700").expect("of all cells").parse().expect("a number")
}

#[test]
fn a_stopped_embedding_ends_with_the_bytes_of_an_undisturbed_one() {
    let bench = Bench::new();
    let (summary, outputs) = embed(&bench, "undisturbed", None, None).expect("vectors");
    let want = bytes(&outputs);
    // In the first batch, in the middle, and before the last one.
    for stop in [1, 300, 640] {
        let store = format!("store{stop}");
        let stopped = embed(&bench, "stopped", Some(&store), Some(stop)).expect_err("stopped");
        assert_eq!(stopped.cause, FailureCause::Cancelled, "{}", stopped.message);
        let (again, outputs) = embed(&bench, "again", Some(&store), None).expect("vectors");
        assert!((stop..700).contains(&resumed_at(&again)), "after {stop}: {:?}", again.execution);
        assert_eq!((&again.facts, &again.warnings), (&summary.facts, &summary.warnings));
        assert!(bytes(&outputs) == want, "after {stop} cells");
    }
}

#[test]
fn one_stop_after_the_other_loses_no_batch() {
    let bench = Bench::new();
    let want = bytes(&embed(&bench, "undisturbed", None, None).expect("vectors").1);
    // Progress counts what was known before too, so that each attempt comes further.
    for stop in [100, 250, 500] {
        assert!(embed(&bench, "stopped", Some("store"), Some(stop)).is_err());
    }
    // Every segment is a file that is written once; a damaged one costs what is behind it and no more.
    let mut segments = Vec::new();
    find(&bench.root.path().join("store"), &mut segments);
    segments.sort_by_key(|path| path.extension().and_then(|n| n.to_str()?.parse::<usize>().ok()));
    assert!(segments.len() > 3, "{segments:?}");
    let whole = segments.len();
    fs_err::write(&segments[whole / 2], b"damage").expect("written");
    let (again, outputs) = embed(&bench, "again", Some("store"), None).expect("vectors");
    assert!((1..500).contains(&resumed_at(&again)), "{:?}", again.execution);
    assert!(bytes(&outputs) == want);
}

fn find(folder: &std::path::Path, found: &mut Vec<std::path::PathBuf>) {
    for entry in fs_err::read_dir(folder).expect("folder") {
        let path = entry.expect("entry").path();
        if path.is_dir() {
            find(&path, found);
        } else if path.file_stem().is_some_and(|stem| stem == "vectors") {
            found.push(path);
        }
    }
}
