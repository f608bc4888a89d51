//! Steps cut into shards, through the binary: their parts give the result of the whole step, under its key.

use crate::sandbox::{Sandbox, quickstart_data};
use crate::steps::step;

/// Cuts a step into three, puts it together, and finds the whole in the store: with the bytes of one that nobody cut.
fn cut(sandbox: &Sandbox, kind: &str, args: &[&str], (port, file): (&str, &str)) {
    let with = |more: &[&str]| step(sandbox, kind, &[args, more].concat());
    let part = |index: u32| format!("{kind}.{index}.part");
    for index in [2, 0, 1] {
        let out = format!("part={}", part(index));
        with(&["--shard", &format!("{index}/3"), "--out", &out, "--cache", "store"]);
    }
    let again = with(&["--shard", "1/3", "--out", "part=again", "--cache", "store"]);
    assert!(again.events("finished").is_empty(), "parts are cached");
    let out = format!("{port}={file}");
    let [first, second, third] = [part(0), part(1), part(2)];
    let parts = ["--part", &first, "--part", &third, &second];
    with(&[&parts[..], &["--out", &out, "--cache", "store", "--summary", "together.json"]].concat());
    let found = with(&["--out", &format!("{port}=found"), "--cache", "store"]);
    assert!(found.events("finished").is_empty(), "the whole is in the store");
    with(&["--out", &format!("{port}=whole"), "--no-cache", "--summary", "whole.json"]);
    let read = |name: &str| fs_err::read(sandbox.join(name)).expect("an output");
    assert!(read(file) == read("whole") && read(file) == read("found"), "{kind}");
    assert_eq!(read("together.json"), read("whole.json"), "key, facts and warnings");
}

#[test]
fn parts_give_the_result_of_the_whole_step_under_its_key() {
    let sandbox = Sandbox::new();
    let [cells, checkpoint] = quickstart_data();
    let tokenize = ["--in", &cells, "--in", &checkpoint, "--with", "model=geneformer"];
    cut(&sandbox, "tokenize", &tokenize, ("tokens", "tokens.safetensors"));
    let embed = ["--in", "tokens=tokens.safetensors", "--in", &checkpoint];
    cut(&sandbox, "embed", &embed, ("embedding", "embedding.h5ad"));

    let (cells, checkpoint) = (&cells["cells=".len()..], &checkpoint["checkpoint=".len()..]);
    let pipeline = format!(
        "celldag: 1\nnodes:\n  \
         t: {{uses: tokenize, in: {{cells: {cells}, checkpoint: {checkpoint}}}, with: {{model: geneformer}}, shards: 3}}\n  \
         e: {{uses: embed, in: {{tokens: t, checkpoint: {checkpoint}}}, shards: 3}}\n"
    );
    sandbox.write("p.yaml", &pipeline);
    let plan = sandbox.ok(&["plan", "p.yaml", "--cache", "store"]);
    assert!(plan.stderr.contains("2 cached"), "{}{}", plan.stdout, plan.stderr);
    assert_eq!(sandbox.computed(&["p.yaml", "--cache", "store"]), [""; 0]);

    let refused = |args: &[&str]| {
        let finished = sandbox.run(&[&["step", "tokenize"][..], &tokenize[..], args].concat());
        assert!(!sandbox.join("no").exists(), "{}", finished.stderr);
        (finished.code, finished.stderr)
    };
    let (code, said) = refused(&["--part", "embed.0.part", "--out", "tokens=no", "--no-cache"]);
    assert!(code == 3 && said.contains("is a part of another step"), "{code} {said}");
    let (code, said) = refused(&["--part", "tokenize.1.part", "--out", "tokens=no", "--no-cache"]);
    assert!(code == 3 && said.contains("shard 0, 2"), "{code} {said}");
    let (code, said) = refused(&["--shard", "0/2", "--out", "tokens=no"]);
    assert!(code == 2 && said.contains("--out part=FILE"), "{code} {said}");
    let (code, said) = refused(&["--shard", "2/2", "--out", "part=no"]);
    assert!(code == 2 && said.contains("I/N"), "{code} {said}");
    let qc = sandbox.run(&["step", "qc", "--in", tokenize[1], "--shard", "0/2", "--out", "part=no"]);
    assert!(qc.code == 2 && qc.stderr.contains("cannot be cut"), "{} {}", qc.code, qc.stderr);
}
