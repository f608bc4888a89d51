//! Baselines of drug response on the published test split of real ln IC50 values, and the kind that reports them.
#![allow(clippy::print_stdout, reason = "shows the figures beside the reference")]

mod common;

use std::io::Read;
use std::path::Path;

use celldag_engine::alone::run_alone;
use celldag_engine::document::ReportDocument;
use celldag_nodes::evaluate::baseline::{FittedResponses, Response, ResponseModel};
use celldag_nodes::evaluate::regression::{EvaluateRegression, Predicted, measure};
use serde_json::{Map, Value, json};

/// How far a figure may be from the reference, which stops its own iteration earlier.
const TOLERANCE: f64 = 0.0015;

/// (training pairs, test pairs)
fn pairs() -> Option<(Vec<Response>, Vec<Response>)> {
    let path = common::fixtures()?.join("data/response_gdsc/pairs.csv.gz");
    let mut text = String::new();
    flate2::read::MultiGzDecoder::new(fs_err::File::open(path).expect("pairs"))
        .read_to_string(&mut text)
        .expect("gzip");
    let (mut train, mut test) = (Vec::new(), Vec::new());
    for record in csv::Reader::from_reader(text.as_bytes()).records() {
        let record = record.expect("row");
        let response = Response {
            line: record[0].to_owned(),
            drug: record[1].to_owned(),
            value: record[2].parse().expect("number"),
        };
        match &record[4] {
            "train" => train.push(response),
            "test" => test.push(response),
            other => panic!("{other}"),
        }
    }
    Some((train, test))
}

#[test]
fn baselines_of_the_published_split() {
    let Some((train, test)) = pairs() else { return };
    let reference = common::json("data/response_gdsc/baselines.json").expect("beside the pairs");
    let reference = reference["split_baselines"].as_array().expect("list");
    let models = [
        ("drug mean", ResponseModel::DrugMean),
        ("cell-line mean", ResponseModel::LineMean),
        ("additive drug + cell line (ridge 5)", ResponseModel::Additive { ridge: 5.0 }),
        (
            "additive + rank-3 factorisation (ridge 8.0)",
            ResponseModel::LowRank { ridge: 5.0, rank: 3, rank_ridge: 8.0 },
        ),
        (
            "additive + rank-6 factorisation (ridge 12.0)",
            ResponseModel::LowRank { ridge: 5.0, rank: 6, rank_ridge: 12.0 },
        ),
    ];
    for (name, model) in models {
        let expected = reference.iter().find(|r| r["name"] == name).unwrap_or_else(|| panic!("no {name}"));
        let fitted = FittedResponses::fit(model, &train).expect("training pairs");
        let predicted: Vec<Predicted> = test
            .iter()
            .map(|r| Predicted {
                response: r.clone(),
                prediction: fitted.predict(&r.drug, &r.line),
                fold: String::new(),
            })
            .collect();
        let metrics = measure(&predicted.iter().collect::<Vec<_>>()).expect("finite");
        for (ours, theirs) in [
            ("pearson", "pcc"),
            ("spearman", "scc"),
            ("rmse", "rmse"),
            ("pearson_within_drug", "mean_per_drug_pcc"),
            ("pearson_within_line", "mean_per_cell_pcc"),
        ] {
            println!("{name}: {ours} {:?} (reference {})", metrics[ours], expected[theirs]);
            match (metrics[ours], expected[theirs].as_f64()) {
                (Some(found), Some(expected)) => assert!(
                    (found - expected).abs() <= TOLERANCE * expected.abs().max(1.0),
                    "{name}: {ours} {found} instead of {expected}"
                ),
                (None, None) => {}
                (found, expected) => panic!("{name}: {ours} {found:?} instead of {expected:?}"),
            }
        }
        assert_eq!(metrics["drugs_defined"], expected["n_drugs"].as_f64(), "{name}");
    }
}

fn write(path: &Path, header: &str, rows: impl Iterator<Item = String>) {
    let text: String = std::iter::once(header.to_owned()).chain(rows).map(|row| row + "\n").collect();
    fs_err::write(path, text).expect("table");
}

fn with(value: Value) -> Map<String, Value> {
    let Value::Object(map) = value else { panic!("parameters are an object") };
    map
}

fn report(path: &Path) -> ReportDocument {
    serde_json::from_str(&fs_err::read_to_string(path).expect("report")).expect("a report document")
}

/// Six drugs that differ much, eight lines that differ little, and a model that knows the drugs only.
#[test]
fn a_model_that_ignores_the_line_is_called_out() {
    let temporary = tempfile::tempdir().expect("folder");
    let root = temporary.path();
    let truth = |drug: usize, line: usize| drug as f64 * 2.0 + (line as f64 * 0.9).sin();
    let cells = || (0..6).flat_map(|drug| (0..8).map(move |line| (drug, line)));
    let tables = root.join("pairs.csv");
    write(
        &tables,
        "drug,line,truth,prediction,part",
        cells().map(|(d, l)| format!("d{d},l{l},{},{},{}", truth(d, l), d as f64 * 2.0 + 0.1, (d + l) % 3)),
    );
    let run = |name: &str, params: Value, inputs: &[(&str, &str, &Path)]| {
        let folder = root.join(name);
        fs_err::create_dir_all(&folder).expect("folder");
        run_alone(&EvaluateRegression, with(params), inputs, &folder, "cpu")
    };
    let inputs = [("predictions", "model=deaf", tables.as_path())];
    let (summary, outputs) = run("folds", json!({"fold": "part", "rank": 1}), &inputs).expect("report");
    let document = report(&outputs["report"]);
    assert!(
        summary.warnings.iter().any(|w| w.contains("the same for every line of 6 of 6 drugs")),
        "{:?}",
        summary.warnings
    );
    assert!(
        summary.warnings.iter().any(|w| w.contains("is not better than the baseline")),
        "{:?}",
        summary.warnings
    );
    assert_eq!(document.metrics["deaf"]["merged"]["pearson_within_drug"], Value::Null, "undefined, not 0");
    assert_eq!(document.metrics["deaf"]["merged"]["drugs_defined"], json!(0.0));
    assert!(
        document.metrics["additive drug + line"]["merged"]["pearson_within_drug"].as_f64().expect("defined")
            > 0.9
    );
    assert_eq!(document.metrics["deaf"]["folds"].as_object().expect("folds").len(), 3);
    let (again, bytes) = run("again", json!({"fold": "part", "rank": 1}), &inputs).expect("report");
    assert_eq!(again.warnings, summary.warnings);
    assert_eq!(
        fs_err::read(&bytes["report"]).expect("file"),
        fs_err::read(&outputs["report"]).expect("file")
    );

    // A training table, with two pairs that are tested too.
    let training = root.join("training.tsv");
    let rows = cells().filter(|(d, l)| (d + l) % 2 == 0).take(2).chain((0..6).map(|d| (d, 20)));
    write(&training, "drug\tline\ttruth", rows.map(|(d, l)| format!("d{d}\tl{l}\t{}", truth(d, l))));
    let inputs = [inputs[0], ("training", "", training.as_path())];
    let (summary, _) = run("trained", json!({}), &inputs).expect("report");
    assert!(summary.warnings.iter().any(|w| w.contains("2 of 48 test pairs")), "{:?}", summary.warnings);
    let (summary, outputs) = run("alone", json!({}), &inputs[..1]).expect("report");
    assert!(summary.warnings.iter().any(|w| w.contains("no baselines")), "{:?}", summary.warnings);
    assert_eq!(report(&outputs["report"]).metrics.len(), 1);
    let refused = run("typo", json!({"drug": "drugs"}), &inputs).expect_err("no such column");
    assert!(refused.message.contains("there is no column `drugs`"), "{}", refused.message);
}
