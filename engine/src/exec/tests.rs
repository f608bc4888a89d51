//! Nodes with `uses: exec` as users write them: what is in the key, what the program sees, what is said when it fails.

mod keys;
mod mistakes;
mod program;
mod runs;

use crate::load::{LoadOptions, load};
use crate::pipeline::Pipeline;
use crate::record::RunRecord;
use crate::testing::registry;
use crate::world::World;

/// A world with the files that the tests refer to.
fn world() -> World {
    let world = World::new();
    for (name, text) in [
        ("numbers.txt", "1\n2\n"),
        ("more.txt", "3\n"),
        ("tool.sh", "#!/bin/sh\ncat \"$1\" > \"$2\"\n"),
        ("lib/part.sh", "echo part\n"),
    ] {
        let path = world.path(name);
        fs_err::create_dir_all(path.parent().unwrap()).unwrap();
        fs_err::write(path, text).unwrap();
    }
    world
}

fn read(world: &World, text: &str) -> Pipeline {
    load(&world.path("demo.yaml"), Some(text), &registry(), &LoadOptions::default())
        .unwrap_or_else(|findings| panic!("{}\n{text}", findings.one_line_each()))
}

/// A pipeline of one node `a` with the output `text`.
fn node(rest: &str) -> String {
    format!("celldag: 1\nnodes:\n  a:\n    uses: exec\n    out: {{text: text.txt}}\n{rest}")
}

/// What the program of [`node`] wrote.
fn text(world: &World, record: &RunRecord) -> String {
    match record.job("a").unwrap().failure.as_ref() {
        Some(failure) => panic!("{}", failure.message),
        None => fs_err::read_to_string(world.blob(record, "a", "text")).unwrap(),
    }
}
