//! A program in a file of its own: a step that reads it has the key of the job.

use proptest::{collection, prelude::*};
use serde_json::{Map, Value};

use super::{read, world};
use crate::exec::program::{program_text, read_program};
use crate::pipeline::{Job, Pipeline, Source};
use crate::single::with_value;
use crate::testing::registry;
use crate::world::World;

const STUDY: &str = r#"celldag: 1
params: {words: [a b, "null", "7"]}
axes: {fold: {range: 2}, lines: [head, tail]}
nodes:
  cut:
    uses: exec
    foreach: [fold, lines]
    in: {one: numbers.txt, all: [numbers.txt, more.txt]}
    out: {text: text.txt, number: {file: deep/number.csv, type: number}, folder: work/}
    run: ["${lines}", -n, "{param:fold}", "{in:one}", "$${HOME} {{in:x}} 'it''s' \"q\" é", "{code:tool.sh}", "{list:all}", "{out:text}", "{out:number}", "{out:folder}"]
    env: {A: "0x1", B: "{param:words}", C: "line\n\tend"}
    code: [lib/]
    version: [echo, "v${fold}"]
    secrets: [PATH]
    with: {fold: "${fold}", words: "x", list: "${words}", rest: ["${lines}"]}
"#;

/// Parameters in which all jobs agree.
fn shared(pipeline: &Pipeline) -> Map<String, Value> {
    let mut shared = pipeline.jobs[0].params.0.clone();
    shared.retain(|name, value| pipeline.jobs.iter().all(|job| job.params.get(name) == Some(value)));
    shared
}

/// The step that does what `job` does, with `text` as the file of the program.
fn step(world: &World, text: &str, job: &Job, shared: &Map<String, Value>) -> Pipeline {
    let file = world.path("cut.yaml");
    fs_err::write(&file, text).unwrap();
    let kind = read_program(&file, &registry()).unwrap_or_else(|e| panic!("{}\n{text}", e.one_line_each()));
    let given = job.params.0.iter().filter(|(name, _)| !shared.contains_key(*name));
    let with: Vec<(String, String)> = given
        .map(|(name, value)| (name.clone(), value.as_str().map_or_else(|| value.to_string(), str::to_owned)))
        .collect();
    let path = |source: &Source| match source {
        Source::Path(path) => path.clone(),
        Source::Job { .. } => panic!("a file"),
    };
    let inputs: Vec<_> = job
        .inputs
        .iter()
        .map(|input| (input.port.clone(), input.label.clone(), path(&input.source)))
        .collect();
    Pipeline::single(kind, &with, &inputs).unwrap_or_else(|e| panic!("{}\n{text}", e.one_line_each()))
}

#[test]
fn steps_have_the_keys_of_their_jobs() {
    let world = world();
    let pipeline = read(&world, STUDY);
    let shared = shared(&pipeline);
    let text = program_text(&pipeline.jobs[0].kind, &shared);
    let plan = world.plan(&pipeline);
    let keys: Vec<_> = plan.jobs.iter().map(|job| job.key.unwrap()).collect();
    assert_eq!(keys.len(), 4);
    for (job, key) in pipeline.jobs.iter().zip(&keys) {
        let step = step(&world, &text, job, &shared);
        assert_eq!(step.jobs[0].params.0, job.params.0);
        assert_eq!(step.jobs[0].kind.kind.secrets(), ["PATH"]);
        assert_eq!(world.plan(&step).jobs[0].key, Some(*key), "{}", job.id);
    }
    insta::assert_snapshot!(text);
}

/// Everything in the file decides: none of it may be lost on the way.
#[test]
fn what_the_file_says_is_in_the_key() {
    let world = world();
    let pipeline = read(&world, STUDY);
    let shared = shared(&pipeline);
    let text = program_text(&pipeline.jobs[0].kind, &shared);
    let key = |text: &str| world.plan(&step(&world, text, &pipeline.jobs[0], &shared)).jobs[0].key.unwrap();
    let own = key(&text);
    for (from, to) in [
        ("\"A\": \"0x1\"", "\"A\": \"1\""),
        ("\"words\": \"x\"", "\"words\": \"y\""),
        ("\"null\"", "\"none\""),
        ("\"text.txt\"", "\"text.csv\""),
        ("\"type\":\"number\"", "\"type\":\"file\""),
    ] {
        let other = text.replace(from, to);
        assert_ne!(other, text, "{from}");
        assert_ne!(key(&other), own, "{from}");
    }
}

/// A program of the values `c` and `l`, written with these texts and read again.
fn read_back(world: &World, texts: &[String]) -> (Value, Value) {
    let file = world.path("back.yaml");
    let read = |text: &str| {
        fs_err::write(&file, text).unwrap();
        read_program(&file, &registry()).unwrap_or_else(|e| panic!("{}\n{text}", e.one_line_each()))
    };
    let bare = read("celldag_program: 1\nout: {b: b.txt}\ngiven: {c: text, l: list}\n");
    let mut shared = Map::new();
    shared.insert("c".to_owned(), texts.concat().into());
    shared.insert("l".to_owned(), texts.into());
    let back = read(&program_text(&bare, &shared));
    let value =
        |name: &str| back.spec.params.iter().find(|p| p.name == name).unwrap().default.clone().unwrap();
    (value("c"), value("l"))
}

#[test]
fn every_character_is_read_as_it_was_written() {
    let world = world();
    let all: Vec<char> = ('\0'..=char::MAX)
        .filter(|char| u32::from(*char) % 0x1_0000 > 0xfe00 || *char < '\u{3100}')
        .collect();
    for some in all.chunks(4096) {
        let texts: Vec<String> = some.chunks(7).map(|chars| chars.iter().collect()).collect();
        assert_eq!(read_back(&world, &texts), (texts.concat().into(), texts.clone().into()));
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(16))]

    #[test]
    fn any_text_is_read_as_it_was_written(chars in collection::vec(collection::vec(any::<char>(), 0..12), 1..4)) {
        let texts: Vec<String> = chars.iter().map(|chars| chars.iter().collect()).collect();
        prop_assert_eq!(read_back(&world(), &texts), (texts.concat().into(), texts.clone().into()));
    }
}

#[test]
fn mistakes_are_told_with_place_and_remedy() {
    let world = world();
    let good = "celldag_program: 1\nrun: [sh, \"{in:a}\", \"{out:b}\"]\nin: {a: one}\nout: {b: b.txt}\n";
    let file = world.path("p.yaml");
    let told = |text: &str| {
        fs_err::write(&file, text).unwrap();
        let told = read_program(&file, &registry()).err().map(|e| e.one_line_each()).unwrap_or_default();
        told.replace(&world.dir.path().display().to_string(), "")
    };
    assert_eq!(told(good), "");
    let mut shown = Vec::new();
    for (from, to) in [
        ("celldag_program: 1", "celldag: 1"),
        ("celldag_program: 1", "celldag_program: 2"),
        ("a: one", "a: two"),
        ("a: one", "a:"),
        ("in: {a: one}\n", ""),
        ("out: {b: b.txt}\n", ""),
        ("b: b.txt", "b: ../b.txt"),
        ("run: [sh,", "run: sh #["),
        ("in: {", "given: {c: number}\nin: {"),
        ("in: {", "env: {X: \"{param:c}\"}\nin: {"),
        ("in: {", "with: {c: {d: 1}}\nin: {"),
        ("in: {", "code: [a.py]\nin: {"),
        ("in: {", "with: {run: [rm]}\nin: {"),
        ("in: {", "given: {env: text, version: list}\nin: {"),
        ("in: {", "with: {c: x}\ngiven: {c: text}\nin: {"),
        ("{a: one}", "{a: one, code: one}"),
    ] {
        let text = good.replace(from, to);
        assert_ne!(text, good);
        shown.push(format!("{to:?}\n{}\n", told(&text)));
    }
    insta::assert_snapshot!(shown.join("\n"));
    let absent = read_program(&world.path("absent.yaml"), &registry()).err().unwrap();
    assert!(absent.only_missing_files());
    let kind = |text: &str| {
        fs_err::write(&file, text).unwrap();
        read_program(&file, &registry()).unwrap()
    };
    let bare = kind("celldag_program: 1\nout: {b: b.txt}\ngiven: {c: text}\n");
    let told = Pipeline::single(bare.clone(), &[], &[]).err().unwrap().one_line_each();
    assert!(told.contains("--with run=") && told.contains("--with c="), "{told}");
    assert_eq!(with_value(&bare.spec.params[0], "[\"a\"]").unwrap(), serde_json::json!(["a"]));
}
