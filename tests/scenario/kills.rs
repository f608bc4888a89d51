//! `kill -9` at random instants over a pipeline of ten kinds, one of them an external program with a background child.
//!
//! A few kills by default; `make soak` (`CELLDAG_KILLS=200`) makes the full number.

use std::collections::BTreeMap;
use std::path::Path;
use std::process::Stdio;
use std::time::{Duration, Instant};

use celldag_cache::Digest;

use crate::sandbox::{Sandbox, digests, quickstart_data};
use crate::studies::cut;

const PIPELINE: &str = r#"
celldag: 1
name: kills
params: {cells: cells.h5ad, checkpoint: models/geneformer-mini}
nodes:
  qc:        {uses: qc, in: {cells: "${cells}"}, with: {min_genes: 100, min_cells: 3}}
  normalize: {uses: normalize, in: {cells: qc.cells}, keep: temp}
  genes:     {uses: hvg, in: {cells: normalize.cells}, with: {n_top_genes: 200}}
  split:     {uses: split, in: {cells: normalize.cells}, with: {kind: stratified-k-fold, folds: 3, label: myeloid, seed: 1}}
  tokens:    {uses: tokenize, in: {cells: normalize.cells, checkpoint: "${checkpoint}"}, with: {model: geneformer}}
  embedding: {uses: embed, in: {tokens: tokens.tokens, checkpoint: "${checkpoint}"}}
  head:      {uses: mlp-head, in: {embedding: embedding.embedding, split: split.split}, with: {hidden: [16], epochs: 5}}
  linear:    {uses: linear-head, in: {embedding: embedding.embedding, split: split.split}}
  size:
    uses: exec
    in: {vectors: embedding.embedding, split: split.split}
    out: {sums: sums.txt}
    run: [sh, "{code:sums.sh}", "{out:sums}", "{in:vectors}", "{in:split}"]
  metrics:
    uses: evaluate
    in: {predictions: [head.predictions, linear.predictions], cells: normalize.cells, split: split.split, split_info: split.info, embedding: embedding.embedding}
outputs:
  results/metrics.json: metrics.report
  results/head.csv: head.predictions
  results/linear.csv: linear.predictions
  results/genes.h5ad: genes.cells
  results/sums.txt: size.sums
"#;

/// How many kills, 12 unless `CELLDAG_KILLS` says otherwise.
fn wanted() -> usize {
    std::env::var("CELLDAG_KILLS").ok().map_or(12, |text| text.parse().expect("CELLDAG_KILLS: a number"))
}

/// A sandbox with cells, the program and the pipeline. The program leaves a child behind it while it works: `sleep` for
/// `marker` seconds, by which it is found.
pub(crate) fn prepared(marker: u64) -> Sandbox {
    let sandbox = Sandbox::new();
    let [cells, _] = quickstart_data();
    let source = cells.strip_prefix("cells=").expect("a path");
    cut(Path::new(source), &sandbox.join("cells.h5ad"), |_, row| row % 5 == 0);
    sandbox.write("kills.yaml", PIPELINE);
    sandbox.write(
        "sums.sh",
        &format!("sleep {marker} &\nout=$1; shift\ncksum < \"$1\" > half\nsleep 0.1\ncat \"$2\" | cksum >> half\nmv half \"$out\"\nkill $!\n"),
    );
    sandbox
}

pub(crate) fn args() -> Vec<String> {
    let [_, checkpoint] = quickstart_data();
    ["run", "--quiet", "--device", "cpu", "kills.yaml", "--set", &checkpoint].map(str::to_owned).to_vec()
}

/// Processes whose command line holds `word`.
fn alive(word: &str) -> usize {
    let Ok(all) = fs_err::read_dir("/proc") else { return 0 };
    all.filter_map(Result::ok)
        .filter_map(|entry| fs_err::read(entry.path().join("cmdline")).ok())
        .filter(|line| line.split(|byte| *byte == 0).any(|argument| argument == word.as_bytes()))
        .count()
}

/// Nothing of a killed run may live on; the kernel and the supervisor get two seconds.
fn no_orphans(marker: u64) {
    let end = Instant::now() + Duration::from_secs(2);
    while alive(&marker.to_string()) > 0 {
        assert!(Instant::now() < end, "a background child outlived celldag");
        std::thread::sleep(Duration::from_millis(20));
    }
}

/// After garbage collection nothing is left of work in progress.
fn nothing_left(sandbox: &Sandbox) {
    sandbox.ok(&["cache", "gc", "--cache", ".celldag"]);
    for folder in ["tmp", "partial", "locks"] {
        let left: Vec<_> = fs_err::read_dir(sandbox.join(".celldag").join(folder))
            .expect("folder")
            .map(|entry| entry.expect("entry").file_name())
            // The lock of the store as a whole stays.
            .filter(|name| name != "store")
            // Killed before it held its lock, a sandbox is being born; it goes by age.
            .filter(|name| {
                let sandbox = sandbox.join(".celldag").join(folder).join(name);
                let is_empty = fs_err::read_dir(&sandbox).is_ok_and(|mut inside| inside.next().is_none());
                !is_empty && !sandbox.join(".alive-new").exists()
            })
            .collect();
        assert!(left.is_empty(), "{folder}: {left:?}");
    }
    let verify = sandbox.ok(&["cache", "verify", "--cache", ".celldag"]);
    assert!(verify.stdout.contains("0 damaged"), "{}", verify.stdout);
}

fn outputs(sandbox: &Sandbox) -> BTreeMap<String, Digest> {
    digests(&sandbox.join("results"))
}

#[cfg(target_os = "linux")]
#[test]
fn kills_at_random_instants_over_ten_kinds_leave_nothing_to_mend() {
    let marker = 100_000 + u64::from(std::process::id());
    let args = args();
    let args: Vec<&str> = args.iter().map(String::as_str).collect();
    let undisturbed = prepared(marker);
    let start = Instant::now();
    undisturbed.ok(&args);
    let whole = start.elapsed();
    let expected = outputs(&undisturbed);
    assert_eq!(expected.len(), 5);

    // A fixed sequence of instants (a linear congruence with the constants of Knuth's MMIX).
    let mut dice = 24_u64;
    let mut kills = 0;
    let mut sandbox = prepared(marker);
    while kills < wanted() {
        dice = dice.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        #[expect(clippy::cast_precision_loss, reason = "a share of a second")]
        let share = (dice >> 33) as f64 / f64::from(1_u32 << 31);
        let mut child = sandbox
            .command(&args)
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .expect("the binary starts");
        let end = Instant::now() + whole.mul_f64(share * 0.7);
        while Instant::now() < end && child.try_wait().expect("process").is_none() {
            std::thread::sleep(Duration::from_millis(2));
        }
        if child.try_wait().expect("process").is_none() {
            child.kill().expect("SIGKILL");
            child.wait().expect("the killed process");
            kills += 1;
            no_orphans(marker);
            continue;
        }
        // It came to its end between two kills: look at it, and begin anew.
        assert_eq!(outputs(&sandbox), expected, "after {kills} kills");
        nothing_left(&sandbox);
        sandbox = prepared(marker);
    }
    sandbox.ok(&args);
    assert_eq!(outputs(&sandbox), expected);
    no_orphans(marker);
    nothing_left(&sandbox);
}
