//! Baselines of drug response on the published test split of real ln IC50 values, and the kind that reports them.

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
    let path = crate::common::fixtures()?.join("data/response_gdsc/pairs.csv.gz");
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
    let reference = crate::common::json("data/response_gdsc/baselines.json").expect("beside the pairs");
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

    // The mean of the other folds: another number for each drug in every fold, still deaf to the line.
    let fitted = root.join("means.csv");
    let mean = |drug: usize, fold: usize| {
        let rest: Vec<f64> = (0..8).filter(|l| (drug + l) % 3 != fold).map(|l| truth(drug, l)).collect();
        rest.iter().sum::<f64>() / rest.len() as f64
    };
    write(
        &fitted,
        "drug,line,truth,prediction,part",
        cells().map(|(d, l)| format!("d{d},l{l},{},{},{}", truth(d, l), mean(d, (d + l) % 3), (d + l) % 3)),
    );
    let means = [("predictions", "", fitted.as_path())];
    let (summary, outputs) = run("means", json!({"fold": "part", "rank": 1}), &means).expect("report");
    assert!(
        summary.warnings.iter().any(|w| w.contains("the same for every line of 6 of 6 drugs")),
        "{:?}",
        summary.warnings
    );
    assert_eq!(report(&outputs["report"]).metrics["model"]["merged"]["pearson_within_drug"], Value::Null);
    let both = [means[0], ("predictions", "fold=1", fitted.as_path())];
    let refused = run("both", json!({"fold": "part"}), &both).expect_err("each pair twice");
    assert!(refused.message.contains("predict the pair of drug `d0` and line `l0`"), "{}", refused.message);

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

/// One model lacks a pair, and says the same for every line of a drug: nothing is compared over more than both have.
#[test]
fn models_are_compared_over_the_same_pairs_and_drugs() {
    let temporary = tempfile::tempdir().expect("folder");
    let root = temporary.path();
    let truth = |drug: usize, line: usize| drug as f64 * 2.0 + ((drug + line) as f64 * 0.9).sin();
    let cells = || (0..6).flat_map(|drug| (0..8).map(move |line| (drug, line)));
    let model = |name: &str, has: &dyn Fn(usize, usize) -> bool, says: &dyn Fn(usize, usize) -> f64| {
        let path = root.join(name);
        let rows = cells().filter(|&(d, l)| has(d, l));
        let row =
            |(d, l): (usize, usize)| format!("d{d},l{l},{},{},{}", truth(d, l), says(d, l), (d + l) % 2);
        write(&path, "drug,line,truth,prediction,part", rows.map(row));
        path
    };
    let whole = model("whole.csv", &|_, _| true, &|d, l| truth(d, l) + 0.3 * (l as f64).cos());
    let part = model("part.csv", &|d, l| (d, l) != (0, 7), &|d, l| if d == 5 { 10.0 } else { truth(d, l) });
    let run = |name: &str, inputs: &[(&str, &str, &Path)]| {
        let folder = root.join(name);
        fs_err::create_dir_all(&folder).expect("folder");
        run_alone(&EvaluateRegression, with(json!({"fold": "part", "rank": 1})), inputs, &folder, "cpu")
    };
    let inputs = [("predictions", "whole", whole.as_path()), ("predictions", "part", part.as_path())];
    let (summary, outputs) = run("both", &inputs).expect("report");
    let document = report(&outputs["report"]);
    for name in ["whole", "part", "drug mean"] {
        assert_eq!(document.metrics[name]["merged"]["n"], json!(47.0), "{name}");
    }
    let warned = |what: &str| summary.warnings.iter().any(|w| w.contains(what));
    assert!(warned("over the same (1): drug d0, line l7 (fold 1)"), "{:?}", summary.warnings);
    assert!(
        warned(
            "“pearson_within_drug” is not defined for the same drugs everywhere: not in “part” for 1 (d5)"
        ),
        "{:?}",
        summary.warnings
    );
    let table = document.tables.iter().find(|t| t.title == "Means over the same").expect("a table");
    let row = table.rows.iter().find(|row| row[0] == "pearson_within_drug").expect("a row");
    assert_eq!(row[1], "5 of 6 drugs");
    let column = |name: &str| table.columns.iter().position(|c| c == name).expect("a model");
    assert!((row[column("part")].as_f64().expect("defined") - 1.0).abs() < 1e-9);
    assert_eq!(row[column("drug mean")], Value::Null, "never defined, and in nobody's way");
    let headline: Vec<&String> = document.headline.iter().map(|(name, _)| name).collect();
    assert!(headline.contains(&&"pearson_within_drug part (same drugs)".to_owned()), "{headline:?}");

    let other = model("other.csv", &|d, l| (d, l) == (0, 7), &truth);
    let apart = [inputs[1], ("predictions", "other", other.as_path())];
    let refused = run("apart", &apart).expect_err("nothing in common");
    assert!(refused.message.contains("no pair was tested by all models"), "{}", refused.message);
}

/// Lines whose features say what they answer: the regressions find it, the means of the drug do not.
#[test]
fn regressions_on_features_of_the_lines() {
    let temporary = tempfile::tempdir().expect("folder");
    let root = temporary.path();
    let feature = |line: usize, at: usize| ((line * 13 + at * 7) as f64 * 0.7).sin();
    let truth = |drug: usize, line: usize| drug as f64 + feature(line, drug) * 2.0;
    let lines = 40;
    let obs = celldag_data::Table::new((0..lines).map(|l| format!("l{l}")).collect());
    let features = root.join("lines.h5ad");
    let mut writer = celldag_data::H5adWriter::create(
        &features,
        &obs,
        &celldag_data::Table::new(Vec::new()),
        &celldag_data::WriteOptions::default(),
    )
    .expect("file");
    let values: Vec<f32> = (0..lines).flat_map(|l| (0..4).map(move |at| feature(l, at) as f32)).collect();
    writer.obsm("X_toy", 4, &values).expect("obsm");
    writer.finish().expect("finish");
    let table = root.join("pairs.csv");
    let pairs = (0..3).flat_map(|d| (0..lines + 1).map(move |l| (d, l)));
    write(
        &table,
        "drug,line,truth,prediction,part",
        pairs.map(|(d, l)| format!("d{d},l{l},{},{d},{}", truth(d, l), l % 4)),
    );
    let run = |name: &str, params: Value, inputs: &[(&str, &str, &Path)]| {
        let folder = root.join(name);
        fs_err::create_dir_all(&folder).expect("folder");
        run_alone(&EvaluateRegression, with(params), inputs, &folder, "cpu")
    };
    let inputs = [("predictions", "", table.as_path()), ("features", "", features.as_path())];
    let params = json!({"fold": "part", "rank": 1, "ridge_alpha": 0.1, "lasso_alpha": 0.01});
    let (summary, outputs) = run("both", params, &inputs).expect("report");
    let document = report(&outputs["report"]);
    for name in ["ridge per drug on features", "LASSO per drug on features"] {
        let within = document.metrics[name]["merged"]["pearson_within_drug"].as_f64().expect("defined");
        assert!(within > 0.9, "{name}: {within}");
    }
    assert!(summary.warnings.iter().any(|w| w.contains("3 of 123 pairs")), "{:?}", summary.warnings);
    let named =
        run("named", json!({"fold": "part", "baselines": ["ridge"]}), &inputs[..1]).expect_err("no features");
    assert!(named.message.contains("port `features`"), "{}", named.message);
    let (_, outputs) = run("none", json!({"fold": "part", "rank": 1}), &inputs[..1]).expect("report");
    assert_eq!(report(&outputs["report"]).metrics.len(), 5, "the model and the four means");
}

/// Twelve real drugs, every fifth line held out, 706 genes: the figures of scikit-learn 1.9.1 (`StandardScaler`, then
/// `Ridge(1000)` or `Lasso(0.1)` with tol 1e-10, one fit a drug).
#[test]
fn regressions_on_the_expression_of_real_lines() {
    let Some(folder) = crate::common::fixtures().map(|root| root.join("data/bulk_ccle_gdsc")) else { return };
    let mut text = String::new();
    flate2::read::MultiGzDecoder::new(
        fs_err::File::open(folder.join("gdsc_ln_ic50.csv.gz")).expect("responses"),
    )
    .read_to_string(&mut text)
    .expect("gzip");
    let features = folder.join("ccle580_cosmic706.h5ad");
    let lines = celldag_data::CellsFile::open(&features).expect("lines").obs().index.clone();
    let held: std::collections::BTreeSet<&String> = lines.iter().step_by(5).collect();
    let rows: Vec<csv::StringRecord> =
        csv::Reader::from_reader(text.as_bytes()).records().map(|r| r.expect("row")).collect();
    let drugs: std::collections::BTreeSet<&str> = rows.iter().map(|r| &r[0]).collect();
    let drugs: std::collections::BTreeSet<&str> = drugs.into_iter().take(12).collect();
    let temporary = tempfile::tempdir().expect("folder");
    let [test, training] = ["test.csv", "training.csv"].map(|name| temporary.path().join(name));
    let of = |tested: bool| {
        let own = rows.iter().filter(|r| held.contains(&r[1].to_owned()) == tested);
        let lines: Vec<String> = own
            .filter(|r| drugs.contains(&r[0]))
            .map(|r| format!("\"{}\",{},{},0", &r[0], &r[1], &r[2]))
            .collect();
        lines.into_iter()
    };
    write(&test, "drug,line,truth,prediction", of(true));
    write(&training, "drug,line,truth,unused", of(false));
    let out = temporary.path().join("out");
    fs_err::create_dir_all(&out).expect("folder");
    let inputs = [
        ("predictions", "", test.as_path()),
        ("training", "", training.as_path()),
        ("features", "", features.as_path()),
    ];
    let params = json!({"baselines": ["ridge", "lasso"], "ridge_alpha": 1000.0, "lasso_alpha": 0.1});
    let (_, outputs) = run_alone(&EvaluateRegression, with(params), &inputs, &out, "cpu").expect("report");
    let document = report(&outputs["report"]);
    for (name, expected) in [
        ("ridge per drug on features", [0.765_978_787_7, 1.189_768_910_1, 0.547_648_940_5]),
        ("LASSO per drug on features", [0.756_092_261_6, 1.212_074_686_1, 0.522_103_969_1]),
    ] {
        let merged = &document.metrics[name]["merged"];
        assert_eq!(merged["n"], json!(1302.0));
        for (metric, expected) in ["pearson", "rmse", "pearson_within_drug"].into_iter().zip(expected) {
            let found = merged[metric].as_f64().expect("defined");
            println!("{name}: {metric} {found:.6} (scikit-learn {expected:.6})");
            assert!((found - expected).abs() < 2e-4, "{name}: {metric} {found} instead of {expected}");
        }
    }
}
