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
