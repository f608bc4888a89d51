//! Many processes on one store. Three seconds by default; `make soak` (`CELLDAG_SOAK_SECONDS=300`) goes on for five minutes.

use std::collections::BTreeMap;
use std::process::{Child, Stdio};
use std::time::{Duration, Instant};

use crate::sandbox::{Sandbox, quickstart_data, text};

const PROCESSES: usize = 8;

/// Cheap nodes, so that the processes meet at every one of them.
const PIPELINE: &str = r#"
celldag: 1
name: soak
params: {cells: cells.h5ad}
salt: ROUND
axes: {n: [1, 2, 3, 4]}
nodes:
  qc:     {uses: qc, foreach: [n], in: {cells: "${cells}"}, with: {min_genes: 0, min_cells: "${n}"}}
  count:  {uses: exec, foreach: [n], in: {cells: qc.cells}, out: {size: size.txt}, run: [sh, -c, "wc -c < \"$1\" > \"$2\"", sh, "{in:cells}", "{out:size}"]}
  all:    {uses: exec, in: {sizes: {gather: count.size}}, out: {sum: sum.txt}, run: [sh, -c, "out=$1; shift; cat \"$@\" > \"$out\"", sh, "{out:sum}", "{in:sizes}"]}
outputs: {sum.txt: all.sum}
"#;

fn wanted() -> Duration {
    let seconds = std::env::var("CELLDAG_SOAK_SECONDS").ok();
    Duration::from_secs(seconds.map_or(3, |text| text.parse().expect("CELLDAG_SOAK_SECONDS: a number")))
}

#[test]
fn eight_processes_on_one_store_compute_each_action_once() {
    let sandbox = Sandbox::new();
    let [cells, _] = quickstart_data();
    let end = Instant::now() + wanted();
    let mut rounds = 0;
    while Instant::now() < end {
        // Another salt makes all actions new.
        sandbox.write("soak.yaml", &PIPELINE.replace("ROUND", &format!("round {rounds}")));
        let children: Vec<Child> = (0..PROCESSES)
            .map(|number| {
                let out = format!("out{number}");
                let args = ["run", "--json", "--device", "cpu", "soak.yaml", "--set", &cells, "--out", &out];
                sandbox
                    .command(&args)
                    .stdout(Stdio::piped())
                    .stderr(Stdio::piped())
                    .spawn()
                    .expect("the binary")
            })
            .collect();
        let mut computed: BTreeMap<String, usize> = BTreeMap::new();
        for child in children {
            let output = child.wait_with_output().expect("a finished run");
            let stdout = String::from_utf8_lossy(&output.stdout);
            let failures: Vec<&str> = stdout.lines().filter(|line| line.contains("\"failed\"")).collect();
            assert!(output.status.success(), "{}\n{failures:#?}", String::from_utf8_lossy(&output.stderr));
            for line in stdout.lines() {
                let event: serde_json::Value = serde_json::from_str(line).expect("a JSON line");
                if event["event"] == "finished" {
                    *computed.entry(text(&event, "job")).or_default() += 1;
                }
            }
        }
        let sums: Vec<String> = (0..PROCESSES)
            .map(|number| {
                fs_err::read_to_string(sandbox.join(&format!("out{number}/sum.txt"))).expect("output")
            })
            .collect();
        assert!(sums.windows(2).all(|pair| pair[0] == pair[1]), "{sums:?}");
        // Counts of equal contents are one action.
        assert!(computed.len() >= 6 && computed.contains_key("all"), "{computed:?}");
        assert!(computed.values().all(|times| *times == 1), "round {rounds}: {computed:?}");
        rounds += 1;
    }
    println!("{rounds} rounds of {PROCESSES} processes");
    let verify = sandbox.ok(&["cache", "verify", "--cache", ".celldag"]);
    assert!(verify.stdout.contains("0 damaged"), "{}", verify.stdout);
}
