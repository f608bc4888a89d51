//! `celldag embed-drug`: a table of SMILES to a table of vectors, and what is said about drugs that a model cannot read.

use std::path::Path;

use safetensors::SafeTensors;

use crate::sandbox::{Sandbox, fixtures};

/// Fixture, folder of the checkpoint, model, options, array of expected.safetensors.
const CASES: &[(&str, &str, &str, &[&str], &str)] = &[
    ("chemberta_77m", "checkpoint", "chemberta", &["pooling=cls"], "emb_cls"),
    ("chemberta_77m", "checkpoint", "chemberta", &["pooling=mean"], "emb_mean"),
    ("chemberta_zinc", "checkpoint", "chemberta", &[], "emb_cls"),
    ("chemberta_zinc", "checkpoint", "chemberta", &["pooling=mean"], "emb_mean"),
    ("molformer", "checkpoint", "molformer", &[], "pooled"),
    ("molformer", "checkpoint/original_ibm", "molformer", &[], "pooled_original_ibm"),
];

/// What the fixtures' READMEs suggest.
const TOLERANCE: f32 = 2e-5;

fn expected(file: &Path, name: &str) -> Vec<f32> {
    let bytes = fs_err::read(file).expect("expected.safetensors");
    let tensors = SafeTensors::deserialize(&bytes).expect("safetensors");
    let array = tensors.tensor(name).expect("array");
    array.data().chunks_exact(4).map(|b| f32::from_le_bytes([b[0], b[1], b[2], b[3]])).collect()
}

/// The numbers of a table whose names and SMILES hold no comma.
fn numbers(file: &Path) -> Vec<Vec<f32>> {
    let text = fs_err::read_to_string(file).expect("a table");
    let row = |line: &str| line.split(',').skip(2).map(|field| field.parse().unwrap_or(f32::NAN)).collect();
    text.lines().skip(1).map(row).collect()
}

fn text(path: &Path) -> &str {
    path.to_str().expect("path")
}

#[test]
fn vectors_are_those_of_the_reference() {
    let Some(fixtures) = fixtures() else { return };
    for (fixture, checkpoint, model, options, array) in CASES {
        let folder = fixtures.join("golden").join(fixture);
        let sandbox = Sandbox::new();
        let (drugs, checkpoint) = (folder.join("smiles.csv"), folder.join(checkpoint));
        let mut args = vec!["embed-drug", text(&drugs), "--model", model, "--checkpoint", text(&checkpoint)];
        args.extend(["--device", "cpu", "-o", "out.csv"]);
        args.extend(options.iter().flat_map(|option| ["--with", *option]));
        sandbox.ok(&args);
        let (found, wanted) = (
            numbers(&sandbox.join("out.csv")).concat(),
            expected(&folder.join("expected.safetensors"), array),
        );
        assert_eq!(found.len(), wanted.len(), "{fixture} {array}");
        let worst = found.iter().zip(&wanted).map(|(a, b)| (a - b).abs()).fold(0.0, f32::max);
        assert!(worst <= TOLERANCE, "{fixture} {array}: off by {worst:e}");
        // A second time nothing is computed.
        let again = sandbox.ok(&args);
        assert!(again.stderr.contains("0 computed, 1 cached"), "{}", again.stderr);
    }
}

#[test]
fn drugs_that_cannot_be_read_keep_their_rows() {
    let Some(fixtures) = fixtures() else { return };
    let checkpoint = fixtures.join("golden/molformer/checkpoint");
    let sandbox = Sandbox::new();
    sandbox.write("drugs.tsv", "ID\tdose\tSMILES\na\t1\tCCO\nb\t2\t\nc\t3\tXX\nd\t4\tC[Xe]\n");
    let args = ["embed-drug", "drugs.tsv", "--model", "molformer", "--checkpoint", text(&checkpoint)];
    let done = sandbox.ok(&[&args[..], &["--device", "cpu", "-o", "out.csv"]].concat());
    let table = fs_err::read_to_string(sandbox.join("out.csv")).expect("a table");
    let starts: Vec<&str> =
        table.lines().map(|line| line.split_once(',').map_or(line, |(id, _)| id)).collect();
    assert_eq!(starts, ["id", "a", "b", "c", "d"]);
    let finite = |row: &Vec<f32>| row.iter().all(|value| value.is_finite());
    let rows: Vec<bool> = numbers(&sandbox.join("out.csv")).iter().map(finite).collect();
    assert_eq!(rows, [true, false, false, true]);
    for part in ["`b` (line 3)", "`c` (XX)", "`d` ([Xe])"] {
        assert!(done.stderr.contains(part), "{part}: {}", done.stderr);
    }
}

#[test]
fn mistakes_have_their_exit_codes() {
    let Some(fixtures) = fixtures() else { return };
    let checkpoint = fixtures.join("golden/molformer/checkpoint");
    let sandbox = Sandbox::new();
    sandbox.write("drugs.csv", "id,smiles\na,C\n");
    sandbox.write("short.csv", "id,smiles\na,C\nb\n");
    sandbox.write("other.csv", "id,drug\na,C\n");
    let cases: &[(&str, &str, &[&str], i32, &str)] = &[
        ("nowhere.csv", "molformer", &[], 3, "nowhere.csv does not exist"),
        ("short.csv", "molformer", &[], 3, "short.csv:3: the row has 1 fields, the header has 2"),
        ("other.csv", "molformer", &[], 3, "there is: `id`, `drug`"),
        ("drugs.csv", "molfomer", &[], 2, "did you mean `molformer`"),
        ("drugs.csv", "chemberta", &[], 3, "every ChemBERTa is a `roberta`"),
        ("drugs.csv", "molformer", &["--with", "tokenizer=regex"], 2, "it has layer, pooling, unknown"),
        ("drugs.csv", "molformer", &["--with", "pooling=pooler"], 2, "mean_without_special"),
        ("drugs.csv", "molformer", &["--with", "layer=-9"], 2, "layer -9 does not exist"),
    ];
    for (drugs, model, more, code, part) in cases {
        let args = ["embed-drug", drugs, "--model", model, "--checkpoint", text(&checkpoint)];
        let failed = sandbox.run(&[&args[..], more, &["--device", "cpu", "-o", "out.csv"]].concat());
        assert_eq!(failed.code, *code, "{drugs} {model} {more:?}: {}", failed.stderr);
        assert!(failed.stderr.contains(part), "{drugs} {model} {more:?}: {}", failed.stderr);
        assert!(!sandbox.join("out.csv").exists());
    }
}
