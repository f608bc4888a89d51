//! Nextflow's language server over a folder: `.ci/nextflow_lint.sh` fetches it.

use std::collections::BTreeMap;
use std::io::{BufReader, Write as _};
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStdin, Command, Stdio};
use std::sync::mpsc::{Receiver, RecvTimeoutError, channel};
use std::time::{Duration, Instant};

use serde_json::{Value, json};

use crate::sandbox::repository;

/// Once every file is answered, the server may still say more about it for so long.
const SETTLED: Duration = Duration::from_secs(4);
/// The server starts in seconds, and in a minute on a machine with other things to do.
const PATIENCE: Duration = Duration::from_secs(180);

/// What the language server says about the `.nf` and configuration files below `folder`; `None`, and a message, where there is no
/// server: a failure on the machines of CI, which have one. One line a finding: `main.nf:3:5: error: ...`.
pub(super) fn lint(folder: &Path) -> Option<Vec<String>> {
    let jar = server()?;
    let mut files = Vec::new();
    collect(&folder.canonicalize().expect("a folder"), &mut files);
    assert!(!files.is_empty(), "nothing to look at in {}", folder.display());
    let mut server = Server::start(&jar, folder);
    let said = server.look_at(&files);
    let lines = said.iter().flat_map(|(file, findings)| {
        let name = Path::new(file).file_name().map(|name| name.to_string_lossy().into_owned());
        findings.iter().map(move |finding| line(name.as_deref().unwrap_or(file), finding))
    });
    Some(lines.collect())
}

/// The language server; `None`, and a message, where it is not: a failure on the machines of CI, which have it.
pub(super) fn server() -> Option<PathBuf> {
    let jar = repository().join("target/nextflow/language-server-all.jar");
    let java = Command::new("java").arg("-version").output().is_ok_and(|output| output.status.success());
    for (there, what) in [
        (java, "there is no Java"),
        (jar.is_file(), "sh .ci/nextflow_lint.sh did not fetch Nextflow's language server"),
    ] {
        if !there {
            assert!(std::env::var_os("CI").is_none(), "{what}");
            println!("SKIPPED: {what}");
            return None;
        }
    }
    Some(jar)
}

/// Errors and warnings. `when` in a process is what nf-core's modules have; that it will go one day is only said.
pub(super) fn complaints(lines: &[String]) -> Vec<&String> {
    lines.iter().filter(|line| line.contains(": error: ") || line.contains(": warning: ")).collect()
}

fn line(file: &str, finding: &Value) -> String {
    let severity = match finding["severity"].as_u64() {
        Some(2) => "warning",
        Some(3) => "info",
        Some(4) => "hint",
        _ => "error",
    };
    let place = |name: &str| finding["range"]["start"][name].as_u64().unwrap_or(0) + 1;
    let message = finding["message"].as_str().unwrap_or_default();
    format!("{file}:{}:{}: {severity}: {message}", place("line"), place("character"))
}

fn collect(folder: &Path, files: &mut Vec<PathBuf>) {
    let mut entries: Vec<PathBuf> =
        fs_err::read_dir(folder).expect("a folder").map(|entry| entry.expect("an entry").path()).collect();
    entries.sort();
    for path in entries {
        if path.is_dir() {
            collect(&path, files);
        } else if path.extension().is_some_and(|end| end == "nf" || end == "config") {
            files.push(path);
        }
    }
}

fn uri(path: &Path) -> String {
    format!("file://{}", path.display())
}

/// The server, spoken to as an editor does (Language Server Protocol 3.17).
struct Server {
    process: Child,
    out: ChildStdin,
    messages: Receiver<Value>,
}

impl Drop for Server {
    fn drop(&mut self) {
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

impl Server {
    fn start(jar: &Path, folder: &Path) -> Self {
        let mut process = Command::new("java")
            .args(["-Xmx400m", "-jar"])
            .arg(jar)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .spawn()
            .expect("java starts");
        let out = process.stdin.take().expect("a pipe");
        let mut input = BufReader::new(process.stdout.take().expect("a pipe"));
        let (send, messages) = channel();
        std::thread::spawn(move || {
            while let Some(message) = read(&mut input) {
                if send.send(message).is_err() {
                    break;
                }
            }
        });
        let mut server = Self { process, out, messages };
        let root = uri(&folder.canonicalize().expect("a folder"));
        let folders = json!([{ "uri": root, "name": "export" }]);
        let about =
            json!({ "processId": null, "rootUri": root, "capabilities": {}, "workspaceFolders": folders });
        server.send(&json!({ "jsonrpc": "2.0", "id": 1, "method": "initialize", "params": about }));
        server
    }

    fn send(&mut self, message: &Value) {
        let text = message.to_string();
        write!(self.out, "Content-Length: {}\r\n\r\n{text}", text.len()).expect("the server listens");
        self.out.flush().expect("the server listens");
    }

    fn tell(&mut self, method: &str, params: &Value) {
        self.send(&json!({ "jsonrpc": "2.0", "method": method, "params": params }));
    }

    /// File → what was said about it last.
    fn look_at(&mut self, files: &[PathBuf]) -> BTreeMap<String, Vec<Value>> {
        let started = Instant::now();
        let mut said = BTreeMap::new();
        loop {
            let left = PATIENCE.checked_sub(started.elapsed()).unwrap_or_else(|| {
                panic!("the language server said nothing about some of {} files", files.len())
            });
            let complete = files.iter().all(|file| said.contains_key(&uri(file)));
            let message = match self.messages.recv_timeout(if complete { SETTLED } else { left }) {
                Ok(message) => message,
                Err(RecvTimeoutError::Timeout) if complete => return said,
                Err(RecvTimeoutError::Timeout) => continue,
                Err(RecvTimeoutError::Disconnected) => panic!("the language server ended"),
            };
            match (message["method"].as_str(), message.get("id")) {
                (None, Some(id)) if *id == json!(1) => self.open(files),
                (Some("textDocument/publishDiagnostics"), _) => {
                    let params = &message["params"];
                    let findings = params["diagnostics"].as_array().cloned().unwrap_or_default();
                    said.insert(params["uri"].as_str().unwrap_or_default().to_owned(), findings);
                }
                (Some(method), Some(id)) => {
                    let asked = message["params"]["items"].as_array().map_or(0, Vec::len);
                    let answer = if method == "workspace/configuration" {
                        json!(vec![Value::Null; asked])
                    } else {
                        Value::Null
                    };
                    let reply = json!({ "jsonrpc": "2.0", "id": id, "result": answer });
                    self.send(&reply);
                }
                _ => {}
            }
        }
    }

    fn open(&mut self, files: &[PathBuf]) {
        self.tell("initialized", &json!({}));
        let settings = json!({ "settings": { "nextflow": { "errorReportingMode": "paranoid" } } });
        self.tell("workspace/didChangeConfiguration", &settings);
        for file in files {
            let language =
                if file.extension().is_some_and(|end| end == "nf") { "nextflow" } else { "nextflow-config" };
            let text = fs_err::read_to_string(file).expect("a text");
            let document = json!({ "uri": uri(file), "languageId": language, "version": 1, "text": text });
            self.tell("textDocument/didOpen", &json!({ "textDocument": document }));
        }
    }
}

/// One message; none when the server has ended.
fn read(input: &mut impl std::io::BufRead) -> Option<Value> {
    let mut length = 0;
    loop {
        let mut header = String::new();
        if input.read_line(&mut header).ok()? == 0 {
            return None;
        }
        match header.trim().split_once(':') {
            None => break,
            Some((name, value)) if name.eq_ignore_ascii_case("content-length") => {
                length = value.trim().parse().ok()?;
            }
            Some(_) => {}
        }
    }
    let mut text = vec![0; length];
    input.read_exact(&mut text).ok()?;
    serde_json::from_slice(&text).ok()
}
