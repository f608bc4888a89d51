//! The example of a kind in Rust, as celldag runs it.

mod common;

use celldag_cache::{Durability, Options, Store};
use celldag_engine::{Cancel, ExitClass, LoadOptions, Quiet, Registry, RunOptions, load, run};
use common::example;

#[test]
fn the_example_is_a_kind() {
    let Some(example) = example("plugin_kind") else { return };
    let folder = tempfile::tempdir().expect("a folder");
    fs_err::write(folder.path().join("in.txt"), "a\nb\nc\n").expect("input");
    let text = format!(
        "celldag: 1\nnodes:\n  a: {{uses: {}, in: {{text: in.txt}}, with: {{skip: 1}}}}\noutputs: {{out.txt: a.text}}\n",
        example.display()
    );
    let file = folder.path().join("p.yaml");
    let pipeline = load(&file, Some(&text), &Registry::new(), &LoadOptions::default()).expect("a pipeline");
    let store = Store::open(&folder.path().join("store"), Options { durability: Durability::Relaxed });
    let record = run(&pipeline, &store.expect("a store"), &RunOptions::default(), &Quiet, &Cancel::new())
        .expect("a run");
    assert_eq!(record.exit(), ExitClass::Ok, "{:?}", record.failures().next());
    assert_eq!(fs_err::read_to_string(folder.path().join("out.txt")).expect("the result"), "c\nb\n");
    assert_eq!(record.jobs[0].summary.facts["lines_out"], 2);
}
