use serde_json::json;

use super::*;
use crate::error::ExitClass;
use crate::events::Counts;
use crate::record::read_events;
use crate::world::World;

fn logged(second: &str, event: &Value) -> LoggedEvent {
    let mut line = json!({ "v": 1, "time": format!("2026-01-01T00:00:{second}Z") });
    line.as_object_mut().unwrap().extend(event.as_object().unwrap().clone());
    serde_json::from_value(line).unwrap()
}

fn header() -> RunHeader {
    let world = World::new();
    world.write("cells.txt", "1\n");
    let pipeline = world.build().job("qc", "keep", json!({}), &[("cells", "cells.txt")]).done();
    let mut header = world.run(&pipeline).header;
    header.started = "2026-01-01T00:00:00.000Z".to_owned();
    header.id = "R".to_owned();
    header
}

fn spans(trace: &Value) -> Vec<(String, i64, i64, i64, String)> {
    let all = trace["traceEvents"].as_array().unwrap();
    let number = |event: &Value, name: &str| event[name].as_i64().unwrap();
    let mut spans: Vec<_> = all
        .iter()
        .filter(|event| event["ph"] == "X")
        .map(|e| {
            let state = e["args"]["state"].as_str().unwrap().to_owned();
            let name = e["name"].as_str().unwrap().to_owned();
            (name, number(e, "tid"), number(e, "ts") / 1000, number(e, "dur") / 1000, state)
        })
        .collect();
    spans.sort();
    spans
}

#[test]
fn jobs_lie_in_slots_with_waits_attempts_and_ends() {
    let start = |second: &str, job: &str| {
        logged(second, &json!({ "event": "started", "job": job, "node": job, "kind": "k" }))
    };
    let done = |second: &str, job: &str| {
        logged(second, &json!({ "event": "finished", "job": job, "node": job, "seconds": 1.0, "facts": {} }))
    };
    let runs = json!({ "event": "decided", "job": "a", "node": "a", "state": { "state": "runs", "reasons": [{ "reason": "new" }] } });
    let hit = json!({ "event": "decided", "job": "h", "node": "h", "state": { "state": "cached", "age": 1.0, "saved_seconds": 7.0 } });
    let events = [
        logged("00.000", &runs),
        logged("00.100", &hit),
        start("00.500", "a"),
        logged("01.000", &json!({ "event": "waiting", "job": "b" })),
        start("03.000", "b"),
        done("04.000", "a"),
        start("04.500", "c"),
        logged("05.000", &json!({ "event": "retrying", "job": "b", "attempt": 2, "message": "device lost" })),
        logged(
            "06.000",
            &json!({
                "event": "failed", "job": "b", "node": "b", "class": ExitClass::Device, "message": "lost again", "help": null,
            }),
        ),
        logged(
            "07.000",
            &json!({ "event": "run_finished", "counts": Counts::default(), "saved_seconds": 0.0, "seconds": 7.0, "exit": "ok" }),
        ),
    ];
    let trace = trace(&header(), &events);
    let text: Vec<String> = spans(&trace)
        .into_iter()
        .map(|(name, lane, from, took, state)| {
            format!("slot {lane}: {name} from {from} for {took} ms: {state}")
        })
        .collect();
    insta::assert_snapshot!(text.join("\n"), @r"
    slot 1: a from 500 for 3500 ms: done
    slot 2: b from 3000 for 2000 ms: failed, tried again: device lost
    slot 2: b (attempt 2) from 5000 for 1000 ms: failed: lost again
    slot 2: b waits for another process from 1000 for 2000 ms: another process has let go
    slot 1: c from 4500 for 2500 ms: not ended
    ");
    let all = trace["traceEvents"].as_array().unwrap();
    let a = all.iter().find(|event| event["name"] == "a").unwrap();
    assert_eq!((&a["args"]["why"], &a["args"]["queued_seconds"]), (&json!("runs: new"), &json!(0.5)));
    let hit = all.iter().find(|event| event["ph"] == "i" && event["name"] == "h").unwrap();
    assert_eq!((&hit["tid"], &hit["args"]["saved_seconds"]), (&json!(0), &json!(7.0)));
    let most = all.iter().filter_map(|event| event["args"]["jobs"].as_u64()).max();
    assert_eq!(most, Some(2), "never more than the slots");
}

/// What Perfetto needs of every event, over the events of a real run.
#[test]
fn the_trace_of_a_run_is_whole() {
    let world = World::new();
    world.write("cells.txt", "1\n5\n");
    let pipeline = world
        .build()
        .job("qc", "keep", json!({}), &[("cells", "cells.txt")])
        .job("slow", "act", json!({ "what": "sleep", "n": 30 }), &[("after[q]", "qc.cells")])
        .job("bad", "act", json!({ "what": "fail" }), &[("after[q]", "qc.cells")])
        .done();
    let run = world.run(&pipeline);
    let trace = trace(&run.header, &read_events(&run.folder).unwrap());
    let names: Vec<String> = spans(&trace).into_iter().map(|span| span.0).collect();
    assert_eq!(names.iter().filter(|name| *name == "qc").count(), 1);
    for event in trace["traceEvents"].as_array().unwrap() {
        assert!(event["pid"].is_number() && event["name"].is_string(), "{event}");
        match event["ph"].as_str().unwrap() {
            "X" => assert!(event["ts"].as_i64() >= Some(0) && event["dur"].as_i64() >= Some(0), "{event}"),
            "i" | "C" => assert!(event["ts"].is_number(), "{event}"),
            other => assert_eq!(other, "M"),
        }
    }
}
