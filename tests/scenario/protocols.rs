//! The pipelines of the protocols on real labelled cells with the small checkpoint: do their figures say what each protocol
//! is there to say?

use crate::sandbox::{Sandbox, fixtures};
use crate::studies::{Report, apart, cut, run};

const LOGISTIC: &str = "logistic regression (PCA 50)";
const AFATINIB: [&str; 4] = ["--set", "label=response_afatinib", "--set", "positive=sensitive"];

/// Five libraries of the same five cancer lines, each as a data set of its own; half of the cells.
fn lung_libraries(sandbox: &Sandbox) -> Option<()> {
    let cells = fixtures()?.join("data/lung5_mixology/lung5_mixology.h5ad");
    apart(sandbox, &cells, "batch", 2);
    Some(())
}

#[test]
fn pooled_and_cross_ask_different_questions_of_the_same_cells() {
    let sandbox = Sandbox::new();
    if lung_libraries(&sandbox).is_none() {
        return;
    }
    let with = |more: &[&'static str]| [AFATINIB.as_slice(), more].concat();

    let pooled = run(
        &sandbox,
        "drug_response_pooled",
        &with(&["--profile", "lora", "--set", "folds=3", "--set", "epochs=20", "--set", "lora_epochs=2"]),
    );
    let report = Report::read(&sandbox, "drug_response_pooled/metrics.json");
    assert_eq!(report.names("model"), ["frozen", "linear", "lora"]);
    assert!(report.names("baseline").contains(&LOGISTIC), "{:?}", report.names("baseline"));
    for model in ["frozen", "linear", "lora", LOGISTIC] {
        let by = report.by(model, "dataset", "auroc");
        assert_eq!(by.len(), 5, "a figure for each data set of {model}: {by:?}");
        println!("pooled {model}: AUROC {:.3}, by data set {by:.2?}", report.mean(model, "auroc"));
    }
    // Lines are in every library and in every fold: all that is asked is the line.
    assert!(report.mean(LOGISTIC, "auroc") > 0.98);
    assert!(report.mean("linear", "auroc") > 0.8 && report.mean("lora", "auroc") > 0.7);
    for word in ["cell_line", "does not keep the values of"] {
        assert!(
            report.warnings().contains(word) && pooled.stderr.contains(word),
            "{word}: {}",
            report.warnings()
        );
    }

    run(&sandbox, "drug_response_cross", &with(&["--set", "epochs=20"]));
    let libraries = Report::read(&sandbox, "drug_response_cross/metrics.json");
    assert_eq!(libraries.names("model"), ["frozen", "linear"], "no LoRA unless asked for");
    assert!(libraries.warnings().contains("cell_line"), "the lines are on both sides all the same");
    run(&sandbox, "drug_response_cross", &with(&["--set", "epochs=20", "--set", "group=cell_line"]));
    let lines = Report::read(&sandbox, "drug_response_cross/metrics.json");
    assert!(!lines.warnings().contains("fixed by column `cell_line`"), "{}", lines.warnings());
    for model in ["linear", LOGISTIC] {
        let (library, line) = (libraries.merged(model, "auroc"), lines.merged(model, "auroc"));
        println!("cross {model}: AUROC {library:.3} with libraries left out, {line:.3} with lines left out");
        assert!(
            line < library - 0.1,
            "{model}: a new line is another question than a new library: {line}, {library}"
        );
    }
    let by = lines.by("linear", "dataset", "f1");
    assert_eq!(by.len(), 5, "the table by data set stays when lines are left out: {by:?}");
}

#[test]
fn the_published_protocol_leaks_and_its_report_says_so() {
    let sandbox = Sandbox::new();
    if lung_libraries(&sandbox).is_none() {
        return;
    }
    for (model, more) in [("frozen", [].as_slice()), ("fine_tuned", &["--profile", "ft"])] {
        let ran = run(&sandbox, "scdrugmap_as_published", &[AFATINIB.as_slice(), more].concat());
        let report = Report::read(&sandbox, "scdrugmap_as_published/metrics.json");
        assert_eq!(report.names("model"), [model]);
        for leak in ["cell_line", "batch", "does not keep the values of"] {
            assert!(
                report.warnings().contains(leak) && ran.stderr.contains(leak),
                "{leak}: {}",
                report.warnings()
            );
        }
        // Its own conventions in a table of their own, beside figures that rank as they predict.
        let published = report.json()["metrics"][model]["as_published"].as_object().expect("its conventions");
        let auroc = published["auroc"].as_f64().expect("a number");
        println!("published {model}: {published:?}; sound AUROC {:.3}", report.merged(model, "auroc"));
        assert!(auroc > 0.5 && (0.0..=1.0).contains(&report.merged(model, "f1")));
        assert!(report.merged(LOGISTIC, "auroc") > 0.98, "one random split only asks for the line");
        let split = fs_err::read_to_string(sandbox.join("scdrugmap_as_published/split.csv")).expect("split");
        let (train, test) = (split.matches(",train,").count(), split.matches(",test,").count());
        assert_eq!(
            (train, split.matches(",validation,").count()),
            ((train + test) * 4 / 5, 0),
            "int(0.8 N) train"
        );
    }
}

#[test]
fn zero_shot_measures_vectors_and_heads_on_patients_left_out() {
    let Some(fixtures) = fixtures() else { return };
    let sandbox = Sandbox::new();
    let cells = sandbox.join("gbm.h5ad");
    let source = fixtures.join("data/gbm_panobinostat_300g/gbm_panobinostat_300g.h5ad");
    cut(&source, &cells, |_, row| row % 5 == 0);
    let cells = format!("cells={}", cells.display());
    let set =
        ["label=label", "positive=1", "group=patient_id", "min_genes=50", "max_mito_fraction=1", "epochs=20"];
    let mut args: Vec<&str> = set.iter().flat_map(|set| ["--set", *set]).collect();
    args.extend(["--set", &cells, "--profile", "few_shot"]);
    run(&sandbox, "zero_shot", &args);

    let quality = Report::read(&sandbox, "zero_shot/embedding.json");
    let clisi = |model: &str| quality.merged(model, "clisi");
    println!("zero-shot vectors: cLISI {:.3}, of the genes {:.3}", clisi("geneformer"), clisi("PCA 50"));
    assert!(clisi("geneformer") < clisi("PCA 50"), "the small checkpoint was not made for glioblastoma");

    let none = Report::read(&sandbox, "zero_shot/metrics_0.json");
    let most = Report::read(&sandbox, "zero_shot/metrics_0.2.json");
    assert_eq!(none.by("linear", "patient_id", "auroc").len(), 5, "every patient is left out once");
    let tested = most.merged("linear", "n") / none.merged("linear", "n");
    assert!((tested - 0.8).abs() < 0.01, "shots are not tested: {tested}");
    assert!(most.warnings().contains("few-shot: 20.0 %") && !none.warnings().contains("few-shot"));
    for report in [&none, &most] {
        let of = |model| report.merged(model, "auroc");
        println!(
            "zero-shot heads: linear {:.3}, frozen {:.3}, genes {:.3}",
            of("linear"),
            of("frozen"),
            of(LOGISTIC)
        );
        // The small checkpoint knows little of glioblastoma; the genes themselves know a lot.
        assert!(of(LOGISTIC) > 0.75 && of("linear") > 0.5 && of("linear") < of(LOGISTIC));
    }
    assert!(
        fs_err::read_to_string(sandbox.join("zero_shot/report.html"))
            .expect("page")
            .contains("The vectors, without training")
    );
}

#[test]
fn lora_and_the_frozen_model_are_compared_on_the_same_folds() {
    let sandbox = Sandbox::new();
    let [cells, _] = crate::sandbox::quickstart_data();
    let set = ["label=myeloid", "positive=1", "min_genes=100", "folds=3", "epochs=2", "early_stopping=0"];
    let mut args: Vec<&str> = set.iter().flat_map(|set| ["--set", *set]).collect();
    args.extend(["--set", &cells, "--profile", "ungrouped"]);
    run(&sandbox, "drug_response_lora", &args);
    let report = Report::read(&sandbox, "drug_response_lora/metrics.json");
    assert_eq!(report.names("model"), ["frozen", "linear", "lora"]);
    for model in report.names("model") {
        println!(
            "{model}: AUROC {:.3}, {:.3} over all",
            report.mean(model, "auroc"),
            report.merged(model, "auroc")
        );
        assert!(report.mean(model, "auroc") > 0.9, "{model} tells blood cells apart");
    }
    let compared = report.json()["metrics"]["frozen"]["compared"].to_string();
    assert!(compared.contains("lora"), "a paired test of frozen and LoRA: {compared}");
    // Fine-tuning changed what the model says.
    assert!(report.merged("lora", "log_loss") != report.merged("frozen", "log_loss"));
    assert!(sandbox.join("drug_response_lora/adapter/repeat0.fold1/adapter_config.json").is_file());
    assert!(report.warnings().contains("cell_type"), "{}", report.warnings());
}
