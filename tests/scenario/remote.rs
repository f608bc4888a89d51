//! Two runners, each with a store of its own, and a server between them: what one computes the other need not compute, and no
//! trouble with the server fails a run.

use std::path::PathBuf;
use std::sync::atomic::{AtomicUsize, Ordering};

use crate::http_store::{Behaviour, Server};
use crate::sandbox::{Finished, Sandbox, digests};

/// Outputs above the size that lives in a record, and a folder.
const PIPELINE: &str = r#"
celldag: 1
name: shared
axes: {n: [1, 2, 3]}
nodes:
  part: {uses: exec, foreach: [n], in: {text: words.txt}, out: {part: part.txt}, run: [sh, -c, "for i in 1 2 3 4 5; do cat \"$1\"; done > \"$2\"; echo $3 >> \"$2\"", sh, "{in:text}", "{out:part}", "${n}"]}
  all:  {uses: exec, in: {parts: {gather: part.part}}, out: {sum: sum.txt, folder: folder/}, run: [sh, -c, "s=$1; f=$2; shift 2; cat \"$@\" > \"$s\"; mkdir -p \"$f\"; cp \"$s\" \"$f/a\"", sh, "{out:sum}", "{out:folder}", "{in:parts}"]}
outputs: {results/sum.txt: all.sum, copies: all.folder}
"#;

pub(crate) const NODES: [&str; 4] = ["all", "part", "part", "part"];

/// A machine with its own folder and store.
pub(crate) struct Runner {
    pub(crate) sandbox: Sandbox,
    remote: String,
    token: Option<&'static str>,
    /// More variables of its environment.
    pub(crate) env: Vec<(&'static str, PathBuf)>,
}

impl Runner {
    pub(crate) fn new(remote: &str) -> Self {
        let sandbox = Sandbox::new();
        sandbox.write("shared.yaml", PIPELINE);
        sandbox.write("words.txt", &"so much depends upon a red wheel barrow\n".repeat(100));
        Self { sandbox, remote: remote.to_owned(), token: None, env: Vec::new() }
    }

    pub(crate) fn celldag(&self, args: &[&str]) -> Finished {
        let mut command = self.sandbox.command(args);
        command
            .args(["--remote", &self.remote])
            .envs(self.token.map(|token| ("CELLDAG_REMOTE_TOKEN", token)))
            .envs(self.env.iter().cloned());
        let output = command.output().expect("the binary starts");
        let clean = |text: &[u8]| String::from_utf8_lossy(text).replace(&self.remote, "SERVER");
        let code = output.status.code().unwrap_or(-1);
        Finished { code, stdout: clean(&output.stdout), stderr: clean(&output.stderr) }
    }

    /// Runs the pipeline, which has to succeed whatever the server does. Says which nodes were computed, sorted, and what
    /// stood on stderr.
    pub(crate) fn run(&self) -> (Vec<String>, String) {
        let finished = self.celldag(&["run", "shared.yaml", "--json", "--device", "cpu"]);
        assert_eq!(finished.code, 0, "{}\n{}", finished.stdout, finished.stderr);
        let mut nodes: Vec<String> =
            finished.events("finished").iter().map(|event| crate::sandbox::text(event, "node")).collect();
        nodes.sort();
        (nodes, finished.stderr)
    }

    fn push(&self) -> Finished {
        self.celldag(&["cache", "push", "--cache", ".celldag"])
    }

    pub(crate) fn results(&self) -> Vec<celldag_cache::Digest> {
        ["results", "copies"]
            .iter()
            .flat_map(|name| digests(&self.sandbox.join(name)).into_values())
            .collect()
    }
}

/// Lines that warn.
pub(crate) fn warnings(stderr: &str) -> Vec<&str> {
    stderr.lines().map(str::trim).filter(|line| line.to_lowercase().contains("warn")).collect()
}

#[test]
fn what_one_runner_computed_the_other_takes() {
    let server = Server::start();
    let first = Runner::new(&server.address);
    assert_eq!(first.run().0, NODES);
    let second = Runner::new(&server.address);
    let (computed, stderr) = second.run();
    assert!(computed.is_empty(), "{computed:?}\n{stderr}");
    assert_eq!(second.results(), first.results());
    assert_eq!(second.results().len(), 2);
}

#[test]
fn a_server_that_dies_in_the_middle_costs_one_warning_and_no_result() {
    let server = Server::start();
    let puts = AtomicUsize::new(0);
    server.behave(move |seen| match seen.method == "PUT" && puts.fetch_add(1, Ordering::SeqCst) >= 3 {
        true => Behaviour::HangUp,
        false => Behaviour::Serve,
    });
    let first = Runner::new(&server.address);
    let (computed, stderr) = first.run();
    assert_eq!(computed, NODES);
    assert_eq!(warnings(&stderr).len(), 1, "{stderr}");
    assert!(stderr.contains("results wait to be sent to the shared store"), "{stderr}");

    // What got through is whole, what did not is computed: the second runner has the same results either way.
    let reader = Runner::new(&server.address);
    server.behave(|seen| if seen.method == "PUT" { Behaviour::HangUp } else { Behaviour::Serve });
    reader.run();
    assert_eq!(reader.results(), first.results());

    server.behave(|_| Behaviour::Serve);
    let pushed = first.push();
    assert_eq!(pushed.code, 0, "{}", pushed.stderr);
    assert!(pushed.stdout.ends_with("0 wait\n"), "{}", pushed.stdout);
    let second = Runner::new(&server.address);
    assert!(second.run().0.is_empty());
    assert_eq!(second.results(), first.results());
}

#[test]
fn who_has_no_key_works_on_and_is_told() {
    let server = Server::start();
    server.behave(|seen| match seen.head.contains("authorization: bearer right") {
        true => Behaviour::Serve,
        false => Behaviour::Status(401),
    });
    let mut runner = Runner::new(&server.address);
    runner.token = Some("wrong-secret");
    let (computed, stderr) = runner.run();
    assert_eq!(computed, NODES);
    let told = warnings(&stderr).join("\n");
    insta::assert_snapshot!(told, @r#"
    WARN shared store SERVER: cannot read from it: the server refused access (status 401); what cannot be read counts as not there
    WARN shared store SERVER: cannot write to it: the server refused access (status 401); it is only read from now on, and results wait in the queue (if only reading is meant, say so with `--remote-role read`)
    "#);
    let pushed = runner.push();
    assert_eq!(pushed.code, 1, "{}", pushed.stderr);
    insta::assert_snapshot!(format!("{}{}", pushed.stdout, pushed.stderr), @r#"
    sent 0 results; 0 were there, 4 wait
     WARN shared store SERVER: cannot read from it: the server refused access (status 401); what cannot be read counts as not there
     WARN shared store SERVER: cannot write to it: the server refused access (status 401); it is only read from now on, and results wait in the queue (if only reading is meant, say so with `--remote-role read`)
    "#);
    assert!(!format!("{stderr}{}", pushed.stderr).contains("wrong-secret"));

    runner.token = Some("right");
    let pushed = runner.push();
    assert_eq!((pushed.code, pushed.stdout.as_str()), (0, "sent 4 results; 0 were there, 0 wait\n"));
}

#[test]
fn a_server_that_is_not_there_and_an_address_that_is_none() {
    // Nobody listens there any more.
    let nowhere = {
        let listener = std::net::TcpListener::bind("127.0.0.1:0").expect("a port");
        format!("http://{}/", listener.local_addr().expect("an address"))
    };
    let runner = Runner::new(&nowhere);
    let (computed, stderr) = runner.run();
    assert_eq!(computed, NODES);
    insta::assert_snapshot!(warnings(&stderr).join("\n"), @r#"WARN shared store SERVER: the connection failed: connection refused; going on with the local store"#);
    let pushed = runner.push();
    assert_eq!(pushed.code, 1, "{}", pushed.stderr);
    insta::assert_snapshot!(format!("{}{}", pushed.stdout, pushed.stderr), @r#"
    sent 0 results; 0 were there, 4 wait
     WARN shared store SERVER: the connection failed: connection refused; going on with the local store
    "#);

    let wrong = Runner::new("ftp://cache.example.org/cells");
    let refused = wrong.celldag(&["run", "shared.yaml", "--device", "cpu"]);
    assert_eq!(refused.code, 2);
    insta::assert_snapshot!(refused.stderr, @r#"
    error: the shared store `SERVER` cannot be used: `ftp://` is not known; use s3://, https:// or http://
    hint: docs/cache.md shows addresses of shared stores
    "#);
    assert!(!wrong.sandbox.join("results").exists(), "nothing was computed");
}
