//! Exported nodes that run programs of the user (`uses: exec`, kinds in executables): steps with the keys of a run.

use crate::plugins::{examples, has};
use crate::sandbox::{Sandbox, digests};
use crate::snakemake::{command, not_cached, snakemake, succeed};

/// Programs whose arguments, variables, values and code are the same for all jobs, and some whose are not.
const STUDY: &str = r#"
celldag: 1
name: programs
axes:
  fold: {range: 2}
  way: [here, "over there"]
nodes:
  ranks:
    uses: exec
    in: {scores: data/scores.csv}
    out: {table: ranks.csv}
    run: [python3, "{code:scripts/ranks.py}", "{in:scores}", "{out:table}"]
    code: [scripts/tables.py]
    version: [python3, --version]
  responders: {uses: ./kinds/top-cells.py, in: {table: ranks.table}}
  rows:
    uses: exec
    foreach: [fold, way]
    in: {table: responders.table}
    out: {rows: {file: rows.csv, type: predictions}}
    env: {FOLD: "${fold}", SAME: "a \"b\" $${c}"}
    run: [sh, -c, 'echo "it''s ${way}, $FOLD, $SAME, $1" > "$2"; cat "$3" >> "$2"', sh, "{param:note}", "{out:rows}", "{in:table}"]
    with: {note: "${way} ${fold}"}
  all:
    uses: exec
    in: {rows: {gather: rows}}
    out: {all: all.txt}
    run: [sh, "{code:lib/join.sh}", "{out:all}", "{in:rows}"]
    code: [lib/]
outputs:
  results/responders.csv: responders.table
  results/all.txt: all.all
"#;

/// The pipeline and the files that it names.
pub(crate) fn programs(sandbox: &Sandbox) {
    examples(sandbox);
    sandbox.write("lib/join.sh", ". \"${0%/*}/part.sh\"\nout=$1\nshift\njoin \"$@\" > \"$out\"\n");
    sandbox.write("lib/part.sh", "join() { cat \"$@\"; }\n");
    sandbox.write("programs.yaml", STUDY);
}

#[test]
fn snakemake_runs_programs_with_the_keys_of_a_run() {
    let Some(program) = snakemake() else { return };
    let sandbox = Sandbox::new();
    programs(&sandbox);
    sandbox.ok(&["export", "snakemake", "programs.yaml", "-o", "flow", "--cache", "store"]);
    succeed(command(&program, &sandbox, "flow", &[]));
    sandbox.ok(&["run", "programs.yaml", "--cache", "other", "--out", "out"]);
    assert_eq!(digests(&sandbox.join("flow/results")), digests(&sandbox.join("out/results")));
    let all = fs_err::read_to_string(sandbox.join("out/results/all.txt")).expect("the result");
    assert!(all.contains("it's over there, 1, a \"b\" ${c}, over there 1\n"), "{all}");
    assert_eq!(not_cached(&sandbox, &["programs.yaml"]), [""; 0]);
    let again = succeed(command(&program, &sandbox, "flow", &[]));
    assert!(again.contains("Nothing to be done"), "{again}");
}

#[test]
fn a_step_needs_the_file_of_its_program() {
    if !has("python3") {
        return;
    }
    let sandbox = Sandbox::new();
    programs(&sandbox);
    sandbox.ok(&["export", "snakemake", "programs.yaml", "-o", "flow"]);
    let told = |args: &[&str], code: i32| {
        let done = sandbox.run(args);
        assert_eq!(done.code, code, "{args:?}: {}", done.stderr);
        done.stderr
    };
    assert!(told(&["step", "exec", "--out", "table=t.csv"], 2).contains("--spec is missing"));
    assert!(told(&["step", "qc", "--spec", "flow/exec/ranks.yaml"], 2).contains("`qc` is a kind"));
    assert!(told(&["step", "exec", "--spec", "flow/exec/rank.yaml"], 3).contains("there is no file"));
    let spec = ["step", "exec", "--spec", "flow/exec/rows.yaml"];
    let told = told(&[&spec[..], &["--in", "table=data/scores.csv", "--out", "row=r.csv"]].concat(), 2);
    assert!(told.contains("--with run=") && told.contains("--with note="), "{told}");
}
