//! Many `celldag step` at once on one store, as a cluster starts them. `CELLDAG_STEPS=100` starts more.

use std::process::{Child, Stdio};

use serde_json::Value;

use crate::sandbox::{Sandbox, quickstart_data};

/// Every third step wants what two others want too.
const ALIKE: usize = 3;

fn steps() -> usize {
    std::env::var("CELLDAG_STEPS").ok().and_then(|n| n.parse().ok()).unwrap_or(64)
}

fn start(sandbox: &Sandbox, cells: &str, number: usize) -> Child {
    let (with, out) = (format!("min_genes={}", 100 + number / ALIKE), format!("cells=out/{number}.h5ad"));
    let (summary, job) = (format!("summaries/{number}.json"), format!("qc[n={number}]"));
    let args = [
        "step",
        "qc",
        "--in",
        cells,
        "--with",
        &with,
        "--out",
        &out,
        "--summary",
        &summary,
        "--job",
        &job,
        "--cache",
        "store",
        "--threads",
        "1",
        "--device",
        "cpu",
        "--json",
    ];
    let mut command = sandbox.command(&args);
    command.env("CELLDAG_DURABILITY", "relaxed").stdout(Stdio::piped()).stderr(Stdio::piped());
    command.spawn().expect("the binary starts")
}

#[test]
fn each_result_is_computed_once_and_nothing_is_left_over() {
    let sandbox = Sandbox::new();
    let [cells, _] = quickstart_data();
    let running: Vec<Child> = (0..steps()).map(|number| start(&sandbox, &cells, number)).collect();
    let mut computed = 0;
    for child in running {
        let ended = child.wait_with_output().expect("it ends");
        let (told, said) = (String::from_utf8_lossy(&ended.stdout), String::from_utf8_lossy(&ended.stderr));
        assert!(ended.status.success(), "{told}\n{said}");
        computed += told.lines().filter(|line| line.contains(r#""event":"finished""#)).count();
    }
    let keys = steps().div_ceil(ALIKE);
    assert_eq!(computed, keys, "each key once");
    let read = |path: String| fs_err::read(sandbox.join(&path)).expect("an output");
    for number in 0..steps() {
        let first = number / ALIKE * ALIKE;
        assert!(
            read(format!("out/{number}.h5ad")) == read(format!("out/{first}.h5ad")),
            "equal steps have equal outputs"
        );
        let summary: Value = serde_json::from_slice(&read(format!("summaries/{number}.json"))).expect("JSON");
        let alike: Value = serde_json::from_slice(&read(format!("summaries/{first}.json"))).expect("JSON");
        assert_eq!(summary["job"], format!("qc[n={number}]"));
        for field in ["key", "outputs", "facts", "warnings"] {
            assert_eq!(summary[field], alike[field], "{field}");
        }
    }
    let listed = sandbox.ok(&["cache", "ls", "--cache", "store", "--json"]).stdout;
    let listed: Value = serde_json::from_str(&listed).expect("JSON");
    assert_eq!(listed.as_array().map(Vec::len), Some(keys));
    sandbox.ok(&["cache", "verify", "--cache", "store"]);
    let left = |folder: &str| {
        let entries =
            fs_err::read_dir(sandbox.join(folder)).map(|entries| entries.flatten().collect::<Vec<_>>());
        entries.unwrap_or_default().iter().map(fs_err::DirEntry::path).collect::<Vec<_>>()
    };
    assert_eq!(left("store/tmp"), Vec::<std::path::PathBuf>::new());
    assert_eq!(left("store/runs"), Vec::<std::path::PathBuf>::new(), "steps are no runs");
    assert_eq!(left("out").len(), steps(), "no half of an output");
}
