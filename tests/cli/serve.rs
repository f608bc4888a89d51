//! `celldag serve`: what is answered, what is refused, and that the store stays as it was.

use std::collections::BTreeMap;
use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::net::TcpStream;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use serde_json::{Value, json};

use crate::sandbox::{Sandbox, repository};

/// A small report document, which lives in the record of its key, and a page that would like to run a script.
const PIPELINE: &str = r#"
celldag: 1
name: small <b>study</b>
params: {score: "0.5"}
nodes:
  doc:
    uses: exec
    run: [sh, "{code:emit.sh}", "{in:cells}", "{out:report}", "{out:note}", "{param:score}"]
    in: {cells: cells.txt}
    out: {report: {file: report.json, type: report}, note: note.html}
    with: {score: "${score}"}
outputs: {"out/report.json": doc.report, "out/note.html": doc.note}
"#;

const PROGRAM: &str = r#"
cat > "$2" <<END
{"format": "celldag.report/1", "title": "Scores of $(cat "$1")", "headline": [["AUROC", $4]], "metrics": {"auroc": $4}}
END
printf '<script>1</script>' > "$3"
"#;

/// A running server, killed at the end of the test.
struct Server {
    child: Child,
    port: u16,
}

impl Drop for Server {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

struct Answer {
    status: u16,
    head: String,
    body: String,
}

impl Answer {
    fn header(&self, name: &str) -> Option<&str> {
        let lines = self.head.lines().filter_map(|line| line.split_once(": "));
        lines.filter(|(known, _)| known.eq_ignore_ascii_case(name)).map(|(_, value)| value).next()
    }

    fn json(&self) -> Value {
        serde_json::from_str(&self.body).unwrap_or_else(|e| panic!("{e}: {}", self.body))
    }
}

impl Server {
    fn start(sandbox: &Sandbox) -> Self {
        let mut command = sandbox.command(&["serve", "--port", "0", "--json"]);
        let mut child =
            command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().expect("the binary starts");
        let mut line = String::new();
        let stdout = child.stdout.take().expect("stdout");
        BufReader::new(stdout).read_line(&mut line).expect("the address");
        let told: Value = serde_json::from_str(&line).expect("JSON");
        let port = told["port"].as_u64().and_then(|port| u16::try_from(port).ok()).expect("port");
        assert_eq!(told["address"], format!("http://127.0.0.1:{port}/"));
        Self { child, port }
    }

    fn raw(&self, request: &str) -> Answer {
        let mut stream = TcpStream::connect(("127.0.0.1", self.port)).expect("connection");
        stream.set_read_timeout(Some(Duration::from_secs(30))).expect("timeout");
        stream.write_all(request.as_bytes()).expect("request");
        let mut text = Vec::new();
        stream.read_to_end(&mut text).expect("answer");
        let end = text.windows(4).position(|four| four == b"\r\n\r\n");
        let end = end.unwrap_or_else(|| panic!("no HTTP: {}", String::from_utf8_lossy(&text)));
        let (head, body) = (String::from_utf8_lossy(&text[..end]).into_owned(), &text[end + 4..]);
        // An answer to HEAD has no body, whatever its head says.
        let in_pieces = head.contains("transfer-encoding: chunked") && !body.is_empty();
        let body = if in_pieces { joined(body) } else { body.to_vec() };
        let body = String::from_utf8_lossy(&body).into_owned();
        let status = head.split(' ').nth(1).and_then(|status| status.parse().ok()).expect("status");
        Answer { status, head, body }
    }

    fn ask(&self, method: &str, path: &str, host: &str) -> Answer {
        self.raw(&format!("{method} {path} HTTP/1.1\r\nHost: {host}\r\nConnection: close\r\n\r\n"))
    }

    fn get(&self, path: &str) -> Answer {
        self.ask("GET", path, &format!("localhost:{}", self.port))
    }
}

/// The body of an answer that came in pieces, each after its length.
fn joined(mut pieces: &[u8]) -> Vec<u8> {
    let mut body = Vec::new();
    loop {
        let end = pieces.windows(2).position(|two| two == b"\r\n").expect("a length");
        let length = std::str::from_utf8(&pieces[..end]).expect("digits");
        let length = usize::from_str_radix(length, 16).expect("digits");
        if length == 0 {
            return body;
        }
        body.extend_from_slice(&pieces[end + 2..end + 2 + length]);
        pieces = &pieces[end + 2 + length + 2..];
    }
}

/// A store with two runs that differ in a parameter, and an imported one; ids, newest first.
fn two_runs() -> (Sandbox, Vec<String>) {
    let sandbox = Sandbox::new();
    sandbox.write("small.yaml", PIPELINE);
    sandbox.write("emit.sh", PROGRAM);
    sandbox.write("cells.txt", "<i>cells</i>");
    for score in ["score=0.5", "score=0.75"] {
        sandbox.ok(&["run", "small.yaml", "--device", "cpu", "--set", score]);
    }
    sandbox.ok(&["runs", "import", "small.yaml", "--by", "snake<i>make"]);
    let runs: Value = serde_json::from_str(&sandbox.ok(&["runs", "--json"]).stdout).expect("JSON");
    let ids = runs.as_array().expect("runs").iter().map(|run| run["id"].as_str().expect("id").to_owned());
    (sandbox, ids.collect())
}

/// Every file below a folder with its content.
fn files(folder: &Path) -> BTreeMap<std::path::PathBuf, Vec<u8>> {
    let mut found = BTreeMap::new();
    for entry in fs_err::read_dir(folder).expect("folder") {
        let path = entry.expect("entry").path();
        if path.is_dir() {
            found.insert(path.clone(), Vec::new());
            found.extend(files(&path));
        } else {
            let bytes = fs_err::read(&path).expect("file");
            found.insert(path, bytes);
        }
    }
    found
}

#[test]
fn runs_are_shown_compared_and_followed_and_the_store_stays_as_it_is() {
    let (sandbox, ids) = two_runs();
    let [imported, second, first] = ids.as_slice() else { panic!("three runs: {ids:?}") };
    going_on(&sandbox, "20990101T000000.000-beef");
    let _alive = alive(&sandbox, "20990101T000000.000-beef");
    let before = files(&sandbox.join(".celldag"));
    let server = Server::start(&sandbox);

    let list = server.get("/");
    assert_eq!((list.status, list.header("content-type")), (200, Some("text/html; charset=utf-8")));
    for told in
        [imported, second, first, "20990101T000000.000-beef", "snake&lt;i&gt;make", "small &lt;b&gt;study"]
    {
        assert!(list.body.contains(told), "{told} in {}", list.body);
    }
    assert!(list.header("content-security-policy").is_some_and(|csp| csp.starts_with("default-src 'none'")));
    assert_eq!(list.header("x-content-type-options"), Some("nosniff"));

    let page = server.get(&format!("/runs/{imported}"));
    assert!(
        page.status == 200 && page.body.contains("from steps that snake&lt;i&gt;make ran"),
        "{}",
        page.body
    );
    assert!(page.body.contains("<b>0.500</b><span>AUROC</span>"), "{}", page.body);
    assert!(page.body.contains("Scores of &lt;i&gt;cells&lt;/i&gt;"), "{}", page.body);
    // As a file: byte for byte what the command writes.
    sandbox.ok(&["report", second, "-o", "written.html"]);
    let report = server.get(&format!("/runs/{second}/report.html"));
    assert_eq!(report.body, fs_err::read_to_string(sandbox.join("written.html")).expect("report"));

    let diff = server.get(&format!("/diff?earlier={first}&later={second}"));
    assert!(
        diff.status == 200 && diff.body.contains("+0.2500") && diff.body.contains("0.5 → 0.75"),
        "{}",
        diff.body
    );

    outputs(&server, first);
    machines(&server, &sandbox, &ids);
    live(&server, &sandbox);
    killed(&server, &sandbox);
    refused(&server, first);
    assert_eq!(files(&sandbox.join(".celldag")), after_events(before, &sandbox), "the store stays as it was");
}

/// Files come from the store: as the run made them, without scripts, by their number.
fn outputs(server: &Server, run: &str) {
    let page = server.get(&format!("/runs/{run}")).body;
    for number in 0..2 {
        assert!(page.contains(&format!("href=\"/runs/{run}/outputs/{number}\"")), "{page}");
    }
    let answers: Vec<Answer> = (0..2).map(|i| server.get(&format!("/runs/{run}/outputs/{i}"))).collect();
    let report = answers.iter().find(|answer| answer.header("content-type") == Some("application/json"));
    assert_eq!(report.expect("report.json").json()["metrics"]["auroc"], json!(0.5), "as this run made it");
    let note = answers.iter().find(|answer| answer.body == "<script>1</script>").expect("note.html");
    assert!(
        note.header("content-security-policy")
            .is_some_and(|csp| csp.starts_with("sandbox; default-src 'none'"))
    );
    assert_eq!(server.get(&format!("/runs/{run}/outputs/2")).status, 404);
    assert_eq!(server.get(&format!("/runs/{run}/outputs/-1")).status, 404);
}

fn machines(server: &Server, sandbox: &Sandbox, ids: &[String]) {
    let listed = server.get("/api/runs.json").json();
    let told: Value = serde_json::from_str(&sandbox.ok(&["runs", "--json"]).stdout).expect("JSON");
    assert_eq!(listed, told);
    let run = server.get(&format!("/api/runs/{}.json", ids[2])).json();
    let told: Value =
        serde_json::from_str(&sandbox.ok(&["runs", "show", &ids[2], "--json"]).stdout).expect("JSON");
    assert_eq!(run, told);
    let events = server.get(&format!("/api/runs/{}/events.jsonl", ids[2])).body;
    let kept = fs_err::read_to_string(sandbox.join(".celldag/runs").join(&ids[2]).join("events.jsonl"))
        .expect("events");
    assert_eq!(events, kept);
    let first = events.find('\n').expect("a line") + 1;
    assert_eq!(server.get(&format!("/api/runs/{}/events.jsonl?from={first}", ids[2])).body, events[first..]);
    let none = server.get("/api/runs/nowhere.json");
    assert_eq!(none.status, 404);
    assert!(
        none.json()["errors"][0]["message"].as_str().is_some_and(|m| m.contains("nowhere")),
        "{}",
        none.body
    );
}

/// A run in progress: counted from its events, again when more have come.
fn live(server: &Server, sandbox: &Sandbox) {
    let page = server.get("/runs/20990101T000000.000-beef");
    assert!(page.body.contains("1/3 jobs, 1 running") && page.body.contains("12/60 epochs"), "{}", page.body);
    assert!(page.body.contains("live.js"));
    assert_eq!(server.get("/live.js").header("content-type"), Some("text/javascript; charset=utf-8"));
    let ask = || server.get("/api/runs/20990101T000000.000-beef/live.json").json();
    let state = ask();
    assert_eq!((&state["status"], &state["nodes"][1]["running"]), (&json!("running"), &json!(1)));
    let finished =
        json!({ "event": "finished", "job": "head[fold=0]", "node": "head", "seconds": 1.0, "facts": {} });
    append(sandbox, &[finished]);
    let state = ask();
    assert_eq!((&state["nodes"][1]["computed"], &state["running"]), (&json!(1), &json!([])));
}

fn refused(server: &Server, run: &str) {
    let ours = format!("127.0.0.1:{}", server.port);
    for path in [
        "/../../etc/passwd",
        "/runs/..",
        "/runs/../../small.yaml",
        "/runs/%2e%2e/run.json",
        "/runs/..%2f..%2fcells.txt",
        "/runs/nowhere",
        "/runs//",
        "//etc/passwd",
        "/api/runs/../FORMAT.json",
        "/diff",
        "/diff?earlier=..&later=..",
    ] {
        let answer = server.get(path);
        assert_eq!(answer.status, 404, "{path}: {}", answer.body);
        assert!(!answer.body.contains("root:") && !answer.body.contains("celldag-store"), "{path}");
    }
    let outside = server.get(&format!("/runs/{run}/outputs/../../../FORMAT"));
    assert_eq!(outside.status, 404);
    // A name that was made to point here (DNS rebinding), and another server's port.
    for host in ["evil.example", &format!("evil.example:{}", server.port), "127.0.0.1", "localhost:1"] {
        let answer = server.ask("GET", "/api/runs.json", host);
        assert!(answer.status == 403 && !answer.body.contains(run), "{host}: {}", answer.body);
    }
    assert_eq!(server.ask("GET", "http://evil.example/", &ours).status, 403);
    for method in ["POST", "PUT", "DELETE", "OPTIONS"] {
        let answer = server.ask(method, "/", &ours);
        assert_eq!((answer.status, answer.header("allow")), (405, Some("GET, HEAD")), "{method}");
    }
    let (got, head) = (server.get("/"), server.ask("HEAD", "/", &ours));
    assert_eq!((head.status, head.body.as_str()), (200, ""));
    assert_eq!(head.header("content-length"), Some(got.body.len().to_string().as_str()));
    assert_eq!(server.raw("GET / HTTP/1.1\r\nConnection: close\r\n\r\n").status, 400, "no host at all");
}

/// A run that was killed between its header and its first event.
fn killed(server: &Server, sandbox: &Sandbox) {
    let id = "20000101T000000.000-dead";
    let from = sandbox.join(".celldag/runs/20990101T000000.000-beef/run.json");
    let text = fs_err::read_to_string(from).expect("run.json").replace("20990101T000000.000-beef", id);
    let path = sandbox.write(&format!(".celldag/runs/{id}/run.json"), &text);
    let page = server.get(&format!("/runs/{id}"));
    assert!(page.status == 200 && page.body.contains("killed"), "{}", page.body);
    let events = server.get(&format!("/api/runs/{id}/events.jsonl"));
    assert_eq!((events.status, events.body.as_str()), (200, ""));
    fs_err::remove_dir_all(path.parent().expect("folder")).expect("removed");
}

#[test]
fn a_connection_has_one_request_and_a_strange_one_disturbs_nobody() {
    let (sandbox, ids) = two_runs();
    let mut server = Server::start(&sandbox);
    let host = format!("localhost:{}", server.port);
    // Read to the end of the connection, which nobody asked to close.
    let answer = server.raw(&format!("GET / HTTP/1.1\r\nHost: {host}\r\n\r\n"));
    assert!(answer.status == 200 && answer.body.trim_end().ends_with("</html>"), "{}", answer.body);
    // A body that never comes is not waited for, and each is refused at once.
    let asked = std::time::Instant::now();
    let post = format!("POST / HTTP/1.1\r\nHost: {host}\r\nContent-Length: 1000\r\n\r\nslow");
    assert_eq!(server.raw(&post).status, 405);
    assert!(asked.elapsed() < Duration::from_secs(9), "the patience with a silent client is 10 s");
    for request in
        [format!("CONNECT {host} HTTP/1.1\r\nHost: {host}\r\n\r\n"), format!("GET {host} HTTP/1.1\r\n\r\n")]
    {
        let mut stream = TcpStream::connect(("127.0.0.1", server.port)).expect("connection");
        stream.write_all(request.as_bytes()).expect("request");
        let mut told = String::new();
        let _ = stream.read_to_string(&mut told);
        assert!(!told.contains(" 200 "), "{told}");
        assert_eq!(server.get("/").status, 200, "the next one is answered");
    }
    // Twice, so that the first has let the second go on.
    for _ in 0..2 {
        let head = server.ask("HEAD", &format!("/api/runs/{}.json", ids[0]), &host);
        assert_eq!((head.status, head.body.as_str()), (200, ""));
        assert_eq!(server.get(&format!("/api/runs/{}.json", ids[0])).status, 200);
    }
    let mut told = String::new();
    let mut stderr = server.child.stderr.take().expect("stderr");
    server.child.kill().expect("end");
    stderr.read_to_string(&mut told).expect("stderr");
    assert!(!told.contains("internal error"), "{told}");
}

/// The record of a run that goes on: a head, and events as far as they go.
fn going_on(sandbox: &Sandbox, id: &str) {
    let runs = sandbox.join(".celldag/runs");
    let template = fs_err::read_dir(&runs).expect("runs").next().expect("a run").expect("entry").path();
    let mut header: Value =
        serde_json::from_slice(&fs_err::read(template.join("run.json")).expect("run.json")).expect("JSON");
    header["id"] = json!(id);
    header["status"] = json!("running");
    header["finished"] = Value::Null;
    sandbox.write(&format!(".celldag/runs/{id}/run.json"), &header.to_string());
    let nodes = json!([["qc", 1], ["head", 2]]);
    append(
        sandbox,
        &[
            json!({ "event": "run_started", "run": id, "pipeline": "small", "nodes": nodes, "device": "cpu" }),
            json!({ "event": "finished", "job": "qc", "node": "qc", "seconds": 1.0, "facts": {} }),
            json!({ "event": "started", "job": "head[fold=0]", "node": "head", "kind": "mlp-head" }),
            json!({ "event": "progress", "job": "head[fold=0]", "node": "head", "done": 12, "total": 60, "unit": "epochs" }),
        ],
    );
}

fn append(sandbox: &Sandbox, events: &[Value]) {
    let path = sandbox.join(".celldag/runs/20990101T000000.000-beef/events.jsonl");
    let mut file = fs_err::OpenOptions::new().create(true).append(true).open(path).expect("events");
    for event in events {
        let mut line = json!({ "v": 1, "time": "2099-01-01T00:00:00.000Z" });
        line.as_object_mut().expect("object").extend(event.as_object().expect("object").clone());
        writeln!(file, "{line}").expect("line");
    }
}

/// The lock that says that the process of a run lives.
fn alive(sandbox: &Sandbox, id: &str) -> fs_err::File {
    let path = sandbox.join(".celldag/runs").join(id).join("alive");
    let file = fs_err::File::create(path).expect("alive");
    file.file().try_lock().expect("lock");
    file
}

/// What this test itself wrote to the events of its run is no doing of the server.
fn after_events(
    mut files: BTreeMap<std::path::PathBuf, Vec<u8>>,
    sandbox: &Sandbox,
) -> BTreeMap<std::path::PathBuf, Vec<u8>> {
    let path = sandbox.join(".celldag/runs/20990101T000000.000-beef/events.jsonl");
    let bytes = fs_err::read(&path).expect("events");
    files.insert(path, bytes);
    files
}

#[test]
fn without_a_store_nothing_is_made() {
    let sandbox = Sandbox::new();
    for args in [&["serve", "--port", "0"][..], &["serve", "--port", "0", "--cache", "."]] {
        let refused = sandbox.run(args);
        assert_eq!(refused.code, 2, "{}", refused.stderr);
        assert!(refused.stderr.contains("there is no store at") && refused.stderr.contains("--cache DIR"));
    }
    assert_eq!(fs_err::read_dir(sandbox.path()).expect("folder").count(), 0);
}

#[test]
fn a_port_that_is_taken_is_told_and_an_interrupt_ends_it() {
    let sandbox = Sandbox::new();
    let pipeline = repository().join("pipelines/quickstart.yaml");
    // Makes a store without a run.
    sandbox.ok(&["plan", pipeline.to_str().expect("path"), "--cache", ".celldag"]);
    let mut server = Server::start(&sandbox);
    assert!(server.get("/").body.contains("No runs yet"));
    let taken = sandbox.run(&["serve", "--port", &server.port.to_string()]);
    assert_eq!(taken.code, 2, "{}", taken.stderr);
    assert!(
        taken.stderr.contains("another program uses it") && taken.stderr.contains("--port N"),
        "{}",
        taken.stderr
    );
    assert!(!taken.stderr.contains("celldag serve"), "nobody knows which program it is: {}", taken.stderr);
    let pid = server.child.id().to_string();
    assert!(Command::new("kill").args(["-INT", &pid]).status().expect("kill").success());
    assert_eq!(server.child.wait().expect("end").code(), Some(130));
}
