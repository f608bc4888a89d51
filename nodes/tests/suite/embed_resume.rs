//! `embed` goes on where it was stopped, to the same bytes, and computes nothing twice.

use std::path::PathBuf;

use crate::common::lora::{Bench, Ran, bytes, mini, with};
use crate::common::shards::{Golden, shard};
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

/// Stops both of two shards after `stop` cells and lets them go on from the same store: each is then `resumed` of its cells, and the
/// parts are those of shards that nobody disturbed.
fn shards_go_on(
    name: &str,
    (tokenize, embed): (&str, &[(&str, &str)]),
    stop: u64,
    resumed: [Option<&str>; 2],
) {
    let Some(golden) = Golden::new(name, 11) else { return };
    let tokens = golden.tokenize("tokens", &[("model", tokenize)]).whole();
    // Every cell, or neighbourhood, is a batch.
    let with = [&[("batch_tokens", "1")], embed].concat();
    let work = golden.embed("vectors", (&tokens, false), &with);
    let of_two = [0, 1].map(|index| shard(index, 2));
    for (portion, resumed) in of_two.iter().zip(resumed) {
        let stopped = work.go_on("stopped", portion, Some(stop));
        let cause = stopped.err().map(|error| error.cause);
        assert_eq!(cause, resumed.map(|_| FailureCause::Cancelled), "{portion:?}");
    }
    let parts: Vec<PathBuf> = (0..2)
        .map(|index| {
            let portion = &of_two[index as usize];
            let (said, done) = work.go_on(&format!("again{index}"), portion, None).expect("a part");
            let at = said.execution.get("resumed_at").and_then(|at| at.as_str());
            assert_eq!(at, resumed[index as usize], "{portion:?}");
            let (part, undisturbed) = (done["part"].clone(), work.part(index, 2));
            let read = |path: &PathBuf| fs_err::read(path).expect("a part");
            assert!(read(&part) == read(&undisturbed), "{portion:?}");
            part
        })
        .collect();
    work.expect(&work.whole(), parts);
}

#[test]
fn a_stopped_shard_ends_with_the_bytes_of_an_undisturbed_one() {
    // Of six and five cells one each has no tokens, and counts as done.
    shards_go_on("geneformer-v1", ("geneformer", &[]), 3, [Some("2 of 6"), Some("2 of 5")]);
}

#[test]
fn a_stopped_shard_keeps_whole_neighbourhoods() {
    // Cells are in three batches by turns: neighbourhoods of four, four and three. The first shard has the first cell of each, and
    // so all the work.
    let neighbourhood = [("neighbourhood", "obs:batch")];
    shards_go_on("cellplm", ("cellplm", &neighbourhood), 5, [Some("7 of 11"), None]);
}

fn find(folder: &std::path::Path, found: &mut Vec<PathBuf>) {
    for entry in fs_err::read_dir(folder).expect("folder") {
        let path = entry.expect("entry").path();
        if path.is_dir() {
            find(&path, found);
        } else if path.file_stem().is_some_and(|stem| stem == "vectors") {
            found.push(path);
        }
    }
}
