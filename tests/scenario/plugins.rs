//! External programs as nodes and kinds: the examples of pipelines/plugins.

use std::path::Path;
use std::process::{Command, Stdio};

use crate::sandbox::Sandbox;

/// Copies the example pipelines, so that their store and results are the sandbox's.
pub(crate) fn examples(sandbox: &Sandbox) {
    let files =
        ["plugins.yaml", "data/scores.csv", "scripts/ranks.py", "scripts/tables.py", "kinds/top-cells.py"];
    copy(sandbox, &files);
}

fn copy(sandbox: &Sandbox, files: &[&str]) {
    let from = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../pipelines/plugins");
    for file in files {
        let to = sandbox.join(file);
        fs_err::create_dir_all(to.parent().expect("a folder")).expect("folder");
        fs_err::copy(from.join(file), to).expect("the example");
    }
}

/// Whether a program that an example needs is there; a message where it is not, and a failure on the machines of CI, which
/// have it.
pub(crate) fn has(program: &str) -> bool {
    let there =
        Command::new(program).arg("--version").stdout(Stdio::null()).status().is_ok_and(|s| s.success());
    if !there {
        assert!(std::env::var("CI").is_err(), "CI needs {program}");
        println!("SKIPPED: there is no {program}");
    }
    there
}

#[test]
fn the_examples_run_and_are_cached_until_something_changes() {
    if !has("python3") {
        return;
    }
    let sandbox = Sandbox::new();
    examples(&sandbox);
    let args = ["run", "plugins.yaml"];
    let first = sandbox.ok(&args);
    assert!(first.stderr.contains("2 computed"), "{}", first.stderr);
    assert!(first.stderr.contains("cells 8 → 3"), "{}", first.stderr);
    let kept = fs_err::read_to_string(sandbox.join("results/responders.csv")).expect("the result");
    assert_eq!(
        kept,
        "cell_id,sample,score,rank\nAAACCTG-1,s1,0.91,1\nAAAGCAA-1,s2,0.73,2\nAACGTTG-1,s2,0.97,1\n"
    );
    // The same content, written anew.
    let script = sandbox.join("scripts/tables.py");
    let text = fs_err::read_to_string(&script).expect("the script");
    fs_err::write(&script, &text).expect("the script");
    assert!(sandbox.ok(&args).stderr.contains("0 computed, 2 cached"));
    fs_err::write(&script, text + "\n# a remark\n").expect("the script");
    let plan = sandbox.ok(&["plan", "plugins.yaml"]);
    assert!(plan.stdout.contains("input code[scripts/tables.py] changed"), "{}", plan.stdout);
    // Its table has the same bytes, so the kind below need not run again.
    assert!(sandbox.ok(&args).stderr.contains("1 computed, 1 cached"));
}

#[test]
fn the_example_in_r_runs_and_is_cached() {
    if !has("Rscript") {
        return;
    }
    let sandbox = Sandbox::new();
    copy(&sandbox, &["with_r.yaml", "data/scores.csv", "scripts/summary.R"]);
    assert!(sandbox.ok(&["run", "with_r.yaml"]).stderr.contains("1 computed"));
    let made = fs_err::read_to_string(sandbox.join("results/summary.csv")).expect("the result");
    assert_eq!(made, "sample,cells,median\ns1,3,0.55\ns2,5,0.66\n");
    assert!(sandbox.ok(&["run", "with_r.yaml"]).stderr.contains("0 computed, 1 cached"));
}

#[test]
fn kinds_in_a_folder_are_listed_checked_and_run_like_others() {
    if !has("python3") {
        return;
    }
    let sandbox = Sandbox::new();
    examples(&sandbox);
    fs_err::copy(sandbox.join("kinds/top-cells.py"), sandbox.join("kinds/broken.py")).expect("a copy");
    let with_kinds = |args: &[&str]| {
        let output =
            sandbox.command(args).env("CELLDAG_PLUGINS", "kinds").output().expect("the binary starts");
        let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
        (output.status.code(), text(&output.stdout), text(&output.stderr))
    };
    let (code, list, complaints) = with_kinds(&["nodes"]);
    assert_eq!(code, Some(0), "{complaints}");
    assert!(list.contains("top-cells") && list.contains("normalize"), "{list}");
    assert!(complaints.contains("broken.py cannot be used as a kind"), "{complaints}");
    let (_, one, _) = with_kinds(&["nodes", "top-cells"]);
    assert!(one.contains("number 0 to 1, in share of the cells of a sample; default 0.5"), "{one}");
    let (_, schema, _) = with_kinds(&["schema"]);
    assert!(schema.contains("keeps the best ranked cells of each sample"));
    sandbox.write(
        "p.yaml",
        "celldag: 1\nnodes:\n  a: {uses: top-cells, in: {table: data/scores.csv}, with: {share: 2}}\n",
    );
    let (code, _, told) = with_kinds(&["check", "p.yaml"]);
    assert_eq!(code, Some(2));
    assert!(told.contains("expected a number from 0 to 1"), "{told}");
    let (code, _, told) =
        with_kinds(&["step", "top-cells", "--in", "table=data/scores.csv", "--out", "table=out.csv"]);
    assert_eq!(code, Some(3), "{told}");
    assert!(
        told.contains("the table has no column `rank`") && told.contains("rank the cells first"),
        "{told}"
    );
}
