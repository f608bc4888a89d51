//! `pipelines/drug_response.yaml` on real labelled cells: random folds flatter, folds by cell line do not.

use std::path::Path;

use serde_json::Value;

use crate::sandbox::{Finished, Sandbox, fixtures, repository};

fn run(sandbox: &Sandbox, cells: &Path, extra: &[&str]) -> Finished {
    let pipeline = repository().join("pipelines/drug_response.yaml");
    let checkpoint =
        format!("checkpoint={}", repository().join("pipelines/models/geneformer-mini").display());
    let cells = format!("cells={}", cells.display());
    let mut args = vec!["run", pipeline.to_str().expect("path"), "--device", "cpu", "--out", "."];
    args.extend(["--cache", "store", "--set", &cells, "--set", &checkpoint]);
    args.extend(extra);
    sandbox.run(&args)
}

fn metric(sandbox: &Sandbox, wanted: &str) -> f64 {
    let text = fs_err::read(sandbox.join("drug_response/metrics.json")).expect("metrics.json");
    let report: Value = serde_json::from_slice(&text).expect("JSON");
    let headline = report["headline"].as_array().expect("headline");
    let found = headline.iter().find(|pair| pair[0].as_str().is_some_and(|name| name.starts_with(wanted)));
    found.unwrap_or_else(|| panic!("{wanted} in {headline:?}"))[1].as_f64().expect("a number")
}

#[test]
fn cell_lines_held_out_tell_the_truth() {
    let Some(fixtures) = fixtures() else { return };
    let cells = fixtures.join("data/lung5_mixology/lung5_mixology.h5ad");
    let sandbox = Sandbox::new();
    let common = ["--set", "label=response_afatinib", "--set", "positive=sensitive"];

    let mut grouped = common.to_vec();
    grouped.extend(["--set", "group=cell_line"]);
    let finished = run(&sandbox, &cells, &grouped);
    assert_eq!(finished.code, 0, "{}", finished.stderr);
    let honest = metric(&sandbox, "auroc");

    let mut random = common.to_vec();
    random.extend(["--profile", "ungrouped", "--set", "folds=5"]);
    let finished = run(&sandbox, &cells, &random);
    assert_eq!(finished.code, 0, "{}", finished.stderr);
    let flattering = metric(&sandbox, "auroc");

    assert!(flattering > 0.95, "random folds only ask which line a cell is from: {flattering}");
    assert!(honest < 0.85, "a line that was never seen: {honest}");
    assert!(
        finished.stderr.contains("cell_line") && finished.stderr.contains("warning"),
        "the leak check must name the column:\n{}",
        finished.stderr
    );
    println!("lung5 afatinib: AUROC {flattering:.3} with random folds, {honest:.3} with lines held out");
}
