//! Cells get the answers that were meant for them.

use celldag_nodes::learn::predictions::Predictions;
use serde_json::{Value, json};

use crate::prompt::server::{Server, cells, completion, perfect, question, says, truth};
use crate::prompt::study::{Study, name};

#[test]
fn each_cell_gets_its_own_answer_whatever_the_concurrency() {
    let study = Study::new(43);
    let server = Server::new(|seen| {
        // Later requests are answered first.
        std::thread::sleep(std::time::Duration::from_millis(40 / (seen.number as u64 + 1)));
        perfect(seen)
    });
    let ran = study.ok(&server.endpoint, json!({ "concurrency": 8 }));
    ran.check_all_right();
    assert_eq!(ran.rows().len(), 43);
    assert_eq!((ran.fact("requests"), ran.fact("prompt_tokens")), (&json!(5), &json!(500)));
    let alone = study.ok(&server.endpoint, json!({ "concurrency": 1 }));
    assert_eq!(ran.bytes(), alone.bytes(), "the order of arrival must not matter");

    let seen = server.seen();
    let body = &seen[0].body;
    assert_eq!(
        (&body["temperature"], &body["seed"], &body["max_tokens"]),
        (&json!(0.0), &json!(0), &json!(512))
    );
    let schema = &body["response_format"]["json_schema"]["schema"];
    assert_eq!(schema["properties"]["answers"]["items"]["enum"], json!([0, 1]));
    for request in &seen {
        assert!(request.head.starts_with("POST /v1/chat/completions HTTP/1.1"), "{}", request.head);
        assert!(!request.head.to_lowercase().contains("authorization"), "no key was given");
        let sent = request.body.to_string();
        assert!(!sent.contains("cell_") && !sent.contains("ZERO"), "names of cells stay here: {sent}");
    }
    let first = question(&seen[0]);
    assert!(
        first.contains(r#"_TOP","LOW_A","LOW_B"]"#),
        "equal values in the order of their names:\n{first}"
    );
    let line = &ran.transcript()[0];
    assert_eq!(line["answer"]["usage"], json!({ "prompt_tokens": 100, "completion_tokens": 10 }));
    assert_eq!((&line["outcome"], &line["answer"]["model"]), (&json!("read"), &json!("test-model-1")));
}

#[test]
fn neighbours_in_the_file_are_not_asked_about_together() {
    let study = Study::new(40);
    let server = Server::new(perfect);
    let ran = study.ok(&server.endpoint, json!({}));
    let first: Vec<String> =
        ran.transcript()[0]["cells"].as_array().expect("cells").iter().map(Value::to_string).collect();
    assert!(!first.is_sorted(), "{first:?}");
}

#[test]
fn only_test_cells_are_asked_about_and_folds_share_their_questions() {
    let study = Study::new(20).with_split();
    let server = Server::new(perfect);
    let ran = study.ok(&server.endpoint, json!({ "fold": 1 }));
    ran.check_all_right();
    let odd: Vec<String> = (0..20).filter(|cell| cell % 2 == 1).map(name).collect();
    assert_eq!(ran.rows().into_iter().map(|row| row.0).collect::<Vec<_>>(), odd);
    assert_eq!(server.seen().len(), 1);
    let both = study.ok(&server.endpoint, json!({}));
    assert_eq!((both.rows().len(), both.fact("requests")), (20, &json!(2)));
    for port in ["answered", "missing_as_wrong"] {
        let read = Predictions::read(both.path(port)).expect("what `evaluate` reads");
        assert_eq!(read.classes, ["resistant", "sensitive"]);
        assert!(read.rows.iter().all(|row| row.label == row.prediction) && read.rows.len() == 20, "{port}");
    }
}

#[test]
fn examples_are_training_cells_of_the_fold() {
    let study = Study::new(24).with_split();
    let server = Server::new(perfect);
    let ran = study.ok(&server.endpoint, json!({ "shots": 2, "cells_per_request": 12 }));
    ran.check_all_right();
    let seen = server.seen();
    assert_eq!(seen.len(), 2, "each fold has examples of its own");
    for request in &seen {
        let text = question(request);
        assert_eq!((text.matches("-> 0").count(), text.matches("-> 1").count()), (2, 2), "{text}");
    }
    let refused = study.run(&server.endpoint, json!({ "shots": 9 })).err().expect("too few sensitive cells");
    assert!(refused.message.contains("shots"), "{refused}");
    let unsplit = Study::new(4).run(&server.endpoint, json!({ "shots": 1 })).err().expect("no labels");
    assert!(unsplit.message.contains("split"), "{unsplit}");
}

#[test]
fn thoughts_fences_and_parts_are_read() {
    let study = Study::new(4);
    let server = Server::new(|seen| {
        let right = json!({ "answers": truth(&cells(seen)) });
        match seen.number {
            0 => says(&format!("<think>perhaps {{res:1,1,1,1}}</think>\n```json\n{right}\n```")),
            1 => completion(
                &json!({ "content": [{ "type": "text", "text": right.to_string() }], "reasoning_content": "[0,0,0,0]" }),
                "stop",
            ),
            _ => says(&format!("The form is {{res:0,0,0,0}}. {{ 'res' : {:?} }}", truth(&cells(seen)))),
        }
    });
    for _ in 0..3 {
        study.ok(&server.endpoint, json!({})).check_all_right();
    }
    assert_eq!(server.seen().len(), 3);
}

#[test]
fn the_published_batches_and_parser_with_drops_counted() {
    let study = Study::new(35).with_split();
    let server = Server::new(|seen| {
        let text = question(seen);
        assert!(text.contains("data source:\nGSE1"), "{text}");
        let lists = text.split("[['").nth(1).expect("python lists");
        let answers: Vec<&str> =
            lists.split("], [").map(|list| if list.contains("S_TOP") { "1" } else { "0" }).collect();
        // What the published parser cannot read: a space.
        says(&format!("{{res:{}{}}}", if seen.number == 1 { " " } else { "" }, answers.join(",")))
    });
    let with =
        json!({ "template": "scdrugmap", "source": "GSE1", "concurrency": 1, "cells_per_request": 10 });
    let ran = study.ok(&server.endpoint, with);
    assert_eq!(server.seen().len(), 3, "the last batch is not full, and nothing is asked twice");
    assert!(server.seen()[0].body.get("response_format").is_none());
    let rows = ran.rows();
    let count = |answer: &str| rows.iter().filter(|row| row.2 == answer).count();
    assert_eq!((count("read"), count("unreadable"), count("not_sent")), (20, 10, 5));
    assert_eq!((ran.fact("missing_unreadable"), ran.fact("missing_not_sent")), (&json!(10), &json!(5)));
    let order: Vec<String> = ran.transcript()[0]["cells"]
        .as_array()
        .expect("cells")
        .iter()
        .map(|c| c.as_str().expect("name").to_owned())
        .collect();
    assert!(order.is_sorted(), "cells are asked about in the order of the file");
    let wrong = Predictions::read(ran.path("missing_as_wrong")).expect("predictions");
    let right = wrong.rows.iter().filter(|row| row.label == row.prediction).count();
    assert_eq!((wrong.rows.len(), right), (35, 20));
    assert_eq!(Predictions::read(ran.path("answered")).expect("predictions").rows.len(), 20);
}

#[test]
fn a_dry_run_counts_and_sends_nothing() {
    let study = Study::new(25);
    let ran = study.ok("https://api.example.invalid/v1", json!({ "dry_run": true, "price_prompt": 1.0 }));
    assert_eq!(ran.fact("requests"), &json!(3));
    assert!(ran.fact("prompt_tokens_estimated").as_u64().expect("number") > 100);
    assert!(ran.summary.execution.contains_key("cost_estimated"));
    assert!(ran.rows().iter().all(|row| row.1.is_empty() && row.2 == "dry_run"));
    let questions = ran.transcript();
    assert_eq!(questions.len(), 3);
    assert!(questions[0]["messages"][0]["content"].as_str().expect("text").contains("LOW_A"));
}
