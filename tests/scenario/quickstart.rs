//! The quickstart: honest numbers, and only what changed is computed again.

use serde_json::Value;

use crate::sandbox::{Sandbox, borrowed, digests, quickstart};

#[test]
fn numbers_stand_beside_their_baselines() {
    let sandbox = Sandbox::new();
    let args = quickstart(&sandbox);
    let mut all = vec!["run", "--device", "cpu"];
    all.extend(borrowed(&args));
    let run = sandbox.ok(&all);
    let results = sandbox.join("results/quickstart");
    let report: Value =
        serde_json::from_slice(&fs_err::read(results.join("metrics.json")).expect("metrics.json"))
            .expect("JSON");
    assert_eq!(report["format"], "celldag.report/1");
    let names = serde_json::to_string(&report["tables"]).expect("tables");
    for name in ["majority class", "all positive", "logistic regression"] {
        assert!(names.contains(name), "baseline {name} is missing in {names}");
        assert!(run.stdout.contains(name), "baseline {name} is not printed:\n{}", run.stdout);
    }
    let page = fs_err::read_to_string(results.join("report.html")).expect("report.html");
    assert!(page.starts_with("<!doctype html>") && page.len() < 1_000_000, "{} bytes", page.len());
    for word in ["<svg", "ROC", "qc", "embedding", "700"] {
        assert!(page.contains(word), "the page lacks {word}");
    }
    assert!(
        !page.contains("http://") || !page.contains("src=\"http"),
        "the page loads something from elsewhere"
    );
}

#[test]
fn only_what_changed_is_computed() {
    let sandbox = Sandbox::new();
    let args = quickstart(&sandbox);
    let with = |extra: &[&str]| {
        let mut all = borrowed(&args);
        all.extend(extra);
        sandbox.computed(&all)
    };
    let first = with(&[]);
    assert_eq!(first.len(), 8, "{first:?}");
    let results = digests(&sandbox.join("results/quickstart"));

    assert!(with(&[]).is_empty(), "a rerun computes nothing");

    let text = fs_err::read_to_string(sandbox.join("quickstart.yaml")).expect("pipeline");
    sandbox.write("quickstart.yaml", &text.replace("epochs: 60", "epochs: 61"));
    let mut head = with(&[]);
    head.sort();
    assert_eq!(
        head,
        ["head", "metrics", "report"],
        "a head parameter concerns only what comes after the head"
    );

    sandbox.write("quickstart.yaml", &text);
    assert!(with(&[]).is_empty(), "going back to an old parameter is a hit");
    assert_eq!(digests(&sandbox.join("results/quickstart")), results, "and restores the outputs");

    // Every cell of the quickstart has far more than 20 genes: the same cells stay, so the wave stops.
    sandbox.write("quickstart.yaml", &text.replace("min_genes: 100", "min_genes: 20"));
    assert_eq!(with(&[]), ["qc"], "the same cells stay: early cutoff");
}

#[test]
fn plan_tells_the_reason_and_writes_nothing() {
    let sandbox = Sandbox::new();
    let args = quickstart(&sandbox);
    let plan = |_: ()| {
        let mut all = vec!["plan"];
        all.extend(borrowed(&args));
        sandbox.ok(&all).stdout
    };
    assert!(plan(()).contains("new"));
    sandbox.computed(&borrowed(&args));
    let cached = plan(());
    assert!(cached.contains("cached") && cached.contains("saved"), "{cached}");
    let text = fs_err::read_to_string(sandbox.join("quickstart.yaml")).expect("pipeline");
    sandbox.write("quickstart.yaml", &text.replace("min_genes: 100", "min_genes: 150"));
    let changed = plan(());
    assert!(changed.contains("parameter min_genes changed 100 → 150"), "{changed}");
    assert!(changed.contains("may run"), "{changed}");
}

#[test]
fn the_result_does_not_depend_on_threads() {
    let [one, two] = ["1", "2"].map(|threads| {
        let sandbox = Sandbox::new();
        let args = quickstart(&sandbox);
        let mut all = borrowed(&args);
        all.extend(["--jobs", threads]);
        sandbox.computed(&all);
        digests(&sandbox.join("results/quickstart"))
    });
    assert_eq!(one, two);
}
