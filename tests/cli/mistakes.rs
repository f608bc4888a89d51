//! Mistakes in arguments and pipelines: exit code 2, a place, a reason, a remedy.

use crate::sandbox::Sandbox;

/// Name, exit code, pipeline text, words that the message must contain.
const CASES: &[(&str, i32, &str, &[&str])] = &[
    (
        "unknown kind",
        2,
        "celldag: 1\nnodes:\n  a: {uses: qcc, in: {cells: c.h5ad}}\n",
        &["p.yaml:3:", "qcc", "`qc`"],
    ),
    (
        "unknown parameter",
        2,
        "celldag: 1\nnodes:\n  a:\n    uses: qc\n    in: {cells: c.h5ad}\n    with: {min_gene: 3}\n",
        &["p.yaml:6:", "min_gene", "min_genes"],
    ),
    (
        "unknown port",
        2,
        "celldag: 1\nnodes:\n  a: {uses: qc, in: {cell: c.h5ad}}\n",
        &["p.yaml:3:", "cell", "cells"],
    ),
    (
        "type mismatch",
        2,
        "celldag: 1\nnodes:\n  a: {uses: qc, in: {cells: c.h5ad}}\n  b: {uses: embed, in: {tokens: a.cells, checkpoint: m}}\n",
        &["p.yaml:4:", "tokens", "cells"],
    ),
    (
        "cycle",
        2,
        "celldag: 1\nnodes:\n  a: {uses: qc, in: {cells: b.cells}}\n  b: {uses: normalize, in: {cells: a.cells}}\n",
        &["p.yaml:", "a -> b -> a"],
    ),
    (
        "duplicate node",
        2,
        "celldag: 1\nnodes:\n  a: {uses: qc, in: {cells: c.h5ad}}\n  a: {uses: qc, in: {cells: c.h5ad}}\n",
        &["p.yaml:4:", "a"],
    ),
    (
        "missing input file",
        3,
        "celldag: 1\nnodes:\n  a: {uses: qc, in: {cells: nowhere.h5ad}}\n",
        &["p.yaml:3:", "nowhere.h5ad"],
    ),
    (
        "value out of range",
        2,
        "celldag: 1\nnodes:\n  a:\n    uses: qc\n    in: {cells: c.h5ad}\n    with: {max_mito_fraction: 20}\n",
        &["p.yaml:6:", "max_mito_fraction"],
    ),
    ("not YAML", 2, "celldag: 1\nnodes: [\n", &["p.yaml:"]),
];

#[test]
fn pipelines_with_mistakes() {
    for (name, code, text, words) in CASES {
        let sandbox = Sandbox::new();
        sandbox.write("p.yaml", text);
        // The file only has to exist: a check reads no data.
        sandbox.write("c.h5ad", "");
        sandbox.write("m/config.json", "{}");
        for command in ["check", "plan", "run"] {
            let finished = sandbox.run(&[command, "p.yaml"]);
            assert_eq!(finished.code, *code, "{name}, {command}: {}", finished.stderr);
            let flat = finished.stderr.replace("[p.yaml", "p.yaml");
            for word in *words {
                assert!(
                    flat.contains(word),
                    "{name}, {command}: `{word}` is missing in\n{}",
                    finished.stderr
                );
            }
        }
        assert!(!sandbox.join(".celldag/runs").exists(), "{name}: nothing may run");
    }
}

#[test]
fn all_mistakes_are_told_at_once() {
    let sandbox = Sandbox::new();
    sandbox.write(
        "p.yaml",
        "celldag: 1\nnodes:\n  a: {uses: qcc, in: {cells: c.h5ad}}\n  b: {uses: qc, in: {cels: c.h5ad}, with: {min_gnes: 1}}\n",
    );
    sandbox.write("c.h5ad", "");
    insta::assert_snapshot!(sandbox.run(&["check", "p.yaml"]).stderr);
}

#[test]
fn a_mistake_in_an_included_file_is_drawn_with_both_files() {
    let sandbox = Sandbox::new();
    sandbox.write("p.yaml", "celldag: 1\ninclude:\n  - {file: lib/qc.yaml, as: std, with: {genes: many}}\n");
    sandbox.write(
        "lib/qc.yaml",
        "celldag: 1\nparams: {genes: 200}\nnodes:\n  qc:\n    uses: qc\n    in: {cells: c.h5ad}\n    with: {min_genes: \"${genes}\"}\n",
    );
    sandbox.write("lib/c.h5ad", "");
    let finished = sandbox.run(&["check", "p.yaml"]);
    assert_eq!(finished.code, 2);
    insta::assert_snapshot!(finished.stderr);
}

#[test]
fn a_key_under_secrets_is_shown_nowhere() {
    let sandbox = Sandbox::new();
    // A second mistake on the same line draws that line.
    sandbox.write("p.yaml", "{celldag: 1, secrets: [sk-proj-1234], nods: {}}\n");
    sandbox.write("q.yaml", "{celldag: 1, secrets: {KEY: sk-proj-1234}, nods: {}}\n");
    for file in ["p.yaml", "q.yaml"] {
        for args in [&["check", file][..], &["--json", "check", file]] {
            let finished = sandbox.run(args);
            assert_eq!(finished.code, 2, "{args:?}");
            let all = finished.stdout + &finished.stderr;
            assert!(!all.contains("sk-proj"), "{args:?}: {all}");
        }
    }
}

#[test]
fn wrong_arguments() {
    let sandbox = Sandbox::new();
    for args in [
        &["frobnicate"][..],
        &["run"],
        &["run", "nowhere.yaml"],
        &["step", "qcc", "--in", "cells=c.h5ad"],
        &["step", "qc", "--in", "cells"],
        &["embed", "c.h5ad", "--model", "geneformer"],
    ] {
        let finished = sandbox.run(args);
        assert_eq!(finished.code, 2, "{args:?}: {}", finished.stderr);
        assert!(!finished.stderr.is_empty(), "{args:?}");
    }
}

/// Arguments, exit code, words that the message must contain.
const SLIPS: &[(&[&str], i32, &[&str])] = &[
    (&["nodes", "embd"], 2, &["no kind `embd`", "did you mean `embed`?"]),
    (&["step", "qcc", "--in", "cells=c.h5ad"], 2, &["did you mean `qc`?"]),
    (&["step", "qc", "--in", "cells=c.h5ad", "--out", "cell=q.h5ad"], 2, &["did you mean `cells`?"]),
    (&["step", "qc", "--in", "cells=c.h5ad", "--memory", "8"], 2, &["--memory", "1 MiB", "8 GiB"]),
    (&["step", "qc", "--in", "cells=c.h5ad", "--threads", "0"], 2, &["--threads", "from 1 to 1024"]),
    (
        &["step", "tokenize", "--in", "cells=c.h5ad", "--part", "x.part"],
        3,
        &["--part", "x.part", "does not exist"],
    ),
    (
        &["embed", "c.h5ad", "--model", "genformer", "--checkpoint", ".", "-o", "o.h5ad"],
        2,
        &["--model genformer", "did you mean `geneformer`?"],
    ),
    (
        &["embed", "c.h5ad", "--model", "geneformer", "--checkpoint", "x", "-o", "o.h5ad"],
        3,
        &["--checkpoint", "x does not exist"],
    ),
    (
        &[
            "embed",
            "c.h5ad",
            "--model",
            "geneformer",
            "--checkpoint",
            ".",
            "-o",
            "o.h5ad",
            "--with",
            "layr=-1",
        ],
        2,
        &["did you mean `layer`?"],
    ),
    (
        &["embed-drug", "c.h5ad", "--model", "moflormer", "--checkpoint", ".", "-o", "o.csv"],
        2,
        &["did you mean `molformer`?"],
    ),
    (
        &["export", "snakemake", "p.yaml", "-o", "flow", "--group-small=-5"],
        2,
        &["--group-small", "zero or more"],
    ),
    (&["cache", "stats", "--cache", "c.h5ad"], 2, &["c.h5ad"]),
    (
        &["step", "qc", "--in", "cells=x.h5ad"],
        3,
        &["--in cells: x.h5ad does not exist", "it starts where you stand"],
    ),
    (
        &["step", "qc", "--in", "cells=c.h5ad/x"],
        3,
        &["c.h5ad/x cannot be read: not a directory", "is a file"],
    ),
    (
        &["step", "qc", "--in", "cells=c.h5ad", "--summary", "c.h5ad/s.json"],
        2,
        &["--summary c.h5ad/s.json", "c.h5ad is a file", "name another"],
    ),
    (&["step", "qc", "--in", "cells=c.h5ad", "--out", "cells=c.h5ad/q.h5ad"], 2, &["--out c.h5ad/q.h5ad"]),
    (
        &["report", "-o", "missing/x.html"],
        2,
        &["-o missing/x.html", "missing does not exist", "check the path"],
    ),
    (&["report", "-o", "."], 2, &["-o . is a folder", "name a file"]),
    (&["runs", "trace", "-o", "c.h5ad/t.json"], 2, &["-o c.h5ad/t.json"]),
    (
        &["embed", "c.h5ad", "--model", "molformer", "--checkpoint", ".", "-o", "o.h5ad"],
        2,
        &["no such model for cells", "it is one for drugs: `celldag embed-drug`"],
    ),
    (
        &["embed-drug", "c.h5ad", "--model", "scgpt", "--checkpoint", ".", "-o", "o.csv"],
        2,
        &["no such model for drugs", "it is one for cells: `celldag embed`"],
    ),
];

#[test]
fn slips_of_the_command_line_are_told_with_a_remedy() {
    let sandbox = Sandbox::new();
    sandbox.write("c.h5ad", "");
    for (args, code, words) in SLIPS {
        let finished = sandbox.run(args);
        assert_eq!(finished.code, *code, "{args:?}: {}", finished.stderr);
        for word in *words {
            assert!(finished.stderr.contains(word), "{args:?}: `{word}` is missing in\n{}", finished.stderr);
        }
    }
}

#[test]
fn a_name_that_is_refused_is_not_proposed() {
    let sandbox = Sandbox::new();
    sandbox.write("c.h5ad", "");
    let embed =
        ["embed", "c.h5ad", "--model", "scgpt", "--checkpoint", ".", "-o", "o.h5ad", "--with", "modl=1"];
    let finished = sandbox.run(&embed);
    assert_eq!(finished.code, 2, "{}", finished.stderr);
    assert!(!finished.stderr.contains("`model`"), "{}", finished.stderr);
}

/// The hint about where a path starts is for paths that start there.
#[test]
fn an_absolute_path_does_not_start_where_one_stands() {
    let sandbox = Sandbox::new();
    let missing = format!("cells={}", sandbox.join("x.h5ad").display());
    let finished = sandbox.run(&["step", "qc", "--in", &missing]);
    assert_eq!(finished.code, 3, "{}", finished.stderr);
    let told = finished.stderr;
    assert!(told.contains("hint: check the path") && !told.contains("where you stand"), "{told}");
}

#[test]
fn a_key_that_no_result_has_is_a_wrong_argument() {
    let sandbox = Sandbox::new();
    sandbox.write("c.csv", "Cell_barcode,G0,G1\na,1,2\nb,0,3\n");
    let qc = ["step", "qc", "--in", "cells=c.csv", "--with", "min_genes=0", "--with", "min_cells=0"];
    assert_eq!(sandbox.run(&[qc.as_slice(), &["--cache", "store"]].concat()).code, 0);
    for key in ["abc", "000000", &"0".repeat(64)] {
        let finished = sandbox.run(&["cache", "cat", key, "--cache", "store"]);
        assert_eq!(finished.code, 2, "{}", finished.stderr);
        let told = format!("no result can be found by `{key}`");
        assert!(finished.stderr.contains(&told), "{}", finished.stderr);
    }
    let other = sandbox.run(&["cache", "ls", "--host", "no such host", "--cache", "store"]);
    assert!(other.code == 0 && other.stderr.contains("that were computed on "), "{}", other.stderr);
    let none = sandbox.run(&["cache", "ls", "--kind", "embed", "--cache", "store"]);
    assert!(none.code == 0 && none.stderr.contains("the store has results of qc"), "{}", none.stderr);
}
