//! The chain as single steps, as a workflow manager runs it: plain files in, plain files out, one cache.

use serde_json::Value;

use crate::sandbox::{Finished, Sandbox, borrowed, quickstart, quickstart_data};

pub(crate) fn step(sandbox: &Sandbox, kind: &str, args: &[&str]) -> Finished {
    let mut all = vec!["step", kind, "--json", "--device", "cpu"];
    all.extend(args);
    sandbox.ok(&all)
}

#[test]
fn folds_are_gathered_by_their_labels() {
    let sandbox = Sandbox::new();
    let [cells, checkpoint] = quickstart_data();
    step(&sandbox, "qc", &["--in", &cells, "--with", "min_genes=100", "--out", "cells=qc.h5ad"]);
    step(
        &sandbox,
        "tokenize",
        &[
            "--in",
            "cells=qc.h5ad",
            "--in",
            &checkpoint,
            "--with",
            "model=geneformer",
            "--out",
            "tokens=t.safetensors",
        ],
    );
    step(
        &sandbox,
        "embed",
        &["--in", "tokens=t.safetensors", "--in", &checkpoint, "--out", "embedding=e.h5ad"],
    );
    step(
        &sandbox,
        "split",
        &["--in", "cells=qc.h5ad", "--with", "label=myeloid", "--with", "folds=2", "--out", "split=s.csv"],
    );
    for fold in ["0", "1"] {
        let (with, out) = (format!("fold={fold}"), format!("predictions=p{fold}.csv"));
        let args = [
            "--in",
            "embedding=e.h5ad",
            "--in",
            "split=s.csv",
            "--with",
            &with,
            "--with",
            "hidden=[8]",
            "--with",
            "epochs=3",
            "--out",
            &out,
        ];
        step(&sandbox, "mlp-head", &args);
    }
    let (first, second) = ("predictions:fold=0=p0.csv", "predictions:fold=1=p1.csv");
    let run = step(&sandbox, "evaluate", &["--in", first, "--in", second, "--out", "report=r.json"]);
    assert_eq!(run.events("finished").len(), 1);
    let report: Value =
        serde_json::from_slice(&fs_err::read(sandbox.join("r.json")).expect("r.json")).expect("JSON");
    let models: Vec<&String> = report["metrics"].as_object().expect("metrics").keys().collect();
    assert!(!models.iter().any(|m| m.contains("fold")), "two folds are one model: {models:?}");

    let again = step(&sandbox, "evaluate", &["--in", second, "--in", first, "--out", "report=again.json"]);
    assert!(again.events("finished").is_empty(), "the order of arguments does not matter");
    assert_eq!(
        fs_err::read(sandbox.join("r.json")).expect("r.json"),
        fs_err::read(sandbox.join("again.json")).expect("again.json")
    );
}

#[test]
fn an_output_never_replaces_an_input() {
    let sandbox = Sandbox::new();
    let [cells, _] = quickstart_data();
    let original = cells.trim_start_matches("cells=");
    fs_err::copy(original, sandbox.join("cells.h5ad")).expect("a copy");
    let finished = sandbox.run(&["step", "qc", "--in", "cells=cells.h5ad", "--out", "cells=cells.h5ad"]);
    assert_eq!(finished.code, 2, "{}", finished.stderr);
    let before = fs_err::read(original).expect("cells");
    assert!(fs_err::read(sandbox.join("cells.h5ad")).expect("cells") == before, "the input was replaced");
}

/// Everything below a folder, relative to it, that is no folder.
fn files(folder: &std::path::Path) -> Vec<String> {
    let mut found = Vec::new();
    let mut open = vec![folder.to_owned()];
    while let Some(next) = open.pop() {
        for entry in fs_err::read_dir(&next).expect("a folder").flatten() {
            if entry.path().is_dir() {
                open.push(entry.path());
            } else {
                let path = entry.path();
                found.push(path.strip_prefix(folder).expect("below").display().to_string());
            }
        }
    }
    found.sort();
    found
}

#[test]
fn without_a_cache_nothing_is_left_but_the_outputs() {
    let sandbox = Sandbox::new();
    let [cells, _] = quickstart_data();
    let args = ["step", "qc", "--in", &cells, "--out", "cells=qc.h5ad", "--summary", "qc.json", "--no-cache"];
    let beside = sandbox.command(&args).env_remove("TMPDIR").output().expect("it starts");
    assert!(beside.status.success(), "{}", String::from_utf8_lossy(&beside.stderr));
    assert_eq!(files(sandbox.path()), ["qc.h5ad", "qc.json"], "nothing else");

    // A store of the user's other commands is passed over; one that was typed contradicts.
    let elsewhere =
        sandbox.command(&args).env("CELLDAG_CACHE", sandbox.join("store")).status().expect("it starts");
    assert!(elsewhere.success() && !sandbox.join("store").exists());
    let both = sandbox.run(&[&args[..], &["--cache", "store"]].concat());
    assert_eq!(both.code, 2);
    assert!(both.stderr.contains("--no-cache and --cache contradict each other"), "{}", both.stderr);
    for (option, value, variable) in [
        ("--locks", "lease", "CELLDAG_LOCKS"),
        ("--durability", "relaxed", "CELLDAG_DURABILITY"),
        ("--remote-role", "read", "CELLDAG_REMOTE_ROLE"),
    ] {
        let both = sandbox.run(&[&args[..], &[option, value]].concat());
        let said = format!("--no-cache and {option} contradict each other");
        assert!(both.code == 2 && both.stderr.contains(&said), "{}", both.stderr);
        let set = sandbox.command(&args).env(variable, value).status().expect("it starts");
        assert!(set.success(), "{variable}");
    }

    let wrong =
        ["step", "qc", "--in", &cells, "--out", "cells=no.h5ad", "--no-cache", "--with", "counts=none"];
    let failed = sandbox.command(&wrong).env_remove("TMPDIR").output().expect("it starts");
    assert_eq!(failed.status.code(), Some(3), "{}", String::from_utf8_lossy(&failed.stderr));
    assert_eq!(files(sandbox.path()), ["qc.h5ad", "qc.json"], "a failure leaves nothing");

    // A folder that cannot be made is told by the variable that names its place, not by a name nobody has heard of.
    let nowhere = sandbox.command(&args).env("TMPDIR", sandbox.join("qc.json")).output().expect("it starts");
    let told = String::from_utf8_lossy(&nowhere.stderr);
    assert_eq!(nowhere.status.code(), Some(1), "{told}");
    assert!(told.contains("--no-cache works in") && told.contains("in TMPDIR"), "{told}");
    assert!(!told.contains(".celldag~"), "{told}");
}

/// What a scheduler writes into a step is for others: the rest of its script, most often.
#[cfg(unix)]
#[test]
fn a_step_takes_nothing_from_its_standard_input() {
    use std::io::Seek as _;
    let sandbox = Sandbox::new();
    let [cells, _] = quickstart_data();
    let program =
        "celldag_program: 1\nout: {text: text.txt}\nrun: [sh, -c, 'cat > \"$1\"', sh, \"{out:text}\"]\n";
    sandbox.write("greedy.yaml", program);
    let script = sandbox.write("script.sh", "echo the rest\n");
    let steps: [&[&str]; 2] = [
        &["step", "qc", "--in", &cells, "--out", "cells=qc.h5ad", "--no-cache"],
        &["step", "exec", "--spec", "greedy.yaml", "--out", "text=text.txt", "--no-cache"],
    ];
    for step in steps {
        let mut input = fs_err::File::open(&script).expect("a file").into_parts().0;
        let mut command = sandbox.command(step);
        let ended = command.stdin(input.try_clone().expect("a handle")).output().expect("it starts");
        assert!(ended.status.success(), "{}", String::from_utf8_lossy(&ended.stderr));
        assert_eq!(input.stream_position().expect("a place"), 0, "{step:?}");
    }
    assert_eq!(fs_err::read(sandbox.join("text.txt")).expect("an output"), b"");
}

/// A step without a cache that has begun and goes on for minutes, and the lines that it prints.
#[cfg(unix)]
fn slow_step(
    sandbox: &Sandbox,
) -> (std::process::Child, impl Iterator<Item = std::io::Result<String>> + use<>) {
    use std::os::unix::fs::PermissionsExt as _;
    let kind = r#"#!/bin/sh
if [ "$1" = describe ]; then
  echo '{"celldag": 1, "name": "slow", "epoch": 1, "about": "waits", "outputs": [{"name": "text", "file": "text.txt"}]}'
  exit 0
fi
echo it begins
sleep 600
"#;
    let path = sandbox.write("kinds/slow.sh", kind);
    fs_err::set_permissions(&path, std::fs::Permissions::from_mode(0o755)).expect("executable");
    let args =
        ["step", "slow", "--out", "text=out/text.txt", "--no-cache", "--summary", "out/slow.json", "--json"];
    let mut command = sandbox.command(&args);
    command.env("CELLDAG_PLUGINS", sandbox.join("kinds")).env_remove("TMPDIR");
    let mut child = command.stdout(std::process::Stdio::piped()).spawn().expect("it starts");
    let mut lines = std::io::BufRead::lines(std::io::BufReader::new(child.stdout.take().expect("stdout")));
    let started = lines.find(|line| line.as_ref().is_ok_and(|line| line.contains(r#""event":"started""#)));
    assert!(started.is_some(), "the kind is at work");
    (child, lines)
}

/// A scheduler that ends a step sends SIGTERM.
#[cfg(unix)]
#[test]
fn an_interrupted_step_takes_its_store_away() {
    let sandbox = Sandbox::new();
    let (mut child, lines) = slow_step(&sandbox);
    assert!(files(sandbox.path()).len() > 1, "with a store beside its output");
    let asked = std::process::Command::new("kill").args(["-TERM", &child.id().to_string()]).status();
    assert!(asked.expect("kill").success());
    lines.for_each(drop);
    assert_eq!(child.wait().expect("it ends").code(), Some(130));
    assert_eq!(files(sandbox.path()), ["kinds/slow.sh"], "nothing is left");
}

/// What runs out of memory, or is ended for good, gets SIGKILL.
#[cfg(unix)]
#[test]
fn what_a_killed_step_leaves_is_deleted_by_the_next_that_writes_there() {
    let sandbox = Sandbox::new();
    fs_err::create_dir(sandbox.join("out")).expect("a folder");
    let (mut child, lines) = slow_step(&sandbox);
    child.kill().expect("kill");
    lines.for_each(drop);
    child.wait().expect("it ends");
    assert!(files(&sandbox.join("out")).len() > 1, "its store stays");
    let (mut alive, rest) = slow_step(&sandbox);
    let [cells, _] = quickstart_data();
    let args = ["step", "qc", "--in", &cells, "--out", "cells=out/qc.h5ad", "--no-cache"];
    let next = sandbox.command(&args).env_remove("TMPDIR").output().expect("it starts");
    assert!(next.status.success(), "{}", String::from_utf8_lossy(&next.stderr));
    let hidden = || {
        let entries = fs_err::read_dir(sandbox.join("out")).expect("a folder").flatten();
        entries.filter(|entry| entry.file_name() != "qc.h5ad").count()
    };
    assert_eq!(hidden(), 1, "that of the living one");
    alive.kill().expect("kill");
    rest.for_each(drop);
    alive.wait().expect("it ends");
    let again = sandbox.command(&args).env_remove("TMPDIR").status().expect("it starts");
    assert!(again.success() && hidden() == 0);
}

/// The quickstart as steps, in a store of their own: the keys of a run, a report that is told the same, and a run made of it.
#[test]
fn steps_are_what_a_run_finds_and_become_one() {
    let sandbox = Sandbox::new();
    let args = quickstart(&sandbox);
    let with_store = |command: &[&'static str]| -> Vec<String> {
        let mut all: Vec<String> = command.iter().map(|word| (*word).to_owned()).collect();
        all.extend(args.iter().cloned());
        all.extend(["--cache", "steps"].map(str::to_owned));
        all
    };
    let nowhere = sandbox.run(&borrowed(&with_store(&["runs", "import"])));
    assert_eq!(nowhere.code, 2, "{}", nowhere.stderr);
    assert!(nowhere.stderr.contains("there is no store at steps"), "{}", nowhere.stderr);
    assert!(!sandbox.join("steps").exists(), "it was only asked");
    let [cells, _] = quickstart_data();
    let job = sandbox.ok(&borrowed(&with_store(&["plan", "--json"]))).stdout;
    let missing = sandbox.run(&borrowed(&with_store(&["runs", "import"])));
    assert_eq!(missing.code, 3, "{}", missing.stderr);
    assert!(missing.stderr.contains("the store has no result of"), "{}", missing.stderr);
    let plan: Value = serde_json::from_str(&job).expect("JSON");
    let first = &plan["jobs"][0];
    let kind = crate::sandbox::text(first, "kind");
    let mut step =
        vec!["step".to_owned(), kind, "--in".to_owned(), cells, "--cache".to_owned(), "steps".to_owned()];
    for (name, value) in first["action"]["params"].as_object().expect("params") {
        let value = value.as_str().map_or_else(|| value.to_string(), str::to_owned);
        step.extend(["--with".to_owned(), format!("{name}={value}")]);
    }
    let id = crate::sandbox::text(first, "id");
    step.extend(["--job".to_owned(), id, "--summary".to_owned(), "first.json".to_owned()]);
    sandbox.ok(&borrowed(&step));
    let summary: Value =
        serde_json::from_slice(&fs_err::read(sandbox.join("first.json")).expect("a summary")).expect("JSON");
    assert_eq!(summary["key"], first["key"], "the key that the job has in a run");
    assert_eq!((&summary["celldag_summary"], &summary["job"]), (&1.into(), &first["id"]));
    let plan = sandbox.ok(&borrowed(&with_store(&["plan", "--json"]))).stdout;
    let plan: Value = serde_json::from_str(&plan).expect("JSON");
    assert_eq!(plan["jobs"][0]["state"]["state"], "cached");

    // The rest is computed by a run, whose record goes: what is left is what steps would have left.
    sandbox.ok(&borrowed(&with_store(&["run", "--device", "cpu"])));
    fs_err::remove_dir_all(sandbox.join("steps/runs")).expect("the record");
    let by = [&with_store(&["runs", "import"])[..], &["--by".to_owned(), "snakemake".to_owned()]].concat();
    sandbox.ok(&borrowed(&by));
    let shown = sandbox.ok(&["runs", "show", "--cache", "steps"]).stdout;
    assert!(shown.contains("imported from steps that snakemake ran"), "{shown}");
    sandbox.ok(&["report", "last", "-o", "page.html", "--cache", "steps"]);
    assert!(fs_err::read_to_string(sandbox.join("page.html")).expect("a page").contains("snakemake"));
}
