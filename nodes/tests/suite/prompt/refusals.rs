//! Servers that fail, refuse or answer nonsense.

use std::time::Duration;

use celldag_nodes::learn::predictions::Predictions;
use serde_json::json;

use crate::prompt::server::{Reply, Server, cells, completion, perfect, question, refuses, says, truth};
use crate::prompt::study::{Study, name};

#[test]
fn what_may_pass_is_tried_again() {
    let study = Study::new(10);
    let server = Server::new(|seen| match seen.number {
        0 => Reply::Send(
            429,
            vec![("retry-after", "1".into())],
            r#"{"error":{"code":"rate_limit_exceeded"}}"#.into(),
        ),
        1 => Reply::Send(500, Vec::new(), "<html>oops</html>".into()),
        2 => Reply::Send(529, Vec::new(), String::new()),
        3 => Reply::Break,
        4 => Reply::Hang(Duration::from_secs(2)),
        5 => Reply::Send(200, Vec::new(), "{\"choices\": [".into()),
        6 => Reply::Send(200, Vec::new(), "{}".into()),
        7 => Reply::Send(200, Vec::new(), r#"{"error":{"message":"upstream is busy","code":502}}"#.into()),
        _ => perfect(seen),
    });
    let ran = study.ok(&server.endpoint, json!({ "timeout": 0.5, "retries": 8 }));
    ran.check_all_right();
    let seen = server.seen();
    assert_eq!(seen.len(), 9);
    let waited = seen[1].at - seen[0].at;
    assert!(waited >= Duration::from_millis(950), "Retry-After: 1, but {waited:?}");
    assert_eq!(ran.summary.execution["requests_retried"], json!(8));
    assert_eq!(ran.fact("requests"), &json!(1), "facts do not depend on how often it failed");
}

#[test]
fn what_will_not_pass_ends_the_node_at_once() {
    let study = Study::new(10);
    for (status, code, part) in [
        (401, "invalid_api_key", "key"),
        (403, "forbidden", "403"),
        (404, "model_not_found", "404"),
        (429, "insufficient_quota", "429"),
        (400, "something", "words of the server"),
    ] {
        let server = Server::new(move |_| refuses(status, code, "words of the server"));
        let failed = study.run(&server.endpoint, json!({})).err().expect("a failure");
        assert!(failed.message.contains(part) && failed.help.is_some(), "{status}: {failed}");
        assert_eq!(server.seen().len(), 1, "{status} is not tried again");
    }
    let down = Server::new(|_| Reply::Send(503, Vec::new(), "down".into()));
    let failed = study.run(&down.endpoint, json!({ "retries": 2 })).err().expect("a failure");
    assert!(failed.message.contains("503") && failed.message.contains("3 times"), "{failed}");
    assert_eq!(down.seen().len(), 3);
    let nobody = study.run("http://127.0.0.1:1/v1", json!({ "retries": 1 })).err().expect("no server");
    assert!(nobody.message.contains("127.0.0.1:1"), "{nobody}");
    let patient = Server::new(|_| Reply::Send(429, vec![("retry-after", "86400".into())], String::new()));
    let failed = study.run(&patient.endpoint, json!({})).err().expect("a failure");
    assert!(failed.message.contains("86400 s"), "{failed}");
}

#[test]
fn nothing_follows_to_another_address() {
    let other = Server::new(perfect);
    let target = format!("{}/chat/completions", other.endpoint);
    let server = Server::new(move |_| Reply::Send(307, vec![("location", target.clone())], String::new()));
    let failed = Study::new(3).run(&server.endpoint, json!({})).err().expect("a failure");
    assert!(failed.message.contains("307"), "{failed}");
    assert!(other.seen().is_empty(), "the genes went somewhere else");
}

#[test]
fn fields_that_a_server_does_not_know_are_left_out_and_remembered() {
    let study = Study::new(40);
    let server = Server::new(|seen| {
        for (field, words) in [
            ("response_format", "response_format json_schema is not supported"),
            ("max_tokens", "Unsupported parameter: 'max_tokens'. Use 'max_completion_tokens' instead."),
            ("seed", "unknown field `seed`"),
            ("temperature", "'temperature' does not support 0.0 with this model"),
        ] {
            if seen.body.get(field).is_some() {
                return refuses(400, "unsupported_parameter", words);
            }
        }
        perfect(seen)
    });
    let ran = study.ok(&server.endpoint, json!({ "concurrency": 1 }));
    ran.check_all_right();
    assert_eq!(server.seen().len(), 5 + 4, "format twice, three fields, then four questions");
    assert!(ran.summary.warnings.iter().any(|w| w.contains("temperature")), "{:?}", ran.summary.warnings);
    study.ok(&server.endpoint, json!({ "concurrency": 4 })).check_all_right();
}

#[test]
fn an_unreadable_answer_is_repaired() {
    let server = Server::new(|seen| match seen.number {
        0 => says("<think>hm</think>These cells look healthy."),
        _ => {
            assert!(question(seen).contains("cannot be used"), "{}", question(seen));
            assert_eq!(seen.body["messages"][1]["content"], "These cells look healthy.");
            perfect(seen)
        }
    });
    let study = Study::new(5);
    let ran = study.ok(&server.endpoint, json!({}));
    ran.check_all_right();
    assert_eq!(server.seen().len(), 2);
    assert!(ran.transcript()[0]["outcome"].as_str().expect("text").starts_with("unreadable: no list"));
}

#[test]
fn a_model_that_cannot_count_is_asked_about_fewer_cells() {
    let server = Server::new(|seen| {
        let mut answers = truth(&cells(seen));
        if answers.len() > 3 {
            answers.push(1);
        }
        says(&json!({ "answers": answers }).to_string())
    });
    let study = Study::new(10);
    let ran = study.ok(&server.endpoint, json!({}));
    ran.check_all_right();
}

#[test]
fn one_refused_cell_costs_no_other() {
    let study = Study::new(10).with_split();
    // The server refuses every question with a sensitive cell in it.
    let server = Server::new(|seen| {
        if cells(seen).iter().any(|gene| gene.starts_with('S')) {
            return completion(&json!({ "content": null, "refusal": "I cannot help with that." }), "stop");
        }
        perfect(seen)
    });
    let ran = study.ok(&server.endpoint, json!({ "fold": 0 }));
    let rows = ran.rows();
    assert_eq!(rows.len(), 5, "no cell is dropped");
    let missing: Vec<_> = rows.iter().filter(|row| row.2 != "read").collect();
    assert!(
        missing.len() == 2 && missing.iter().all(|row| row.2 == "refused" && row.1.is_empty()),
        "{rows:?}"
    );
    assert_eq!(ran.fact("missing_refused"), &json!(missing.len()));
    assert!(ran.summary.warnings.iter().any(|w| w.contains("missing_as_wrong")));
    let wrong = Predictions::read(ran.path("missing_as_wrong")).expect("predictions");
    assert_eq!(wrong.rows.iter().filter(|row| row.label != row.prediction).count(), missing.len());
    assert!(wrong.rows.iter().all(|row| (row.score >= 0.5) == (row.prediction == "sensitive")));
}

#[test]
fn filters_silence_and_cut_answers() {
    let study = Study::new(1);
    let missing = |reply: fn() -> Reply| {
        let server = Server::new(move |_| reply());
        let ran = study.ok(&server.endpoint, json!({}));
        (ran.rows()[0].2.clone(), server.seen().len())
    };
    assert_eq!(missing(|| refuses(400, "content_filter", "filtered")), ("filtered".into(), 1));
    assert_eq!(missing(|| completion(&json!({ "content": "" }), "content_filter")), ("filtered".into(), 1));
    assert_eq!(missing(|| completion(&json!({ "content": null }), "tool_calls")), ("empty".into(), 1));
    assert_eq!(missing(|| says("never a list")), ("unreadable".into(), 2));
    assert_eq!(missing(|| completion(&json!({ "content": "{\"ans" }), "length")), ("truncated".into(), 4));
    assert_eq!(missing(|| refuses(400, "context_length_exceeded", "too long")), ("too_long".into(), 1));
    // A server with a limit of its own: what was cut stays cut, and costs no other cell.
    for words in [
        "max_tokens is too large: 1024. This model supports at most 600 completion tokens.",
        "'max_tokens' or 'max_completion_tokens' is too large: 1024",
        "'max_tokens' or 'max_completion_tokens' is too large: 1024. The maximum context length is 900 tokens",
        "Invalid value",
    ] {
        let server = Server::new(move |seen| {
            let limit =
                ["max_tokens", "max_completion_tokens"].iter().find_map(|name| seen.body[*name].as_u64());
            match (limit, cells(seen).len()) {
                (Some(513..), _) => refuses(400, "", words),
                (Some(_), 3..) => completion(&json!({ "content": "{\"answers\": [1" }), "length"),
                _ => perfect(seen),
            }
        });
        let study = Study::new(4);
        let ran = study.ok(&server.endpoint, json!({}));
        ran.check_all_right();
        assert!(
            ran.summary.warnings.iter().any(|w| w.contains("answers were cut 1 times")),
            "{:?}",
            ran.summary.warnings
        );
        let outcomes: Vec<_> = ran.transcript().iter().map(|line| line["outcome"].clone()).collect();
        assert_eq!(outcomes, ["truncated", "no_room", "read", "read"], "{words}");
    }
    // With room for the answer it comes.
    let server = Server::new(|seen| {
        if seen.body["max_tokens"].as_u64().expect("limit") < 2048 {
            return completion(&json!({ "content": "{\"answers\": [1" }), "length");
        }
        perfect(seen)
    });
    let seven = Study::new(7);
    seven.ok(&server.endpoint, json!({})).check_all_right();
    assert_eq!(server.seen().len(), 3);
}

#[test]
fn too_long_a_question_is_halved() {
    let server = Server::new(|seen| {
        if cells(seen).len() > 3 {
            let words = "This model's maximum context length is 8192 tokens. However, your messages resulted in 9120 tokens.";
            return refuses(400, "", words);
        }
        perfect(seen)
    });
    let study = Study::new(10);
    let ran = study.ok(&server.endpoint, json!({}));
    ran.check_all_right();
    let asked: Vec<usize> =
        ran.transcript().iter().map(|line| line["cells"].as_array().expect("cells").len()).collect();
    assert_eq!(asked, [10, 5, 2, 3, 5, 2, 3]);
}

#[test]
fn a_cell_without_genes_stays_in_the_results() {
    let study = Study::new(3);
    let text = fs_err::read_to_string(study.path("cells.csv")).expect("cells");
    fs_err::write(study.path("cells.csv"), text + "cell_003,0,0,0,0,0\n").expect("cells");
    let server = Server::new(perfect);
    let rows = study.ok(&server.endpoint, json!({})).rows();
    assert_eq!(rows[3], (name(3), String::new(), "no_genes".to_owned()));
}
