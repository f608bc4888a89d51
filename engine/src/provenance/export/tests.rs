use std::collections::{BTreeMap, BTreeSet};

use serde_json::{Value, json};

use super::*;
use crate::record::RunRecord;
use crate::world::World;

fn run(world: &World) -> RunRecord {
    world.write("cells.txt", "1\n5\n9\n");
    world.write("demo.yaml", "celldag: 1\n");
    fs_err::create_dir_all(world.path("lib")).unwrap();
    let mut pipeline = world
        .build()
        .job("qc", "keep", json!({ "min": 2 }), &[("cells", "cells.txt")])
        .job("total", "sum", json!({}), &[("cells", "qc.cells")])
        .output("out/total of all.txt", "total")
        .job("bad", "act", json!({ "what": "fail" }), &[("after[t]", "total.total")])
        .job("after", "act", json!({}), &[("after[b]", "bad.text")])
        .done();
    pipeline.included = vec![world.write("lib/std.yaml", "celldag: 1\n# std\n")];
    world.run(&pipeline)
}

fn metadata(world: &World, run: &RunRecord, with_outputs: bool) -> Value {
    let about = Crate { pipeline: "demo.yaml".to_owned(), with_outputs, license: "CC0-1.0".to_owned() };
    ro_crate(&Export::new(&world.store, run), &about)
}

fn entities(crate_: &Value) -> BTreeMap<&str, &Value> {
    crate_["@graph"].as_array().unwrap().iter().map(|e| (e["@id"].as_str().unwrap(), e)).collect()
}

fn ids(value: &Value) -> BTreeSet<&str> {
    let list = value.as_array().map_or(std::slice::from_ref(value), Vec::as_slice);
    list.iter().filter_map(|link| link["@id"].as_str()).collect()
}

#[test]
fn jobs_steps_and_kinds_are_connected_as_the_profile_asks() {
    let world = World::new();
    let run = run(&world);
    let made = metadata(&world, &run, true);
    assert_eq!(made["@graph"][0]["@id"], "ro-crate-metadata.json");
    let all = entities(&made);
    let workflow = all["demo.yaml"];
    assert_eq!(ids(&workflow["step"]), ["#step/bad", "#step/qc", "#step/total"].into());
    assert_eq!(ids(&workflow["hasPart"]), ["#kind/act", "#kind/keep", "#kind/sum"].into());
    assert_eq!(all["lib/std.yaml"]["isPartOf"]["@id"], "demo.yaml");
    assert_eq!(all["./"]["mainEntity"]["@id"], "demo.yaml");
    assert_eq!(all["#step/qc"]["workExample"]["@id"], "#kind/keep");
    assert_eq!(all["#control/qc"]["object"]["@id"], "#job/qc");
    assert_eq!(ids(&all["#organize"]["object"]).len(), 3);
    let total = all["#job/total"];
    assert_eq!(ids(&total["result"]), ["out/total%20of%20all.txt"].into(), "an output lies in the crate");
    let qc = all["#job/qc"];
    assert!(ids(&total["object"]).is_superset(&ids(&qc["result"])), "what one makes the other reads");
    assert!(qc["startTime"].as_str() <= qc["endTime"].as_str() && qc["startTime"].is_string());
    assert_eq!(all["#job/bad"]["actionStatus"]["@id"], "http://schema.org/FailedActionStatus");
    let (from, to) = (all["#job/bad"]["startTime"].as_str(), all["#job/bad"]["endTime"].as_str());
    let whole = (run.header.started.as_str(), run.header.finished.as_deref());
    assert!(Some(whole.0) <= from && from <= to && to <= whole.1, "{from:?} {to:?}: events tell of failures");
    assert!(all["#job/bad"]["error"].as_str().unwrap().starts_with("it broke"));
    assert!(!all.contains_key("#job/after"), "what never began is no action");
}

#[test]
fn every_link_inside_the_crate_leads_somewhere_and_every_file_is_a_part() {
    let world = World::new();
    let run = run(&world);
    for with_outputs in [true, false] {
        let made = metadata(&world, &run, with_outputs);
        let all = entities(&made);
        let mut links = BTreeSet::new();
        collect(&made["@graph"], &mut links);
        for link in links.iter().filter(|link| !link.starts_with("http")) {
            assert!(all.contains_key(link.as_str()), "{link} is nowhere");
        }
        let parts = ids(&all["./"]["hasPart"]);
        for (id, entity) in &all {
            let ty = &entity["@type"];
            let is_file = ty == "File" || ty.as_array().is_some_and(|list| list.contains(&json!("File")));
            if is_file || entity["@type"] == "Dataset" && *id != "./" {
                assert!(parts.contains(id), "{id} is not a part");
            }
        }
        assert_eq!(all.contains_key("out/total%20of%20all.txt"), with_outputs);
    }
}

/// `CELLDAG_CRATE_OUT=DIR` keeps the crate, for `tests/python/check_crate.py`.
#[test]
fn a_crate_can_be_written() {
    let world = World::new();
    let run = run(&world);
    let Some(folder) = std::env::var_os("CELLDAG_CRATE_OUT").map(PathBuf::from) else { return };
    fs_err::create_dir_all(folder.join("out")).unwrap();
    fs_err::copy(world.path("demo.yaml"), folder.join("demo.yaml")).unwrap();
    fs_err::create_dir_all(folder.join("lib")).unwrap();
    fs_err::copy(world.path("lib/std.yaml"), folder.join("lib/std.yaml")).unwrap();
    for (path, artifact) in Export::new(&world.store, &run).outputs() {
        world.store.materialize(artifact, &folder.join(path)).unwrap();
    }
    let text = serde_json::to_string_pretty(&metadata(&world, &run, true)).unwrap();
    fs_err::write(folder.join("ro-crate-metadata.json"), text).unwrap();
}

fn collect(value: &Value, links: &mut BTreeSet<String>) {
    match value {
        Value::Array(list) => list.iter().for_each(|item| collect(item, links)),
        Value::Object(map) => {
            if map.len() == 1
                && let Some(id) = map.get("@id").and_then(Value::as_str)
            {
                links.insert(id.to_owned());
            }
            map.values().for_each(|item| collect(item, links));
        }
        _ => {}
    }
}

#[test]
fn neither_folders_nor_hosts_leave_the_machine() {
    let world = World::new();
    let elsewhere = World::new();
    elsewhere.write("private.txt", "1\n2\n");
    let path = elsewhere.path("private.txt");
    let mut pipeline = world
        .build()
        .job("qc", "keep", json!({}), &[("cells", "private.txt")])
        .output("kept.txt", "cells")
        .done();
    pipeline.jobs[0].inputs[0].source = crate::pipeline::Source::Path(path);
    let run = world.run(&pipeline);
    let export = Export::new(&world.store, &run);
    for text in [metadata(&world, &run, true).to_string(), prov_json(&export).to_string()] {
        for secret in [world.dir.path(), elsewhere.dir.path()] {
            assert!(!text.contains(secret.to_str().unwrap()), "{text}");
        }
        assert!(text.contains("private.txt"), "the name is told");
        let host = world.store.record(&run.jobs[0].key.unwrap()).unwrap().unwrap().host;
        assert!(host.len() < 4 || !text.contains(&host), "{host} in {text}");
    }
}

#[test]
fn prov_json_says_who_used_and_made_what() {
    let world = World::new();
    let run = run(&world);
    let made = prov_json(&Export::new(&world.store, &run));
    let cells = format!("b3:{}", run.job("qc").unwrap().outputs["cells"].digest);
    let pick = |list: &Value, activity: &str| {
        let all = list.as_object().unwrap().values();
        let of = all.filter(|one| one["prov:activity"] == activity);
        of.map(|one| one["prov:entity"].as_str().unwrap().to_owned()).collect::<Vec<_>>()
    };
    assert_eq!(pick(&made["wasGeneratedBy"], "run:qc"), std::slice::from_ref(&cells));
    assert_eq!(pick(&made["used"], "run:total"), [cells]);
    assert_eq!(made["activity"]["run:qc"]["param:min"], "2");
    let [member] = made["hadMember"].as_object().unwrap().values().collect::<Vec<_>>()[..] else { panic!() };
    let part = &made["entity"][member["prov:entity"].as_str().unwrap()];
    assert_eq!(part["prov:label"], "lib/std.yaml", "an included file is a part of the plan");
    for one in made["used"].as_object().unwrap().values() {
        assert!(made["entity"].get(one["prov:entity"].as_str().unwrap()).is_some());
    }
}

#[test]
fn included_files_of_other_folders_travel_below_a_folder_of_their_own() {
    let (world, elsewhere) = (World::new(), World::new());
    let mut pipeline = world.build().job("a", "act", json!({ "text": "x" }), &[]).done();
    pipeline.included =
        vec![elsewhere.write("std.yaml", "one"), world.write("own.yaml", "two"), world.path("gone.yaml")];
    let run = world.run(&pipeline);
    let export = Export::new(&world.store, &run);
    let paths: Vec<String> = export.included().map(|(path, _)| path).collect();
    let one = blake3::hash(b"one").to_hex();
    assert_eq!(paths, [format!("included/{}-std.yaml", &one[..12]), "own.yaml".to_owned()]);
}

#[test]
fn outputs_elsewhere_are_put_below_the_folder_that_holds_them() {
    let world = World::new();
    let mut run = run(&world);
    let first = run.outputs[0].clone();
    let at = |path: &str| {
        let mut output = first.clone();
        output.path = path.into();
        output
    };
    run.outputs = vec![at("/far/away/a/x.txt"), at("/far/away/b/x.txt")];
    let export = Export::new(&world.store, &run);
    assert_eq!(export.outputs().map(|(path, _)| path).collect::<Vec<_>>(), ["a/x.txt", "b/x.txt"]);
    // The folder that holds both is above that of the user: it would tell where they are.
    let home = std::env::home_dir().unwrap();
    run.outputs = vec![at("/far/away/x.txt"), at(home.join("x.txt").to_str().unwrap())];
    let export = Export::new(&world.store, &run);
    assert_eq!(export.outputs().map(|(path, _)| path).collect::<Vec<_>>(), ["x.txt", "2/x.txt"]);
}
