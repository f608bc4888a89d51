//! `lora-train` goes on where it was stopped, to the same bytes.

use crate::common::lora::{Bench, Ran, bytes, changed, mini, with};
use celldag_engine::FailureCause;
use celldag_engine::alone::{run_alone, run_alone_resumable};
use celldag_nodes::learn::lora::LoraTrain;
use celldag_nodes::learn::split::{Role, SplitRow};
use serde_json::{Value, json};

/// A training that can be stopped.
struct Stopped<'a> {
    bench: &'a Bench,
    rows: Vec<SplitRow>,
    params: Value,
    name: &'static str,
}

impl Stopped<'_> {
    /// `stop_after` counts cells; none: to the end, and without anything kept if there is no `store` either.
    fn run(&self, folder: &str, store: Option<&str>, stop_after: Option<u64>) -> Ran {
        let (folder, split) = self.bench.folder(&format!("{}-{folder}", self.name), &self.rows);
        let checkpoint = mini();
        let inputs = [
            ("tokens", "", self.bench.tokens.as_path()),
            ("checkpoint", "", checkpoint.as_path()),
            ("split", "", split.as_path()),
        ];
        let params = with(self.params.clone());
        let Some(store) = store else {
            return run_alone(&LoraTrain, params, &inputs, &folder, "cpu");
        };
        let store = self.bench.root.path().join(format!("{}-{store}", self.name));
        run_alone_resumable(&LoraTrain, params, &inputs, (&folder, "cpu"), &store, stop_after)
    }

    /// Stops after so many cells, goes on, and compares with a run that nobody disturbed.
    fn agrees(&self, cells: &[u64]) {
        let (summary, undisturbed) = self.run("undisturbed", None, None).expect("training");
        let want = bytes(&undisturbed);
        for &stop in cells {
            let store = format!("store{stop}");
            let stopped = self.run("stopped", Some(&store), Some(stop)).expect_err("stopped");
            assert_eq!(stopped.cause, FailureCause::Cancelled, "{}", stopped.message);
            let (again, outputs) = self.run("again", Some(&store), None).expect("training");
            assert!(again.execution.contains_key("resumed_at"), "after {stop}: {:?}", again.execution);
            assert_eq!((&again.facts, &again.warnings), (&summary.facts, &summary.warnings));
            let got = bytes(&outputs);
            assert_eq!(got.keys().collect::<Vec<_>>(), want.keys().collect::<Vec<_>>());
            for (file, bytes) in &want {
                assert!(got[file] == *bytes, "{file} is another after a stop at {stop} cells");
            }
        }
    }
}

/// 40 cells in batches of 8: five batches an epoch.
#[test]
fn a_stopped_training_ends_with_the_bytes_of_an_undisturbed_one() {
    let bench = Bench::new();
    let params = changed(json!({
        "epochs": 3, "dropout": 0.3, "sampling": "balanced", "schedule": "cosine", "warmup": 0.2, "clip": 0.5, "accumulation": 2,
        // The first epoch is the best: later ones only unlearn.
        "learning_rate": 0.03, "early_stopping": 0
    }));
    let stopped = Stopped { rows: bench.rows.clone(), bench: &bench, params, name: "one" };
    // In the first epoch, at its end, in the middle, and before the last batch.
    stopped.agrees(&[8, 40, 72, 112]);
}

#[test]
fn finished_folds_are_not_trained_again() {
    let bench = Bench::new();
    let fold = |fold: u32, rotate: usize| {
        let roles =
            [Role::Test, Role::Test, Role::Validation, Role::Train, Role::Train, Role::Train, Role::Train];
        bench.rows.iter().enumerate().map(move |(cell, row)| SplitRow {
            fold,
            role: roles[(cell + rotate) % 7],
            ..row.clone()
        })
    };
    let rows: Vec<SplitRow> = fold(0, 0).chain(fold(1, 2)).chain(fold(2, 4)).collect();
    let params = changed(
        json!({"optimizer": "sgd", "learning_rate": 0.05, "targets": ["query"], "train": ["LayerNorm"]}),
    );
    let stopped = Stopped { rows, bench: &bench, params, name: "folds" };
    // 80 cells a fold: in the second, and at the end of the second.
    stopped.agrees(&[104, 160]);

    // Stopped again and again, each time a little later.
    let want = bytes(&stopped.run("undisturbed", None, None).expect("training").1);
    for stop in (16..240).step_by(32) {
        let error = stopped.run("often", Some("store"), Some(stop)).expect_err("stopped");
        assert_eq!(error.cause, FailureCause::Cancelled, "{}", error.message);
    }
    let (summary, outputs) = stopped.run("often", Some("store"), None).expect("training");
    let place = summary.execution["resumed_at"].as_str().expect("a place");
    assert!(place.starts_with("fold 2"), "{place}");
    assert_eq!(bytes(&outputs), want);
}
