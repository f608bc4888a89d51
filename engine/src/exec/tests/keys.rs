use super::{node, read, world};
use crate::world::World;

const BASE: &str = "    in: {one: numbers.txt}\n    with: {min: 1}\n    code: [lib/]\n    env: {A: \"1\"}\n    version: [echo, v1]\n    run: [sh, \"{code:tool.sh}\", \"{in:one}\", \"{out:text}\", \"{param:min}\"]\n";

fn key(world: &World, text: &str) -> String {
    world.plan(&read(world, text)).jobs[0].key.expect("inputs are known").to_string()
}

#[test]
fn everything_that_may_change_the_result_changes_the_key() {
    let world = world();
    let base = key(&world, &node(BASE));
    for (what, from, to) in [
        ("an argument", "\"{in:one}\", \"{out:text}\"", "\"{in:one}\", \"{out:text}\", more"),
        ("the order of arguments", "\"{in:one}\", \"{out:text}\"", "\"{out:text}\", \"{in:one}\""),
        ("a variable's value", "A: \"1\"", "A: \"2\""),
        ("a variable's name", "A: \"1\"", "B: \"1\""),
        ("one more variable", "{A: \"1\"}", "{A: \"1\", B: x}"),
        ("a parameter", "min: 1", "min: 2"),
        ("another input", "one: numbers.txt", "one: more.txt"),
        ("more code", "code: [lib/]", "code: [lib/, more.txt]"),
        ("less code", "    code: [lib/]\n", ""),
        ("the version", "[echo, v1]", "[echo, v2]"),
        ("no version", "    version: [echo, v1]\n", ""),
        ("the file of an output", "text: text.txt", "text: text.csv"),
        ("the type of an output", "text: text.txt", "text: {file: text.txt, type: number}"),
    ] {
        let changed = node(BASE).replace(from, to);
        assert_ne!(changed, node(BASE), "{what}");
        assert_ne!(key(&world, &changed), base, "{what}");
    }
    for (file, text) in
        [("tool.sh", "#!/bin/sh\n"), ("lib/part.sh", "x"), ("lib/new.sh", ""), ("numbers.txt", "9\n")]
    {
        let before = key(&world, &node(BASE));
        fs_err::write(world.path(file), text).unwrap();
        assert_ne!(key(&world, &node(BASE)), before, "{file}");
    }
}

#[test]
fn every_line_of_the_version_counts() {
    let world = world();
    let packages = |first: &str| {
        let rest: String = (2..=30).map(|number| format!("package {number}\n")).collect();
        fs_err::write(world.path("packages.txt"), format!("{first}\n{rest}")).unwrap();
        let probe = format!("[cat, {}]", world.path("packages.txt").display());
        key(&world, &node(BASE).replace("[echo, v1]", &probe))
    };
    let before = packages("package 1");
    assert_ne!(packages("package 1.1"), before);
    assert_eq!(packages("package 1"), before);
}

#[test]
fn a_version_without_end_is_refused() {
    let world = world();
    let probe = "[sh, -c, \"head -c 17000000 /dev/zero | tr '\\\\0' x\"]";
    let record = world.run(&read(&world, &node(BASE).replace("[echo, v1]", probe)));
    let failure = record.job("a").unwrap().failure.clone().unwrap();
    assert!(failure.message.contains("printed 17 MiB as its version"), "{}", failure.message);
}

#[test]
fn nothing_else_changes_it() {
    let world = world();
    let base = key(&world, &node(BASE));
    for (what, from, to) in [
        ("the name of the node", "  a:\n", "  b:\n"),
        ("the way a path is written", "code: [lib/]", "code: [./lib]"),
        ("code that is named twice", "code: [lib/]", "code: [lib/, tool.sh]"),
        ("a timeout", "    env:", "    timeout: 5m\n    env:"),
        ("names of secrets", "    env:", "    secrets: [PATH]\n    env:"),
        ("quotes", "min: 1", "min: \"1\""),
    ] {
        let changed = node(BASE).replace(from, to);
        assert_ne!(changed, node(BASE), "{what}");
        assert_eq!(key(&world, &changed), base, "{what}");
    }
    fs_err::create_dir(world.path("lib/__pycache__")).unwrap();
    fs_err::write(world.path("lib/__pycache__/part.pyc"), "x").unwrap();
    assert_eq!(key(&world, &node(BASE)), base, "what Python leaves behind");
    let tool = fs_err::read(world.path("tool.sh")).unwrap();
    fs_err::remove_file(world.path("tool.sh")).unwrap();
    fs_err::write(world.path("tool.sh"), tool).unwrap();
    assert_eq!(key(&world, &node(BASE)), base, "a file with the same content");
}

#[test]
fn a_rerun_is_cached_and_reasons_name_what_changed() {
    let world = world();
    world.run(&read(&world, &node(BASE)));
    assert_eq!(world.states(&read(&world, &node(BASE))), "a: cached");
    fs_err::write(world.path("tool.sh"), "#!/bin/sh\ncp \"$1\" \"$2\"\n").unwrap();
    assert_eq!(world.states(&read(&world, &node(BASE))), "a: runs: input code[./tool.sh] changed");
    let other = node(BASE).replace("v1", "v2").replace("min: 1", "min: 3");
    insta::assert_snapshot!(world.states(&read(&world, &other)), @r#"a: runs: version of the program changed v1 → v2; parameter min changed 1 → 3; parameter version changed ["echo","v1"] → ["echo","v2"]; input code[./tool.sh] changed"#);
}
