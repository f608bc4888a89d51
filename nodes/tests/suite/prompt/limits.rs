//! Budgets, pace, and going on after a stop.

use std::time::Duration;

use serde_json::json;

use crate::prompt::server::{Reply, Seen, Server, cells, perfect, refuses, truth};
use crate::prompt::study::Study;

#[test]
fn a_run_that_stopped_goes_on_where_it_was() {
    let study = Study::new(40);
    let folder = study.path("answers");
    let with = |more: serde_json::Value| {
        let mut with =
            json!({ "concurrency": 1, "retries": 0, "keep_answers": folder.display().to_string() });
        with.as_object_mut().expect("object").extend(more.as_object().expect("object").clone());
        with
    };
    let server = Server::new(|seen| {
        if seen.number == 2 { Reply::Send(503, Vec::new(), String::new()) } else { perfect(seen) }
    });
    let failed = study.run(&server.endpoint, with(json!({}))).err().expect("a failure");
    assert!(failed.message.contains("503"), "{failed}");
    assert_eq!(fs_err::read_dir(&folder).expect("folder").count(), 2, "two answers are kept");

    let stopped = study.run(&server.endpoint, with(json!({ "max_requests": 1 }))).err().expect("budget");
    assert!(stopped.message.contains("max_requests"), "{stopped}");
    assert!(stopped.help.expect("help").contains("are kept"));
    assert_eq!(server.seen().len(), 4);

    let ran = study.ok(&server.endpoint, with(json!({})));
    ran.check_all_right();
    assert_eq!(server.seen().len(), 5, "only the fourth batch was left");
    assert_eq!(ran.summary.execution["answers_reused"], json!(3));
    assert_eq!(ran.summary.execution["tokens_billed"], json!(110));
    assert_eq!(ran.fact("prompt_tokens"), &json!(400), "facts are those of the whole work");

    let fresh = Server::new(perfect);
    let whole = study.ok(&fresh.endpoint, json!({}));
    assert_eq!(whole.text("predictions"), ran.text("predictions"));
}

#[test]
fn a_step_that_failed_pays_for_nothing_twice() {
    let study = Study::new(40);
    // Fields that are left out are learnt with the first answers, which the second run does not ask for.
    let hear = |seen: &Seen| {
        seen.body.get("temperature").map(|_| refuses(400, "", "unsupported parameter: 'temperature'"))
    };
    let server = Server::new(move |seen| {
        let broken = seen.number == 3 || seen.number == 4;
        if broken {
            Reply::Send(503, Vec::new(), String::new())
        } else {
            hear(seen).unwrap_or_else(|| perfect(seen))
        }
    });
    let store = study.path("store");
    let with = || json!({ "concurrency": 1, "retries": 0 });
    for (sent, kept) in [(4, 2), (5, 2)] {
        let failed = study.resumed(&server.endpoint, with(), &store).err().expect("a failure");
        assert!(failed.help.expect("help").contains("are kept"));
        assert_eq!((server.seen().len(), study.kept(&store)), (sent, kept));
    }
    let ran = study.resumed(&server.endpoint, with(), &store).expect("the rest");
    ran.check_all_right();
    assert_eq!(ran.summary.execution["answers_reused"], json!(2));
    assert_eq!(server.seen().len(), 5 + 1 + 2, "a field once more, and the two batches that were left");
    assert_eq!(study.kept(&store), 0, "nothing is left when it is done");

    let fresh = Server::new(move |seen| hear(seen).unwrap_or_else(|| perfect(seen)));
    let whole = study.ok(&fresh.endpoint, with());
    assert_eq!(
        (whole.text("predictions"), &whole.summary.facts),
        (ran.text("predictions"), &ran.summary.facts)
    );
    assert_eq!(whole.summary.warnings, ran.summary.warnings);

    // A folder named later takes over what was paid for before.
    let failing = Server::new(|seen| if seen.number < 3 { perfect(seen) } else { Reply::Break });
    study.resumed(&failing.endpoint, with(), &store).err().expect("a failure");
    let folder = study.path("answers");
    let named = json!({ "concurrency": 1, "retries": 0, "keep_answers": folder.display().to_string() });
    study.resumed(&failing.endpoint, named, &store).err().expect("a failure");
    assert_eq!(fs_err::read_dir(&folder).expect("folder").count(), 3);
    assert_eq!(failing.seen().len(), 5);
}

#[test]
fn money_and_tokens_are_limits_too() {
    let study = Study::new(40);
    let server = Server::new(perfect);
    let spend = |with: serde_json::Value| {
        let before = server.seen().len();
        let failed = study.run(&server.endpoint, with).err().expect("budget");
        (failed.message, server.seen().len() - before)
    };
    let (message, sent) = spend(json!({ "concurrency": 1, "max_total_tokens": 200 }));
    assert!(message.contains("max_total_tokens") && sent == 2, "{sent}: {message}");
    let (message, sent) =
        spend(json!({ "concurrency": 1, "price_prompt": 1e4, "price_completion": 1e5, "max_cost": 5.9 }));
    assert!(message.contains("max_cost") && sent == 3, "{sent}: {message}");
}

#[test]
fn without_token_counts_budgets_go_by_an_estimate() {
    let study = Study::new(40);
    let server = Server::new(|seen| {
        let text = json!({ "answers": truth(&cells(seen)) }).to_string();
        Reply::Send(200, Vec::new(), json!({ "choices": [{ "message": { "content": text } }] }).to_string())
    });
    let ran = study.ok(&server.endpoint, json!({}));
    assert!(
        ran.summary.warnings.iter().any(|w| w.contains("no token counts with 4 answers")),
        "{:?}",
        ran.summary.warnings
    );
    assert_eq!(ran.fact("requests_without_token_counts"), &json!(4));
    let spent = ran.summary.execution["tokens_billed"].as_u64().expect("number");
    let before = server.seen().len();
    let with = json!({ "concurrency": 1, "max_total_tokens": spent / 2 });
    let failed = study.run(&server.endpoint, with).err().expect("budget");
    assert!(failed.message.contains("max_total_tokens"), "{failed}");
    let sent = server.seen().len() - before;
    assert!((1..4).contains(&sent), "{sent} requests for half the tokens of 4");
}

#[test]
fn requests_keep_their_distance() {
    let server = Server::new(perfect);
    // 600 a minute: one every 100 ms.
    Study::new(40)
        .ok(&server.endpoint, json!({ "concurrency": 4, "requests_per_minute": 600.0 }))
        .check_all_right();
    let seen = server.seen();
    let first = seen.iter().map(|s| s.at).min().expect("requests");
    let last = seen.iter().map(|s| s.at).max().expect("requests");
    assert!(last - first >= Duration::from_millis(290), "{:?}", last - first);
}

#[test]
fn parameters_that_cannot_be_are_refused_before_anything_runs() {
    use celldag_engine::{Kind as _, Params};
    use celldag_nodes::prompt::PromptClassify;
    let spec = PromptClassify.spec();
    let wrong = |with: serde_json::Value| -> Vec<String> {
        let mut all: serde_json::Map<_, _> = spec
            .params
            .iter()
            .filter_map(|param| Some((param.name.to_owned(), param.default.clone()?)))
            .collect();
        all.insert("endpoint".into(), "https://api.example.org/v1".into());
        all.insert("model".into(), "m".into());
        all.extend(with.as_object().expect("object").clone());
        PromptClassify.check(&Params(all)).into_iter().map(|(name, _)| name).collect()
    };
    assert!(wrong(json!({})).is_empty());
    assert_eq!(wrong(json!({ "endpoint": "https://u:k@example.org/v1" })), ["endpoint"]);
    assert_eq!(wrong(json!({ "model": " " })), ["model"]);
    assert_eq!(wrong(json!({ "classes": ["a", "a"] })), ["classes"]);
    assert_eq!(wrong(json!({ "template": "scdrugmap", "shots": 1 })), ["shots"]);
    // An option that the template has no use for is refused, not passed over.
    assert_eq!(wrong(json!({ "template": "scdrugmap", "repairs": 2 })), ["repairs"]);
    assert_eq!(wrong(json!({ "template": "scdrugmap", "answer_format": "json-schema" })), ["answer_format"]);
    assert!(wrong(json!({ "template": "scdrugmap", "repairs": 0, "answer_format": "text" })).is_empty());
    assert_eq!(wrong(json!({ "max_cost": 1.0 })), ["max_cost"]);
    assert!(
        spec.params.iter().find(|p| p.name == "endpoint").expect("endpoint").default.is_none(),
        "no default address"
    );
}
