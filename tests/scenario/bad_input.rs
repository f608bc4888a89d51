//! Bad input: exit code 3, and a message that names the file, the place in it and the remedy. Nothing is half written.

use std::path::PathBuf;

use crate::sandbox::{Finished, Sandbox, repository};

fn good_cells() -> PathBuf {
    repository().join("pipelines/data/pbmc68k_700.h5ad")
}

fn good_checkpoint() -> PathBuf {
    repository().join("pipelines/models/geneformer-mini")
}

/// Cells × genes as text: rows that differ, as real cells do.
fn table(rows: &[(&str, &[&str])]) -> String {
    let genes = rows.first().map_or(0, |(_, values)| values.len());
    let mut text = String::from("Cell_barcode,Condition");
    for gene in 0..genes {
        text.push_str(&format!(",GENE{gene}"));
    }
    text.push('\n');
    for (i, (barcode, values)) in rows.iter().enumerate() {
        let condition = if i % 2 == 0 { "sensitive" } else { "resistant" };
        text.push_str(&format!("{barcode},{condition},{}\n", values.join(",")));
    }
    text
}

fn refused(name: &str, finished: &Finished, words: &[&str]) {
    assert_eq!(finished.code, 3, "{name}: {}\n{}", finished.stdout, finished.stderr);
    for word in words {
        assert!(finished.stderr.contains(word), "{name}: `{word}` is missing in\n{}", finished.stderr);
    }
    assert!(!finished.stderr.contains("panicked"), "{name}:\n{}", finished.stderr);
}

fn qc(sandbox: &Sandbox, cells: &str, with: &[&str]) -> Finished {
    let cells = format!("cells={cells}");
    let mut args = vec!["step", "qc", "--device", "cpu", "--in", &cells, "--out", "cells=out.h5ad"];
    args.extend(with.iter().flat_map(|with| ["--with", *with]));
    let finished = sandbox.run(&args);
    if finished.code != 0 {
        assert!(!sandbox.join("out.h5ad").exists(), "an output of a failed step");
    }
    finished
}

#[test]
fn cells_that_cannot_be_read() {
    let sandbox = Sandbox::new();
    let whole = fs_err::read(good_cells()).expect("cells");
    for keep in [100, 2_000, whole.len() / 2, whole.len() - 1] {
        fs_err::write(sandbox.join("cut.h5ad"), &whole[..keep]).expect("cut.h5ad");
        refused(&format!("truncated to {keep} bytes"), &qc(&sandbox, "cut.h5ad", &[]), &["cut.h5ad"]);
    }
    sandbox.write("text.h5ad", "this is no HDF5 file\n");
    refused("not HDF5", &qc(&sandbox, "text.h5ad", &[]), &["text.h5ad", "HDF5"]);
    refused("missing file", &qc(&sandbox, "nowhere.h5ad", &[]), &["nowhere.h5ad", "does not exist"]);
}

#[test]
fn tables_with_impossible_counts() {
    let rows: &[(&str, &[&str], &[&str])] = &[
        ("NaN", &["1", "NaN", "0"], &["t.csv", "b", "GENE1"]),
        ("negative", &["1", "-2", "0"], &["t.csv", "b", "GENE1", "-2"]),
        ("not an integer", &["1", "0.37", "0"], &["t.csv", "b", "GENE1", "0.37"]),
    ];
    for (name, bad, words) in rows {
        let sandbox = Sandbox::new();
        sandbox.write("t.csv", &table(&[("a", &["3", "0", "1"]), ("b", bad), ("c", &["0", "2", "5"])]));
        refused(name, &qc(&sandbox, "t.csv", &["min_genes=0", "min_cells=0"]), words);
    }
    let sandbox = Sandbox::new();
    sandbox.write("t.csv", &table(&[("a", &["3", "0"]), ("b", &["1", "1"]), ("a", &["0", "2"])]));
    refused("duplicated barcodes", &qc(&sandbox, "t.csv", &["min_genes=0"]), &["t.csv", "`a`", "0", "2"]);
    sandbox.write("e.csv", "Cell_barcode,Condition,GENE0,GENE1\n");
    refused("empty matrix", &qc(&sandbox, "e.csv", &["min_genes=0"]), &["e.csv"]);
}

#[test]
fn filters_that_leave_nothing() {
    let sandbox = Sandbox::new();
    let cells = good_cells();
    let finished = qc(&sandbox, cells.to_str().expect("path"), &["min_genes=20000"]);
    refused("all cells filtered out", &finished, &["min_genes", "20000", "700"]);
}

#[test]
fn labels_that_cannot_be_learned() {
    let sandbox = Sandbox::new();
    let cells = format!("cells={}", good_cells().display());
    let split = |label: &str| {
        let label = format!("label={label}");
        sandbox.run(&["step", "split", "--in", &cells, "--with", &label, "--with", "kind=k-fold"])
    };
    refused("label column missing", &split("myelod"), &["myelod", "myeloid"]);
    sandbox.write(
        "t.csv",
        "Cell_barcode,Condition,G0,G1\na,sensitive,1,2\nb,sensitive,0,3\nc,sensitive,4,0\nd,sensitive,2,2\n",
    );
    let finished = sandbox.run(&[
        "step",
        "split",
        "--in",
        "cells=t.csv",
        "--with",
        "label=Condition",
        "--with",
        "kind=k-fold",
        "--with",
        "folds=2",
    ]);
    refused("label constant", &finished, &["Condition", "sensitive"]);
}

fn embed(sandbox: &Sandbox, cells: &str, checkpoint: &str) -> Finished {
    sandbox.run(&[
        "embed",
        cells,
        "--model",
        "geneformer",
        "--checkpoint",
        checkpoint,
        "--device",
        "cpu",
        "-o",
        "out.h5ad",
    ])
}

fn copy_checkpoint(sandbox: &Sandbox) -> PathBuf {
    let copy = sandbox.join("checkpoint");
    fs_err::create_dir_all(&copy).expect("folder");
    for entry in fs_err::read_dir(good_checkpoint()).expect("checkpoint") {
        let entry = entry.expect("entry");
        fs_err::copy(entry.path(), copy.join(entry.file_name())).expect("copy");
    }
    copy
}

#[test]
fn genes_of_another_world() {
    let sandbox = Sandbox::new();
    sandbox.write("t.csv", &table(&[("a", &["3", "0", "1"]), ("b", &["1", "4", "0"])]));
    let finished = embed(&sandbox, "t.csv", good_checkpoint().to_str().expect("path"));
    refused("genes that match nothing", &finished, &["GENE0", "ensembl_id"]);
}

#[test]
fn checkpoints_that_do_not_fit() {
    let cells = good_cells();
    let cells = cells.to_str().expect("path");

    let sandbox = Sandbox::new();
    let checkpoint = copy_checkpoint(&sandbox);
    let config = fs_err::read_to_string(checkpoint.join("config.json")).expect("config.json");
    let other = config.replace("13371", "25426");
    assert_ne!(config, other, "the vocabulary size of geneformer-mini");
    fs_err::write(checkpoint.join("config.json"), other).expect("config.json");
    refused(
        "wrong dictionary",
        &embed(&sandbox, cells, "checkpoint"),
        &["13371", "25426", "put the dictionary"],
    );

    let sandbox = Sandbox::new();
    let checkpoint = copy_checkpoint(&sandbox);
    let weights = fs_err::read(checkpoint.join("model.safetensors")).expect("weights");
    let renamed = rename_tensor(
        &weights,
        "bert.encoder.layer.0.output.dense.bias",
        "bert.encoder.layer.0.output.dense.bia_",
    );
    fs_err::write(checkpoint.join("model.safetensors"), renamed).expect("weights");
    refused(
        "missing tensor",
        &embed(&sandbox, cells, "checkpoint"),
        &["bert.encoder.layer.0.output.dense.bias"],
    );

    let sandbox = Sandbox::new();
    let checkpoint = copy_checkpoint(&sandbox);
    // What `pickle.dumps` makes of an object whose __reduce__ is (os.system, ("touch hacked",)), protocol 0.
    fs_err::write(checkpoint.join("token_dictionary.pkl"), b"cposix\nsystem\n(Vtouch hacked\ntR.")
        .expect("pickle");
    refused("hostile pickle", &embed(&sandbox, cells, "checkpoint"), &["token_dictionary.pkl", "system"]);
    assert!(!sandbox.join("hacked").exists(), "the pickle was executed");
}

/// Renames a tensor in the header of a safetensors file without changing its length.
fn rename_tensor(file: &[u8], from: &str, to: &str) -> Vec<u8> {
    assert_eq!(from.len(), to.len());
    let at =
        file.windows(from.len()).position(|window| window == from.as_bytes()).expect("the tensor's name");
    let mut renamed = file.to_vec();
    renamed[at..at + to.len()].copy_from_slice(to.as_bytes());
    renamed
}
