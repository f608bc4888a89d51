//! `prompt-classify` through the binary: the key shows up nowhere, `--offline` is kept, results are cached.

use std::path::Path;

use serde_json::json;

use crate::sandbox::{Finished, Sandbox};
use crate::server::{Reply, Server, cells, perfect, truth};

const NAME: &str = "CELLDAG_TEST_MODEL_KEY";
const KEY: &str = "sk-test-5d1f0c7e9b3a4826";

fn sandbox() -> Sandbox {
    let sandbox = Sandbox::new();
    // No two cells with the same genes: equal questions are paid for once.
    sandbox.write("cells.csv", "barcode,S_TOP,R_TOP,LOW\na,9,0,1\nb,0,7,2\nc,0,8,0\n");
    sandbox
}

fn classify(sandbox: &Sandbox, endpoint: &str, more: &[&str], key: bool) -> Finished {
    let endpoint = format!("endpoint={endpoint}");
    let name = format!("api_key_env={NAME}");
    let mut args = vec!["step", "prompt-classify", "-vv", "--in", "cells=cells.csv", "--with", &endpoint];
    args.extend(["--with", "model=m", "--with", "genes=2", "--with", "backoff=0.01", "--with", &name]);
    args.extend(["--out", "predictions=p.csv", "--out", "responses=r.jsonl"]);
    args.extend(more);
    let mut command = sandbox.command(&args);
    // Libraries, too, say all they can.
    command.env_remove(NAME).env("RUST_LOG", "trace");
    if key {
        command.env(NAME, KEY);
    }
    let output = command.output().expect("the binary starts");
    Finished {
        code: output.status.code().unwrap_or(-1),
        stdout: String::from_utf8_lossy(&output.stdout).into_owned(),
        stderr: String::from_utf8_lossy(&output.stderr).into_owned(),
    }
}

/// Looks into every file below a folder, the store included.
fn search(folder: &Path, words: &str, found: &mut Vec<String>) -> usize {
    let mut files = 0;
    for entry in fs_err::read_dir(folder).expect("folder") {
        let path = entry.expect("entry").path();
        if path.is_dir() {
            files += search(&path, words, found);
            continue;
        }
        files += 1;
        let bytes = fs_err::read(&path).unwrap_or_default();
        if bytes.windows(words.len()).any(|part| part == words.as_bytes()) {
            found.push(path.display().to_string());
        }
    }
    files
}

#[test]
fn the_key_is_sent_and_shows_up_nowhere_else() {
    let sandbox = sandbox();
    // A server that quotes the key wherever it can.
    let server = Server::new(|seen| {
        let key =
            seen.head.lines().find(|line| line.to_lowercase().starts_with("authorization")).expect("a key");
        if seen.number == 0 {
            return Reply::Send(
                500,
                Vec::new(),
                json!({ "error": { "message": format!("oops {key}") } }).to_string(),
            );
        }
        let text = format!("With {key} I say {}", json!({ "answers": truth(&cells(seen)) }));
        // In two parts, and with a letter that JSON may also write as a number.
        let (half, rest) = text.split_at(text.find(KEY).expect("the key") + 5);
        let parts = json!([{ "text": half }, { "text": rest }]);
        let body = json!({
            "choices": [{ "message": { "content": parts, "refusal": "" }, "finish_reason": "stop" }],
            "model": "MODEL", "system_fingerprint": key,
        });
        let escaped = format!("\\u00{:02x}{}", KEY.as_bytes()[0], &KEY[1..]);
        Reply::Send(200, Vec::new(), body.to_string().replace("MODEL", &escaped))
    });
    let run = classify(&sandbox, &server.endpoint, &[], true);
    assert_eq!(run.code, 0, "{}", run.stderr);
    assert!(server.seen().iter().all(|seen| seen.head.contains(&format!("Bearer {KEY}"))));
    let answers = fs_err::read_to_string(sandbox.join("r.jsonl")).expect("responses");
    assert!(answers.contains("Bearer [key]"), "the server did quote it: {answers}");
    assert!(answers.contains(r#""model":"[key]""#), "the server did write it in another way: {answers}");

    let refusing =
        Server::new(|seen| Reply::Send(403, Vec::new(), json!({ "error": seen.head }).to_string()));
    let failed = classify(&sandbox, &refusing.endpoint, &[], true);
    assert_eq!(failed.code, 1, "{}", failed.stderr);
    assert!(failed.stderr.contains("[key]"), "{}", failed.stderr);

    for text in [&run.stdout, &run.stderr, &failed.stdout, &failed.stderr] {
        assert!(!text.contains(KEY), "{text}");
    }
    let mut found = Vec::new();
    let files = search(sandbox.path(), KEY, &mut found);
    assert!(files > 5 && found.is_empty(), "{found:?} of {files} files");
}

#[test]
fn offline_is_kept_and_what_is_cached_needs_no_server() {
    let sandbox = sandbox();
    let server = Server::new(perfect);
    let refused = classify(&sandbox, &server.endpoint, &["--offline"], false);
    assert_eq!(refused.code, 1, "{}", refused.stderr);
    assert!(refused.stderr.contains("--offline") && server.seen().is_empty(), "{}", refused.stderr);

    let no_key = classify(&sandbox, &server.endpoint, &[], false);
    assert_eq!(no_key.code, 2, "{}", no_key.stderr);
    assert!(no_key.stderr.contains(NAME) && server.seen().is_empty(), "{}", no_key.stderr);

    assert_eq!(classify(&sandbox, &server.endpoint, &[], true).code, 0);
    let written = fs_err::read_to_string(sandbox.join("p.csv")).expect("predictions");
    assert!(written.contains("a,,,0,0,,sensitive,1,sensitive,read"), "{written}");
    assert_eq!(server.seen().len(), 1);

    // Neither the key nor the pace belongs to the result.
    let again = classify(&sandbox, &server.endpoint, &["--offline", "--with", "concurrency=1"], false);
    assert_eq!(again.code, 0, "{}", again.stderr);
    assert_eq!(server.seen().len(), 1);

    // A budget that is too small stops before the question.
    let other = classify(
        &sandbox,
        &server.endpoint,
        &["--with", "seed=1", "--with", "cells_per_request=1", "--with", "max_requests=2"],
        true,
    );
    assert_eq!((other.code, server.seen().len()), (1, 3), "{}", other.stderr);
}

#[test]
fn a_key_that_could_not_be_found_again_is_refused() {
    let sandbox = sandbox();
    let server = Server::new(perfect);
    let endpoint = format!("endpoint={}", server.endpoint);
    let name = format!("api_key_env={NAME}");
    let args = [
        "step",
        "prompt-classify",
        "--in",
        "cells=cells.csv",
        "--with",
        &endpoint,
        "--with",
        "model=m",
        "--with",
        &name,
    ];
    let output = sandbox.command(&args).env(NAME, "1").output().expect("the binary starts");
    let said = String::from_utf8_lossy(&output.stderr);
    assert_eq!(output.status.code(), Some(2), "{said}");
    assert!(said.contains("fewer than 8 characters") && server.seen().is_empty(), "{said}");
}

#[test]
fn an_endpoint_must_be_named() {
    let sandbox = sandbox();
    let run = sandbox.run(&["step", "prompt-classify", "--in", "cells=cells.csv", "--with", "model=m"]);
    assert_eq!(run.code, 2, "{}", run.stderr);
    assert!(run.stderr.contains("endpoint"), "{}", run.stderr);
    let run = sandbox.run(&[
        "step",
        "prompt-classify",
        "--in",
        "cells=cells.csv",
        "--with",
        "model=m",
        "--with",
        "endpoint=https://u:key@x.org/v1",
    ]);
    assert_eq!(run.code, 2, "{}", run.stderr);
}
