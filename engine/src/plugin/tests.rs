use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;

use serde_json::json;

use super::*;
use crate::events::RunEvent;
use crate::load::{LoadOptions, load as load_pipeline};
use crate::pipeline::Pipeline;
use crate::registry::Registry;
use crate::run::run as run_pipeline;
use crate::step::Cancel;
use crate::testing::registry;
use crate::world::{Seen, World, options};

const DESCRIPTION: &str = r#"{"celldag": 1, "name": "head", "epoch": 2, "about": "first lines",
 "inputs": [{"name": "text", "type": "text", "about": "what to read"}],
 "outputs": [{"name": "text", "type": "text", "file": "head.txt"}],
 "params": [{"name": "lines", "type": "int", "min": 1, "max": 9, "default": 2, "unit": "lines", "about": "how many"},
            {"name": "note", "type": "text", "default": null}],
 "code": ["part.txt"]}"#;

/// Takes the request apart with the tools of a shell: it is one field a line.
const WORK: &str = r#"
field() { sed -n "s/.*\"$1\": \"\{0,1\}\([^\",]*\).*/\1/p" "$2" | head -n 1; }
in=$(sed -n '/"inputs"/,/"kind"/p' "$2" | sed -n 's/.*"path": "\(.*\)".*/\1/p')
out=$(sed -n '/"outputs"/,/}/p' "$2" | sed -n 's/.*"text": "\(.*\)".*/\1/p')
n=$(field lines "$2"); events=$(field events "$2")
echo '{"total": {"units": 2, "of": "lines"}}' > "$events"
echo '{"facts": {"lines_out": '$n'}}' >> "$events"
if [ "$n" = 9 ]; then
  echo '{"error": {"cause": "data", "message": "too few lines", "help": "give more"}}' >> "$events"; exit 7
fi
if [ "$n" = 8 ]; then echo oops >&2; exit 7; fi
echo '{"warning": "only a test"}' >> "$events"; echo '{"advance": 2}' >> "$events"
head -n "$n" "$in" > "$out"
"#;

fn executable(world: &World, name: &str, describe: &str, work: &str) -> PathBuf {
    let path = world.path("kinds").join(name);
    fs_err::create_dir_all(path.parent().unwrap()).unwrap();
    fs_err::write(path.with_file_name("part.txt"), "part").unwrap();
    let text =
        format!("#!/bin/sh\nif [ \"$1\" = describe ]; then cat <<'END'\n{describe}\nEND\nexit 0; fi\n{work}");
    fs_err::write(&path, text).unwrap();
    fs_err::set_permissions(&path, std::fs::Permissions::from_mode(0o755)).unwrap();
    path
}

fn kinds(folder: &Path) -> Registry {
    let mut kinds = registry();
    kinds.add_executables(folder);
    kinds
}

fn pipeline(world: &World, uses: &str, with: &str) -> Pipeline {
    let text = format!(
        "celldag: 1\nnodes:\n  a: {{uses: {uses}, in: {{text: in.txt}}, with: {{{with}}}}}\n  b: {{uses: count, in: {{text: a.text}}}}\n"
    );
    world.write("in.txt", "1\n2\n3\n");
    load_pipeline(
        &world.path("demo.yaml"),
        Some(&text),
        &kinds(&world.path("kinds")),
        &LoadOptions::default(),
    )
    .unwrap_or_else(|findings| panic!("{}", findings.one_line_each()))
}

#[test]
fn an_executable_is_a_kind_like_all_others() {
    let world = World::new();
    executable(&world, "head.sh", DESCRIPTION, WORK);
    let record = world.run(&pipeline(&world, "head", ""));
    let job = record.job("a").unwrap();
    assert_eq!(job.failure, None);
    assert_eq!(fs_err::read_to_string(world.blob(&record, "a", "text")).unwrap(), "1\n2\n");
    assert_eq!(
        (&job.summary.facts["lines_out"], &job.summary.warnings[..]),
        (&json!(2), &["only a test".to_owned()][..])
    );
    assert!(
        world.states(&pipeline(&world, "head", "lines: 2")).starts_with("a: cached\nb: cached"),
        "a default written out"
    );
    // The same executable, named by its path.
    assert!(world.states(&pipeline(&world, "./kinds/head.sh", "")).starts_with("a: cached\nb: cached"));
    let spec = kinds(&world.path("kinds")).get("head").unwrap().spec.clone();
    assert_eq!((spec.epoch, spec.params[0].unit, spec.inputs[0].about), (2, "lines", "what to read"));
}

#[test]
fn the_executable_and_its_files_are_in_the_key() {
    let world = World::new();
    let path = executable(&world, "head.sh", DESCRIPTION, WORK);
    world.run(&pipeline(&world, "head", ""));
    fs_err::write(world.path("kinds/part.txt"), "other").unwrap();
    let states = world.states(&pipeline(&world, "head", ""));
    assert!(states.starts_with("a: runs: part.txt of the program changed"), "{states}");
    fs_err::write(world.path("kinds/part.txt"), "part").unwrap();
    let text = fs_err::read_to_string(&path).unwrap();
    fs_err::write(&path, text + "# a comment\n").unwrap();
    let states = world.states(&pipeline(&world, "head", ""));
    assert!(states.starts_with("a: runs: executable of the program changed"), "{states}");
}

#[test]
fn failures_carry_cause_message_and_help() {
    let world = World::new();
    executable(&world, "head.sh", DESCRIPTION, WORK);
    let failure = |with: &str| {
        let record = world.run(&pipeline(&world, "head", with));
        let failure = record.job("a").unwrap().failure.clone().unwrap();
        let help = failure.help.map(|help| help.split(" is in ").next().unwrap().to_owned());
        format!("{:?}: {} ({help:?})", failure.class, failure.message)
    };
    assert_eq!(failure("lines: 9"), "Data: too few lines (Some(\"give more\"))");
    assert_eq!(
        failure("lines: 8"),
        "Failed: `head` ended with exit code 7; its last lines:\n  oops (Some(\"everything that it printed\"))"
    );
}

/// Each cause decides what becomes of the job: its exit code, and whether it is tried again.
#[test]
fn causes_that_may_pass_are_tried_again() {
    let world = World::new();
    let failed = |cause: &str, retries: &str| {
        let work = WORK.replace("\"cause\": \"data\"", &format!("\"cause\": \"{cause}\""));
        executable(&world, "head.sh", &DESCRIPTION.replacen("\"celldag\": 1", "\"celldag\": 2", 1), &work);
        world.write("in.txt", "1\n");
        let text = format!(
            "celldag: 1\nnodes:\n  a: {{uses: head, in: {{text: in.txt}}, with: {{lines: 9}}{retries}}}\n"
        );
        let kinds = kinds(&world.path("kinds"));
        let pipeline =
            load_pipeline(&world.path("demo.yaml"), Some(&text), &kinds, &LoadOptions::default()).unwrap();
        let seen = Seen::default();
        let record = run_pipeline(&pipeline, &world.store, &options(), &seen, &Cancel::new()).unwrap();
        let again = seen.0.lock().unwrap().iter().filter(|e| matches!(e, RunEvent::Retrying { .. })).count();
        (record.exit().code(), again)
    };
    assert_eq!(failed("memory", ""), (4, 0));
    assert_eq!(failed("lost", ""), (4, 1), "as a device of celldag's own, once without being told");
    assert_eq!(failed("transient", ""), (1, 0));
    assert_eq!(failed("transient", ", retries: {transient: 2}"), (1, 2));
    assert_eq!(failed("failed", ", retries: {transient: 2}"), (1, 0));
}

#[test]
fn a_request_speaks_as_the_executable_does_and_names_gpus() {
    let world = World::new();
    let work = format!("cat \"$2\" >&2\n{WORK}");
    for version in [1, 2] {
        let description = DESCRIPTION.replacen("\"celldag\": 1", &format!("\"celldag\": {version}"), 1);
        executable(&world, "head.sh", &description, &work);
        let record = world.run(&pipeline(&world, "head", ""));
        let key = record.job("a").unwrap().key.unwrap().to_string();
        let log = record.folder.join(format!("logs/a-{}.txt", &key[..12]));
        let request = fs_err::read_to_string(log).unwrap();
        assert!(request.contains(&format!("\"celldag\": {version}")), "{request}");
        // An executable of the first version may refuse fields that it does not know.
        for field in ["\"gpus\": []", "\"main_memory\": null"] {
            assert_eq!(request.contains(field), version == 2, "{request}");
        }
    }
}

#[test]
fn executables_that_lie_are_named_and_hurt_nobody_else() {
    let world = World::new();
    let change = |from: &str, to: &str| DESCRIPTION.replacen(from, to, 1);
    let shown: Vec<String> = [
        ("not JSON", "hello".to_owned()),
        ("another version", change("\"celldag\": 1", "\"celldag\": 3")),
        ("another name", change("\"head\"", "\"tail\"")),
        ("an unknown field", change("\"epoch\"", "\"epok\"")),
        ("an unknown type", change("\"int\"", "\"integer\"")),
        ("no outputs", change("[{\"name\": \"text\", \"type\": \"text\", \"file\": \"head.txt\"}]", "[]")),
        ("a default out of bounds", change("\"default\": 2", "\"default\": 20")),
        ("a parameter twice", change("\"note\"", "\"lines\"")),
        ("a file outside", change("head.txt", "../head.txt")),
        ("code outside", change("part.txt", "../part.txt")),
        ("a name that is none", change("\"lines\"", "\"two words\"")),
    ]
    .into_iter()
    .map(|(what, description)| {
        let path = executable(&world, "head.sh", &description, WORK);
        let error = load(&path).err().expect(what).to_string();
        format!("{what}: {}", error.replace(&world.dir.path().display().to_string(), "FOLDER"))
    })
    .collect();
    insta::assert_snapshot!(shown.join("\n"));

    executable(&world, "head.sh", "hello", WORK);
    executable(&world, "make.sh", DESCRIPTION, WORK);
    executable(&world, "good.sh", &change("\"head\"", "\"good\""), WORK);
    let kinds = kinds(&world.path("kinds"));
    assert!(kinds.get("head").is_none() && kinds.problem("head").is_some());
    assert_eq!(
        kinds.get("make").unwrap().spec.about,
        "writes a text",
        "a name that is taken stays what it was"
    );
    assert_eq!(kinds.problems().count(), 1);
    assert!(kinds.iter().any(|kind| kind.spec.name == "good"));
}

#[test]
fn a_pipeline_that_uses_a_bad_executable_is_told_where() {
    let world = World::new();
    executable(&world, "head.sh", "hello", WORK);
    for uses in ["head", "kinds/head.sh", "kinds/none.sh"] {
        let text = format!("celldag: 1\nnodes:\n  a: {{uses: {uses}}}\n");
        let kinds = kinds(&world.path("kinds"));
        let findings = load_pipeline(&world.path("demo.yaml"), Some(&text), &kinds, &LoadOptions::default())
            .err()
            .unwrap();
        assert_eq!(findings.items[0].code, "celldag::pipeline::bad_plugin", "{uses}");
        assert_eq!(findings.items[0].position(), Some((3, 13)));
    }
}

#[test]
fn the_last_event_counts_without_a_newline_and_shows_no_secret() {
    let world = World::new();
    let value = std::env::var("CARGO_MANIFEST_DIR").unwrap();
    let describe = DESCRIPTION.replacen("\"epoch\"", "\"secrets\": [\"CARGO_MANIFEST_DIR\"], \"epoch\"", 1);
    let failure = |line: &str| {
        let work = format!("{}\nprintf '{line}' \"$CARGO_MANIFEST_DIR\" >> \"$events\"\n", WORK.trim_end());
        executable(&world, "head.sh", &describe, &work);
        let record = world.run(&pipeline(&world, "head", ""));
        record.job("a").unwrap().failure.clone().unwrap().message
    };
    let told = failure(r#"{"error": {"cause": "data", "message": "the key %s is bad"}}"#);
    assert_eq!(told, "the key *** is bad");
    let told = failure("the key %s");
    assert!(told.contains("the key *** (") && !told.contains(&value), "{told}");
}
