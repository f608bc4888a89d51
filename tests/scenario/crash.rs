//! kill -9 at random instants, and two runs of one pipeline at once.

use std::process::Stdio;
use std::time::Duration;

use crate::sandbox::{Sandbox, borrowed, digests, quickstart};

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
