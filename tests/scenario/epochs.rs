//! What a kind gives may only change with its epoch, or stored results of before would be taken for those of now.

use std::collections::BTreeSet;

use celldag_cache::{Digest, Options, Store};
use celldag_engine::record;

use crate::kills;

/// Kind, epoch, port or file, and the first 16 digits of a digest. Models have a table of their own
/// (nodes/models/tests/files/epochs.tsv).
const EPOCHS: &str = include_str!("epochs.tsv");

/// Kinds whose outputs are the same bytes on every machine.
const EXACT: [&str; 5] = ["qc", "normalize", "hvg", "split", "tokenize"];

/// Kinds whose numbers differ between processors in their last digits, and a text that holds these numbers.
const ROUNDED: [(&str, &str); 3] =
    [("mlp-head", "head.csv"), ("linear-head", "linear.csv"), ("evaluate", "metrics.json")];

/// The text with its decimal numbers rounded to two digits behind the point.
fn rounded(text: &str) -> String {
    let mut out = String::new();
    let number = |c: char| c.is_ascii_digit() || matches!(c, '.' | '-' | '+' | 'e');
    let mut word = String::new();
    for c in text.chars().chain(['\n']) {
        if number(c) {
            word.push(c);
            continue;
        }
        match word.parse::<f64>() {
            Ok(value) if word.contains('.') || word.contains('e') => out += &format!("{:.2}", value + 0.0),
            _ => out += &word,
        }
        word.clear();
        out.push(c);
    }
    out
}

#[test]
fn what_a_kind_gives_changes_only_with_its_epoch() {
    let sandbox = kills::prepared(600);
    let args = kills::args();
    sandbox.ok(&args.iter().map(String::as_str).collect::<Vec<_>>());
    let store = Store::open(&sandbox.join(".celldag"), Options::default()).expect("the store");
    let run = record::load(&store, "last").expect("the run");
    let mut found = BTreeSet::new();
    for job in &run.jobs {
        let epoch = job.action().expect("an action").epoch;
        if EXACT.contains(&job.kind.as_str()) {
            for (port, artifact) in &job.outputs {
                found.insert(format!("{}\t{epoch}\t{port}\t{:.16}", job.kind, artifact.digest.to_string()));
            }
        }
        if let Some((kind, file)) = ROUNDED.iter().find(|(kind, _)| *kind == job.kind) {
            let text = fs_err::read_to_string(sandbox.join("results").join(file)).expect("output");
            let digest = Digest::of_bytes(rounded(&text).as_bytes()).to_string();
            found.insert(format!("{kind}\t{epoch}\t{file}\t{digest:.16}"));
        }
    }
    let known: BTreeSet<String> = EPOCHS.lines().map(str::to_owned).collect();
    let new: Vec<&str> = found.difference(&known).map(String::as_str).collect();
    assert!(
        new.is_empty(),
        "outputs changed: raise the epoch of the kind unless its line is new, and put these lines into \
         tests/scenario/epochs.tsv in place of those of the same kind and port:\n{}",
        new.join("\n")
    );
    assert_eq!(known, found, "lines of what is no longer there");
}

#[test]
fn rounding_leaves_words_and_whole_numbers_alone() {
    assert_eq!(rounded("a1,0.123456,-3e-9,17\n"), "a1,0.12,-0.00,17\n\n");
}
