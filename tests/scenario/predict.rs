//! `celldag predict`: new cells with the heads of the quickstart.

use std::collections::BTreeMap;
use std::path::Path;

use crate::sandbox::{Sandbox, borrowed, quickstart, quickstart_data, repository};

/// Cell → (column → value).
fn table(text: &str) -> BTreeMap<String, BTreeMap<String, String>> {
    let mut lines = text.lines();
    let header: Vec<&str> = lines.next().expect("header").split(',').collect();
    lines
        .map(|line| {
            let row: BTreeMap<String, String> = header
                .iter()
                .map(|name| (*name).to_owned())
                .zip(line.split(',').map(str::to_owned))
                .collect();
            (row["cell_id"].clone(), row)
        })
        .collect()
}

fn number(text: &str) -> f64 {
    text.parse().unwrap_or_else(|_| panic!("`{text}` is no number"))
}

/// A sandbox in which the quickstart has run.
fn trained() -> (Sandbox, String) {
    let sandbox = Sandbox::new();
    let args = quickstart(&sandbox);
    sandbox.computed(&borrowed(&args));
    let [_, checkpoint] = quickstart_data();
    (sandbox, checkpoint.trim_start_matches("checkpoint=").to_owned())
}

#[test]
fn new_cells_get_what_the_heads_of_all_folds_say() {
    let (sandbox, checkpoint) = trained();
    let [cells, _] = quickstart_data();
    let path = cells.trim_start_matches("cells=");
    let filtered = format!(
        "celldag: 1\nname: filtered\nnodes:\n  qc: {{uses: qc, in: {{cells: {path}}}, with: {{min_genes: 100, min_cells: 3}}}}\noutputs: {{new.h5ad: qc.cells}}\n"
    );
    sandbox.write("filtered.yaml", &filtered);
    sandbox.ok(&["run", "filtered.yaml", "--device", "cpu"]);
    let predict = [
        "predict",
        "new.h5ad",
        "--run",
        "last",
        "--checkpoint",
        &checkpoint,
        "--device",
        "cpu",
        "-o",
        "new.csv",
    ];
    // The newest run is now that of `qc`.
    let wrong = sandbox.run(&predict);
    assert_eq!(wrong.code, 2, "{}", wrong.stderr);
    assert!(wrong.stderr.contains("no trained head"), "{}", wrong.stderr);
    let runs = sandbox.ok(&["runs", "--json"]).stdout;
    let runs: serde_json::Value = serde_json::from_str(&runs).expect("JSON");
    let run = runs
        .as_array()
        .expect("runs")
        .iter()
        .find(|run| run["pipeline"] == "quickstart")
        .expect("the quickstart");
    let id = run["id"].as_str().expect("id").to_owned();
    let predict = [
        "predict",
        "new.h5ad",
        "--run",
        &id,
        "--checkpoint",
        &checkpoint,
        "--device",
        "cpu",
        "-o",
        "new.csv",
    ];
    sandbox.ok(&predict);

    let text = fs_err::read_to_string(sandbox.join("new.csv")).expect("predictions");
    assert!(text.starts_with("cell_id,score,prediction,score["), "{}", &text[..80]);
    let new = table(&text);
    // Each cell was tested in one fold: the head of that fold must say the same again.
    let old =
        fs_err::read_to_string(sandbox.join("results/quickstart/predictions.csv")).expect("predictions");
    let old = table(&old);
    assert_eq!(new.len(), old.len());
    let positive = old.values().next().expect("a cell")["positive"].clone();
    for (cell, tested) in &old {
        let row = &new[cell];
        let again = number(&row[&format!("fold[{}]", tested["fold"])]);
        assert!((again - number(&tested["score"])).abs() < 1e-6, "{cell}: {again} and {tested:?}");
        let mean = (0..5).map(|fold| number(&row[&format!("fold[{fold}]")])).sum::<f64>() / 5.0;
        let score = number(&row["score"]);
        assert!(
            (mean - score).abs() < 1e-9 && score == number(&row[&format!("score[{positive}]")]),
            "{cell}"
        );
        assert_eq!(row["prediction"] == positive, score >= 0.5, "{cell}");
    }
    let again = sandbox.ok(&[&predict[..], &["--json"]].concat());
    assert!(again.events("finished").is_empty(), "everything is cached");
}

#[test]
fn other_genes_are_warned_about_and_no_cell_is_lost() {
    let (sandbox, checkpoint) = trained();
    let genes =
        ["ENSG00000019582", "ENSG00000204287", "ENSG00000156508", "ENSG00000205542", "ENSG00000166710"];
    sandbox.write(
        "few.csv",
        &format!("barcode,{}\nx,50,40,9,3,1\nnothing,0,0,0,0,0\ny,0,1,9,30,11\n", genes.join(",")),
    );
    let run = sandbox.ok(&[
        "predict",
        "few.csv",
        "--run",
        "last",
        "--checkpoint",
        &checkpoint,
        "--device",
        "cpu",
        "-o",
        "few.out.csv",
    ]);
    assert!(
        run.stderr.contains("genes of the model's vocabulary, those of the training had"),
        "{}",
        run.stderr
    );
    let text = fs_err::read_to_string(sandbox.join("few.out.csv")).expect("predictions");
    let cells: Vec<&str> = text.lines().skip(1).map(|line| line.split(',').next().expect("cell")).collect();
    assert_eq!(cells, ["x", "nothing", "y"]);
    let rows = table(&text);
    assert!(rows["nothing"]["score"].is_empty() && rows["nothing"]["prediction"].is_empty(), "{text}");
    assert!((0.0..=1.0).contains(&number(&rows["x"]["score"])));
}

#[test]
fn another_checkpoint_or_head_is_refused() {
    let (sandbox, checkpoint) = trained();
    let cells = repository().join("pipelines/data/pbmc68k_700.h5ad").display().to_string();
    let predict = |more: &[&str]| {
        sandbox.run(
            &[&["predict", &cells, "--run", "last", "--device", "cpu", "-o", "out.csv"][..], more].concat(),
        )
    };
    let none = predict(&["--checkpoint", &checkpoint, "--head", "embedding"]);
    assert_eq!(none.code, 2, "{}", none.stderr);
    assert!(none.stderr.contains("trained by: head"), "{}", none.stderr);

    let other = sandbox.join("other");
    retrained(checkpoint.as_ref(), &other);
    let runs = || sandbox.ok(&["runs", "--json"]).stdout;
    let before = runs();
    let changed = predict(&["--checkpoint", &other.display().to_string()]);
    assert_eq!(changed.code, 3, "{}", changed.stderr);
    assert!(changed.stderr.contains("another checkpoint"), "{}", changed.stderr);
    assert_eq!(runs(), before, "refused before anything is embedded");
    assert!(!sandbox.join("out.csv").exists());
}

#[test]
fn the_checkpoint_that_the_run_read_is_found_from_any_folder() {
    // It was given by --set: the pipeline file names another, which is not there.
    let (sandbox, _) = trained();
    let [cells, _] = quickstart_data();
    let store = sandbox.join(".celldag").display().to_string();
    let cells = cells.trim_start_matches("cells=");
    let elsewhere = Sandbox::new();
    elsewhere.ok(&["predict", cells, "--run", "last", "--cache", &store, "--device", "cpu", "-o", "out.csv"]);
    assert!(elsewhere.join("out.csv").exists());
}

#[test]
fn a_project_that_was_moved_still_has_its_checkpoint() {
    let sandbox = Sandbox::new();
    let [cells, checkpoint] = quickstart_data();
    let cells = cells.trim_start_matches("cells=");
    copied(checkpoint.trim_start_matches("checkpoint=").as_ref(), &sandbox.join("old/models/own"));
    sandbox.write(
        "old/study.yaml",
        &format!(
            r#"celldag: 1
name: study
nodes:
  split: {{uses: split, in: {{cells: "{cells}"}}, with: {{kind: stratified-k-fold, folds: 2, label: myeloid}}}}
  tokens: {{uses: tokenize, in: {{cells: "{cells}", checkpoint: models/own}}, with: {{model: geneformer}}}}
  embedding: {{uses: embed, in: {{tokens: tokens.tokens, checkpoint: models/own}}}}
  head: {{uses: linear-head, in: {{embedding: embedding.embedding, split: split.split}}, with: {{fold: 0}}}}
"#
        ),
    );
    sandbox.computed(&["old/study.yaml"]);
    fs_err::rename(sandbox.join("old"), sandbox.join("new")).expect("renamed");
    // What stands in the old place now is another project.
    retrained(&sandbox.join("new/models/own"), &sandbox.join("old/models/own"));
    let runs = sandbox.ok(&["runs", "--json", "--cache", "new/.celldag"]).stdout;
    let runs: serde_json::Value = serde_json::from_str(&runs).expect("JSON");
    let run = runs[0]["id"].as_str().expect("id");
    let predict =
        ["predict", cells, "--run", run, "--cache", "new/.celldag", "--device", "cpu", "-o", "out.csv"];
    sandbox.ok(&predict);
    assert!(sandbox.join("out.csv").exists());

    fs_err::remove_dir_all(sandbox.join("new/models")).expect("deleted");
    let gone = sandbox.run(&predict);
    assert_eq!(gone.code, 2, "{}", gone.stderr);
    assert!(
        gone.stderr.contains("old/models/own") && gone.stderr.contains("--checkpoint DIR"),
        "{}",
        gone.stderr
    );
}

fn copied(from: &Path, to: &Path) {
    fs_err::create_dir_all(to).expect("folder");
    for entry in fs_err::read_dir(from).expect("checkpoint") {
        let entry = entry.expect("entry");
        fs_err::copy(entry.path(), to.join(entry.file_name())).expect("copy");
    }
}

/// A checkpoint with one other bit in its last weight.
fn retrained(from: &Path, to: &Path) {
    fs_err::create_dir_all(to).expect("folder");
    for entry in fs_err::read_dir(from).expect("checkpoint") {
        let entry = entry.expect("entry");
        let mut bytes = fs_err::read(entry.path()).expect("file");
        if entry.file_name() == "model.safetensors" {
            let last = bytes.len() - 2;
            bytes[last] ^= 1;
        }
        fs_err::write(to.join(entry.file_name()), bytes).expect("file");
    }
}

#[test]
fn of_several_trainings_one_is_chosen_with_its_own_checkpoint() {
    let sandbox = Sandbox::new();
    let [cells, checkpoint] = quickstart_data();
    let (cells, checkpoint) =
        (cells.trim_start_matches("cells="), checkpoint.trim_start_matches("checkpoint="));
    let (one, two) = (sandbox.join("models/one"), sandbox.join("models/two"));
    copied(checkpoint.as_ref(), &one);
    retrained(&one, &two);
    sandbox.write(
        "study.yaml",
        &format!(
            r#"celldag: 1
name: study
axes: {{weights: [one, two], fold: {{range: 2}}}}
nodes:
  split: {{uses: split, in: {{cells: "{cells}"}}, with: {{kind: stratified-k-fold, folds: 2, label: myeloid}}}}
  tokens: {{uses: tokenize, foreach: [weights], in: {{cells: "{cells}", checkpoint: "models/${{weights}}"}}, with: {{model: geneformer}}}}
  embedding: {{uses: embed, foreach: [weights], in: {{tokens: tokens.tokens, checkpoint: "models/${{weights}}"}}}}
  head: {{uses: linear-head, foreach: [weights, fold], in: {{embedding: embedding.embedding, split: split.split}}, with: {{fold: "${{fold}}"}}}}
"#
        ),
    );
    sandbox.computed(&["study.yaml"]);
    let run = sandbox.ok(&["runs", "--json"]).stdout;
    let run: serde_json::Value = serde_json::from_str(&run).expect("JSON");
    let run = run[0]["id"].as_str().expect("id").to_owned();
    let predict = |head: Option<&str>| {
        let mut args = vec!["predict", cells, "--run", &run, "--device", "cpu", "-o", "out.csv"];
        args.extend(head.iter().flat_map(|head| ["--head", head]));
        sandbox.run(&args)
    };
    for head in [None, Some("head"), Some("head[fold=0]")] {
        let asked = predict(head);
        assert_eq!(asked.code, 2, "{head:?}: {}", asked.stderr);
        assert!(asked.stderr.contains("head[weights=one], head[weights=two]"), "{head:?}: {}", asked.stderr);
    }
    assert!(!sandbox.join("out.csv").exists());

    let columns = |head: &str| {
        let done = predict(Some(head));
        assert_eq!(done.code, 0, "{head}: {}", done.stderr);
        let text = fs_err::read_to_string(sandbox.join("out.csv")).expect("predictions");
        let header = text.lines().next().expect("header").to_owned();
        (header.matches("fold[").count(), done.stderr)
    };
    let (folds, said) = columns("head[weights=two]");
    assert!(folds == 2 && !said.contains("heads of the training"), "{folds}: {said}");
    let (folds, said) = columns("head[weights=two,fold=1]");
    assert!(folds == 1 && said.contains("1 of 2 heads of the training"), "{folds}: {said}");

    // Names do not count, content does.
    fs_err::rename(&two, sandbox.join("models/three")).expect("renamed");
    fs_err::rename(&one, &two).expect("renamed");
    fs_err::rename(sandbox.join("models/three"), &one).expect("renamed");
    assert_eq!(columns("head[weights=two]").0, 2);
    fs_err::remove_file(one.join("model.safetensors")).expect("deleted");
    let gone = predict(Some("head[weights=two]"));
    assert_eq!(gone.code, 2, "{}", gone.stderr);
    assert!(
        gone.stderr.contains("--checkpoint DIR") && gone.stderr.contains("models/two"),
        "{}",
        gone.stderr
    );
}
