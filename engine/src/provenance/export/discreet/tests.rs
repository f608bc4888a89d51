use serde_json::json;

use super::*;
use crate::provenance::export::{Crate, Export, prov_json, ro_crate};
use crate::world::World;

/// A run that speaks of its folder, of a folder elsewhere, of the home folder and of a secret, wherever it can.
fn talkative(world: &World, elsewhere: &World) -> RunRecord {
    fs_err::create_dir_all(world.path("data")).unwrap();
    fs_err::create_dir_all(elsewhere.path("my study")).unwrap();
    let own = world.write("data/own.txt", "1\n5\n").display().to_string();
    let far = elsewhere.write("my study/far cells.txt", "7\n").display().to_string();
    let home = std::env::home_dir().unwrap().join("notes/plan.txt").display().to_string();
    // Stands in for a secret: a variable that is there wherever tests run, with a value that nothing else tells.
    let secret = env!("CARGO_PKG_NAME");
    let message = format!("{far} and {own}:3 (see '{home}') for {secret}, ratio 1/2");
    let id = format!("told[cells={far}]");
    let mut pipeline = world
        .build()
        .job(
            &id,
            "act",
            json!({ "text": message }),
            &[("after[x]", "data/own.txt"), ("after[y]", "data/own.txt")],
        )
        .output("out/told.txt", "text")
        .job("bad", "act", json!({ "what": "say", "text": message }), &[("after[x]", "data/own.txt")])
        .done();
    pipeline.jobs[0].inputs[0].label = far.clone();
    pipeline.jobs[0].inputs[0].source = crate::pipeline::Source::Path(far.into());
    pipeline.secrets = vec!["CARGO_PKG_NAME".to_owned(), "NO_SUCH_VARIABLE_ANYWHERE".to_owned()];
    world.write("demo.yaml", "celldag: 1\n");
    world.run(&pipeline)
}

#[test]
fn exports_tell_neither_folders_nor_secrets() {
    let (world, elsewhere) = (World::new(), World::new());
    let run = talkative(&world, &elsewhere);
    assert_eq!(run.header.secrets, ["CARGO_PKG_NAME", "NO_SUCH_VARIABLE_ANYWHERE"], "names only");
    let export = Export::new(&world.store, &run);
    let about = Crate { pipeline: "demo.yaml".to_owned(), with_outputs: true, license: "CC0-1.0".to_owned() };
    for exported in [ro_crate(&export, &about), prov_json(&export)] {
        let text = exported.to_string();
        let home = std::env::home_dir().unwrap();
        for folder in [world.dir.path(), elsewhere.dir.path(), &home] {
            let folder = folder.to_str().unwrap();
            assert!(!text.contains(folder), "{folder} in {text}");
            let escaped = folder.replace('/', "%2F");
            assert!(!text.contains(&escaped), "{escaped} in {text}");
        }
        assert!(!text.contains("my study"), "{text}");
        assert!(!text.contains(env!("CARGO_PKG_NAME")), "the value of a secret: {text}");
        assert!(
            text.contains("far cells.txt and data/own.txt:3 (see 'plan.txt') for ***, ratio 1/2"),
            "{text}"
        );
        assert!(text.contains("told[cells=far cells.txt]"), "{text}");
    }
    let prov = prov_json(&export);
    let roles: Vec<&str> =
        prov["used"].as_object().unwrap().values().map(|used| used["prov:role"].as_str().unwrap()).collect();
    assert!(roles.contains(&"after[far cells.txt]") && roles.contains(&"after[y]"), "{roles:?}");
}

#[test]
fn paths_are_shortened_wherever_they_stand_and_nothing_else_is() {
    let world = World::new();
    let pipeline = world.build().job("a", "act", json!({ "text": "x" }), &[]).done();
    let run = world.run(&pipeline);
    let discreet = Discreet::new(&run);
    let root = world.dir.path().display().to_string();
    for (text, shown) in [
        (format!("{root}/data/x.txt"), "data/x.txt"),
        (format!("{root}/../x.txt"), "x.txt"),
        (root.clone(), "."),
        (format!("--in={root}/a,{root}/b"), "--in=a,b"),
        (format!("cannot read \"{root}/a b\""), "cannot read \"a b\""),
        ("file:///tmp/x/y.txt is gone.".to_owned(), "y.txt is gone."),
        ("/tmp/a/b:/tmp/c".to_owned(), "b:c"),
        ("no /home/somebody/x.h5ad.".to_owned(), "no x.h5ad."),
        ("https://example.org/tmp/x".to_owned(), "https://example.org/tmp/x"),
        (
            "the dataset /obsm/X_pca, cells/s, 1 / 2, and/or, s/tmp/x/".to_owned(),
            "the dataset /obsm/X_pca, cells/s, 1 / 2, and/or, s/tmp/x/",
        ),
        ("data/x.txt".to_owned(), "data/x.txt"),
        (String::new(), ""),
    ] {
        assert_eq!(discreet.text(&text), shown, "{text}");
    }
    let home = std::env::home_dir().unwrap();
    assert_eq!(discreet.text(&home.display().to_string()), "~", "its name is that of the user");
    let value = json!({ "run": ["cat", format!("{root}/x"), 7], "n": null });
    assert_eq!(discreet.value(&value), json!({ "run": ["cat", "x", 7], "n": null }));
}
