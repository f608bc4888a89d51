//! kill -9 at random instants, and two runs of one pipeline at once.

use std::process::Stdio;
use std::time::Duration;

use crate::sandbox::{Sandbox, borrowed, digests, quickstart};
use crate::server::{Server, perfect};

#[test]
fn a_killed_run_leaves_nothing_to_mend() {
    let undisturbed = Sandbox::new();
    let args = quickstart(&undisturbed);
    let started = std::time::Instant::now();
    undisturbed.computed(&borrowed(&args));
    let whole = started.elapsed();
    let expected = digests(&undisturbed.join("results/quickstart"));

    let sandbox = Sandbox::new();
    quickstart(&sandbox);
    let mut all = vec!["run", "--quiet", "--device", "cpu"];
    all.extend(borrowed(&args));
    // Ten instants spread over the run by a fixed sequence, early ones denser: later kills find more in the store.
    for i in 0..10_u32 {
        let fraction = f64::from((i * 7 + 3) % 10) / 10.0 + 0.03;
        let mut child = sandbox
            .command(&all)
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .expect("the binary starts");
        std::thread::sleep(Duration::from_secs_f64(whole.as_secs_f64() * fraction * 0.6));
        child.kill().expect("SIGKILL");
        child.wait().expect("the killed process");
    }
    sandbox.computed(&borrowed(&args));
    assert_eq!(digests(&sandbox.join("results/quickstart")), expected);
    let verify = sandbox.ok(&["cache", "verify", "--cache", ".celldag"]);
    assert!(verify.stdout.contains("0 damaged"), "{}", verify.stdout);
}

#[test]
fn two_runs_at_once_compute_each_node_once() {
    let sandbox = Sandbox::new();
    let args = quickstart(&sandbox);
    let mut all = vec!["run", "--json", "--device", "cpu"];
    all.extend(borrowed(&args));
    let children: Vec<_> = (0..2)
        .map(|_| {
            let mut command = sandbox.command(&all);
            command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().expect("the binary starts")
        })
        .collect();
    let mut computed = Vec::new();
    for child in children {
        let output = child.wait_with_output().expect("a finished run");
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
        for line in String::from_utf8_lossy(&output.stdout).lines() {
            let event: serde_json::Value = serde_json::from_str(line).expect("a JSON line");
            if event["event"] == "finished" {
                computed.push(event["job"].as_str().expect("job").to_owned());
            }
        }
    }
    computed.sort();
    let before = computed.clone();
    computed.dedup();
    assert_eq!(before, computed, "a node was computed twice");
    assert_eq!(computed.len(), 8);
}

#[cfg(unix)]
#[test]
fn a_file_that_cannot_be_written_is_a_failure_with_a_reason() {
    let sandbox = Sandbox::new();
    let binary = env!("CARGO_BIN_EXE_celldag");
    let cells = crate::sandbox::quickstart_data()[0].clone();
    // Files of at most 100 blocks stand for a full disk: the output of this step is larger.
    let script = format!(
        "ulimit -f 100; exec '{binary}' step normalize --in '{cells}' --out cells=out.h5ad --cache store"
    );
    let output = std::process::Command::new("sh")
        .args(["-c", &script])
        .current_dir(sandbox.path())
        .output()
        .expect("a shell");
    let said = String::from_utf8_lossy(&output.stderr);
    assert_eq!(output.status.code(), Some(1), "{said}");
    assert!(said.contains("cannot write"), "{said}");
    assert!(!sandbox.join("out.h5ad").exists(), "half an output");
}

#[test]
fn a_killed_node_goes_on_where_it_was() {
    const CELLS: usize = 40;
    const KILLS: usize = 5;
    // Each cell with a gene of its own: equal questions are asked once.
    let table = || {
        let name = |i: usize| format!("{}{i}", if i.is_multiple_of(2) { "S" } else { "R" });
        let genes: Vec<String> = (0..CELLS).map(name).collect();
        let row = |i: usize| {
            let values: String = (0..CELLS).map(|gene| if gene == i { ",9" } else { ",0" }).collect();
            format!("c{i}{values}\n")
        };
        format!("barcode,{}\n{}", genes.join(","), (0..CELLS).map(row).collect::<String>())
    };
    // Its address is part of the action: one server for both runs.
    let server = Server::new(|seen| {
        std::thread::sleep(Duration::from_millis(15));
        perfect(seen)
    });
    let endpoint = format!("endpoint={}", server.endpoint);
    let mut args = vec!["step", "prompt-classify", "--in", "cells=cells.csv", "--cache", "store"];
    for with in [&endpoint, "model=m", "cells_per_request=1", "concurrency=1"] {
        args.extend(["--with", with]);
    }
    for out in ["predictions=p.csv", "responses=r.jsonl"] {
        args.extend(["--out", out]);
    }
    let undisturbed = Sandbox::new();
    undisturbed.write("cells.csv", &table());
    undisturbed.ok(&args);
    assert_eq!(server.seen().len(), CELLS);

    let sandbox = Sandbox::new();
    sandbox.write("cells.csv", &table());
    for kill in 1..=KILLS {
        let mut command = sandbox.command(&args);
        let mut child =
            command.stdout(Stdio::null()).stderr(Stdio::null()).spawn().expect("the binary starts");
        // While an answer is on its way, comes, or is being saved.
        while server.seen().len() < CELLS + kill * 4 {
            assert!(child.try_wait().expect("process").is_none(), "ended by itself");
            std::thread::sleep(Duration::from_millis(1));
        }
        std::thread::sleep(Duration::from_millis(4 * kill as u64));
        child.kill().expect("SIGKILL");
        child.wait().expect("the killed process");
    }
    sandbox.ok(&args);
    // A kill costs no more than the answer that was on its way.
    let asked = server.seen().len() - CELLS;
    assert!((CELLS..=CELLS + KILLS).contains(&asked), "{asked} questions about {CELLS} cells, {KILLS} kills");
    for file in ["p.csv", "r.jsonl"] {
        let read = |sandbox: &Sandbox| fs_err::read_to_string(sandbox.join(file)).expect("output");
        assert_eq!(read(&sandbox), read(&undisturbed), "{file}");
    }
    let left = fs_err::read_dir(sandbox.join("store/partial")).expect("folder").count();
    assert_eq!(left, 0, "saved states of a result that is there");
    let verify = sandbox.ok(&["cache", "verify", "--cache", "store"]);
    assert!(verify.stdout.contains("0 damaged"), "{}", verify.stdout);
}
