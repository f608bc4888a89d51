//! The pages of the server: what they tell, and that nothing of what users write becomes markup.

use std::collections::BTreeMap;

use celldag_engine::record::{Imported, LoggedEvent, MetricChange, ResultsDiff, diff};
use celldag_engine::{OutputRecord, RunHeader, RunRecord, RunStatus};
use serde_json::{Value, json};

use super::*;
use crate::tests::job;

const HOSTILE: &str = "<script>alert('x')</script>";

fn header(id: &str, pipeline: &str) -> RunHeader {
    RunHeader { id: id.to_owned(), pipeline: pipeline.to_owned(), ..crate::tests::header() }
}

fn small(id: &str) -> RunRecord {
    let dataset = [("dataset", "blood".to_owned())];
    let jobs = vec![
        job("qc", &dataset, None),
        job("tokens", &dataset, Some("qc")),
        job("embed", &dataset, Some("tokens")),
    ];
    RunRecord { header: header(id, "study"), jobs, outputs: Vec::new(), folder: "/nowhere".into() }
}

fn output(path: &str, size: u64, tree: bool) -> OutputRecord {
    let artifact = json!({ "digest": "0".repeat(64), "size": size, "tree": tree });
    let record = json!({ "path": path, "job": "qc", "port": "cells", "artifact": artifact, "changed": true });
    serde_json::from_value(record).unwrap()
}

fn event(time: &str, value: &Value) -> LoggedEvent {
    let mut line = json!({ "v": 1, "time": time });
    line.as_object_mut().unwrap().extend(value.as_object().unwrap().clone());
    serde_json::from_value(line).unwrap()
}

/// A run in the middle: one job cached, one at work, one failed, one queued.
fn middle() -> Live {
    let mut live = Live::default();
    let nodes = json!([["qc", 1], ["head", 3]]);
    let cached = json!({ "state": "cached", "age": 1.0, "saved_seconds": 2.0 });
    for (second, value) in [
        json!({ "event": "run_started", "run": "r", "pipeline": "p", "nodes": nodes, "device": "cpu" }),
        json!({ "event": "decided", "job": "qc", "node": "qc", "state": cached }),
        json!({ "event": "started", "job": "head[fold=0]", "node": "head", "kind": "mlp-head", "expected_seconds": 90.0 }),
        json!({ "event": "started", "job": "head[fold=1]", "node": "head", "kind": "mlp-head" }),
        json!({ "event": "progress", "job": "head[fold=0]", "node": "head", "done": 12, "total": 60, "unit": "epochs" }),
        json!({ "event": "failed", "job": "head[fold=1]", "node": "head", "class": "data", "message": HOSTILE, "help": "look" }),
    ]
    .into_iter()
    .enumerate()
    {
        live.count(&event(&format!("2026-01-01T00:00:0{second}.000Z"), &value));
    }
    live
}

#[test]
fn the_list_tells_who_ran_what_and_marks_the_newest_of_a_pipeline() {
    let mut imported = header("20260103T000000.000-cccc", "study");
    imported.imported =
        Some(Imported { by: Some("snakemake".to_owned()), at: "2026-01-03T00:00:00.000Z".to_owned() });
    imported.status = RunStatus::Ok;
    let mut running = header("20260105T000000.000-dddd", "study");
    running.status = RunStatus::Running;
    let mut killed = header("20260102T000000.000-bbbb", "study");
    killed.status = RunStatus::Killed;
    let ended = header("20260101T000000.000-aaaa", "study");
    let page = list_page("/data/.celldag", &[running.clone(), imported, killed, ended]);
    for told in [
        "/data/.celldag",
        "<td>snakemake</td>",
        "<td>celldag</td>",
        "<td class=\"running\">running</td>",
        "<td class=\"failed\">failed</td>",
        "<a href=\"/runs/20260101T000000.000-aaaa\">",
        "2026-01-01 00:00:00 UTC",
        "name=\"later\" value=\"20260103T000000.000-cccc\" title=\"later run of the comparison\" required checked>",
        "name=\"earlier\" value=\"20260101T000000.000-aaaa\" title=\"earlier run of the comparison\" required checked>",
    ] {
        assert!(page.contains(told), "{told} in {page}");
    }
    let rows =
        ["0105T000000.000-dddd", "0103T000000.000-cccc", "0102T000000.000-bbbb", "0101T000000.000-aaaa"];
    let places = rows.map(|id| page.find(&format!("\">2026{id}<")).unwrap());
    assert!(places.is_sorted(), "newest first");
    assert!(!list_page("/s", &[running]).contains("checked>"), "nothing to compare yet");
    assert!(list_page("/s", &[]).contains("celldag runs import"));
}

#[test]
fn the_page_of_a_run_holds_its_report_and_links_what_can_be_sent() {
    let mut run = small("20260101T000000.000-aaaa");
    run.outputs = vec![
        output("/results/page.html", 900, false),
        output("/results/folder", 900, true),
        output("/results/large.h5ad", LARGEST_FILE + 1, false),
    ];
    let unread = ["metrics.report is left out: gone".to_owned()];
    let recorded =
        Recorded { run: &run, documents: &[], unread: &unread, previous: Some("20251231T000000.000-ffff") };
    let page = recorded_page(&recorded);
    let report = crate::run_page(&run, &[]);
    let content = |page: &str| page[page.find("<h2 id=\"section-1\">").unwrap()..].to_owned();
    assert_eq!(content(&page), content(&report));
    assert!(page.contains("<a href=\"/runs/20260101T000000.000-aaaa/outputs/0\">/results/page.html</a>"));
    assert!(page.contains("<td>/results/folder</td>") && page.contains("<td>/results/large.h5ad</td>"));
    assert!(page.contains("metrics.report is left out"));
    assert!(page.contains("/diff?earlier=20251231T000000.000-ffff&amp;later=20260101T000000.000-aaaa"));
    assert!(!report.contains("class=\"trail\""), "a file has no links to a server");
}

#[test]
fn a_comparison_tells_numbers_and_jobs() {
    let (a, mut b) = (small("20260101T000000.000-aaaa"), small("20260102T000000.000-bbbb"));
    b.jobs[0].summary.facts.insert("cells".to_owned(), json!(7));
    b.jobs[1].id = HOSTILE.to_owned();
    let results = ResultsDiff {
        metrics: vec![MetricChange {
            job: "metrics".to_owned(),
            port: "report".to_owned(),
            path: "headline.AUROC".to_owned(),
            before: Some(0.5),
            after: Some(0.75),
        }],
        files: BTreeMap::from([("/results/x.json".to_owned(), (None, Some("d".to_owned())))]),
        unread: vec!["other.report".to_owned()],
        ..ResultsDiff::default()
    };
    let page = compare_page(&a, &b, &diff(&a, &b), &results);
    for told in [
        "+0.2500",
        "headline.AUROC",
        "cells: ",
        "is new",
        "only in the later run",
        "only in the earlier run",
        "other.report",
    ] {
        assert!(page.contains(told), "{told} in {page}");
    }
    let same = compare_page(&a, &a, &diff(&a, &a), &ResultsDiff::default());
    assert!(same.contains("No number of a report differs") && same.contains("0 jobs differ, 3 agree"));
    let unread = ResultsDiff { unread: vec!["other.report".to_owned()], ..ResultsDiff::default() };
    assert!(compare_page(&a, &a, &diff(&a, &a), &unread).contains("No number of any other report differs"));
    let mut none = small("20260103T000000.000-cccc");
    none.jobs.clear();
    let page = compare_page(&a, &none, &diff(&a, &none), &ResultsDiff::default());
    assert!(page.contains("Run 20260103T000000.000-cccc (failed) has no jobs on record"), "{page}");
    assert!(page.contains("no numbers were compared") && !page.contains("report differs"), "{page}");
}

#[test]
fn the_page_of_a_large_run_leads_to_all_of_its_jobs() {
    let mut run = small("20260101T000000.000-aaaa");
    for i in 0..300 {
        run.jobs.push(job(&format!("head[fold={i}]"), &[], None));
    }
    let page = recorded_page(&Recorded { run: &run, documents: &[], unread: &[], previous: None });
    assert!(
        page.contains("<a href=\"/api/runs/20260101T000000.000-aaaa.json\">All jobs of this run as JSON</a>")
    );
    assert!(!page.contains("beside this page"), "no file is there");
    assert!(crate::run_page(&run, &[]).contains("All jobs are in the .jobs.json file beside this page."));
}

#[test]
fn a_run_that_goes_on_is_counted_from_its_events() {
    let mut run = header("r", "p");
    run.status = RunStatus::Running;
    let state = middle().state(&run);
    assert_eq!(state.told, "2/4 jobs, 1 running, 1 failed, about 3 min left");
    let head = &state.nodes[1];
    assert_eq!((head.queued, head.running, head.failed, head.jobs), (1, 1, 1, 3));
    assert_eq!(state.running[0].progress, "12/60 epochs");
    assert_eq!((state.failed, state.failures[0].help.as_deref()), (1, Some("look")));
    let page = live_page(&run, &state);
    for told in
        ["12/60 epochs", "90 s", "2026-01-01 00:00:05 UTC", "http-equiv=\"refresh\"", "src=\"/live.js\""]
    {
        assert!(page.contains(told), "{told} in {page}");
    }
    run.status = RunStatus::Killed;
    let page = live_page(&run, &middle().state(&run));
    assert!(
        page.contains("goes on from there") && !page.contains("src=\"/live.js\""),
        "nothing changes any more: {page}"
    );
}

#[test]
fn what_users_write_stays_text_on_every_page() {
    let mut run = small(HOSTILE);
    run.header.pipeline = HOSTILE.to_owned();
    run.header.imported = Some(Imported { by: Some(HOSTILE.to_owned()), at: HOSTILE.to_owned() });
    run.outputs = vec![output(HOSTILE, 1, false)];
    run.jobs[0].id = HOSTILE.to_owned();
    let mut running = run.header.clone();
    running.status = RunStatus::Running;
    let unread = [HOSTILE.to_owned()];
    let recorded = Recorded { run: &run, documents: &[], unread: &unread, previous: Some(HOSTILE) };
    let results = ResultsDiff { unread: unread.to_vec(), ..ResultsDiff::default() };
    let pages = [
        list_page(HOSTILE, std::slice::from_ref(&run.header)),
        recorded_page(&recorded),
        compare_page(&run, &small("b"), &diff(&run, &small("b")), &results),
        live_page(&running, &middle().state(&running)),
        message_page(HOSTILE, HOSTILE, HOSTILE),
    ];
    for page in pages {
        assert!(!page.contains("<script>"), "{page}");
        assert!(page.contains("&lt;script&gt;"), "{page}");
    }
}
