//! The page of the book about events, held against the events themselves.

use serde_json::json;

use crate::error::ExitClass;
use crate::events::{Counts, RunEvent};
use crate::plan::JobState;

/// One of each, with everything that may be left out.
fn all() -> Vec<RunEvent> {
    let text = || "x".to_owned();
    let map = || json!({ "x": 1 }).as_object().unwrap().clone();
    let all = vec![
        RunEvent::RunStarted { run: text(), pipeline: text(), nodes: vec![(text(), 1)], device: text() },
        RunEvent::Decided { job: text(), node: text(), state: JobState::Fails { because: text() } },
        RunEvent::Started {
            job: text(),
            node: text(),
            kind: text(),
            gpus: vec![text()],
            expected_seconds: Some(1.0),
        },
        RunEvent::Progress { job: text(), node: text(), done: 1, total: Some(2), unit: text() },
        RunEvent::Warning { job: text(), message: text() },
        RunEvent::Waiting { job: text() },
        RunEvent::Retrying { job: text(), attempt: 2, message: text(), wait_seconds: 1.0, changed: map() },
        RunEvent::Finished { job: text(), node: text(), seconds: 1.0, facts: map() },
        RunEvent::Failed {
            job: text(),
            node: text(),
            class: ExitClass::Data,
            message: text(),
            help: Some(text()),
        },
        RunEvent::Skipped { job: text(), node: text(), because: text() },
        RunEvent::Printed { job: text(), text: text() },
        RunEvent::OutputWritten { job: text(), path: "x".into(), changed: true },
        RunEvent::RunFinished {
            counts: Counts::default(),
            saved_seconds: 1.0,
            seconds: 1.0,
            exit: ExitClass::Ok,
        },
    ];
    // A new event stops this from compiling: give it a line above and one in docs/events.md.
    let known = |event: &RunEvent| match event {
        RunEvent::RunStarted { .. }
        | RunEvent::Decided { .. }
        | RunEvent::Started { .. }
        | RunEvent::Progress { .. }
        | RunEvent::Warning { .. }
        | RunEvent::Printed { .. }
        | RunEvent::Waiting { .. }
        | RunEvent::Retrying { .. }
        | RunEvent::Finished { .. }
        | RunEvent::Failed { .. }
        | RunEvent::Skipped { .. }
        | RunEvent::OutputWritten { .. }
        | RunEvent::RunFinished { .. } => true,
    };
    assert!(all.iter().all(known));
    all
}

#[test]
fn the_book_names_every_event_and_every_field() {
    let page = fs_err::read_to_string(concat!(env!("CARGO_MANIFEST_DIR"), "/../docs/events.md")).unwrap();
    let rows: Vec<&str> = page.lines().filter(|line| line.starts_with("| `")).collect();
    let mut named = Vec::new();
    for event in all() {
        let value = serde_json::to_value(&event).unwrap();
        let name = value["event"].as_str().unwrap();
        let row = rows.iter().find(|row| row.starts_with(&format!("| `{name}` |")));
        let row = row.unwrap_or_else(|| panic!("docs/events.md has no row for `{name}`"));
        for field in value.as_object().unwrap().keys().filter(|field| *field != "event") {
            assert!(row.contains(&format!("`{field}`")), "docs/events.md: `{name}` lacks `{field}`");
        }
        named.push(name.to_owned());
    }
    assert_eq!(rows.len() - 1, named.len(), "the header and one row an event");
}
