//! What the tests of this folder share.

#![expect(clippy::print_stdout, reason = "tests say what they skip")]

use std::path::PathBuf;

/// An example, which `cargo test` builds beside the tests; `cargo test --test NAME` alone does not.
pub(crate) fn example(name: &str) -> Option<PathBuf> {
    let test = std::env::current_exe().expect("this test");
    let path = test.ancestors().nth(2).expect("the folder of the build").join("examples").join(name);
    if path.exists() {
        return Some(path);
    }
    assert!(std::env::var("CI").is_err(), "CI builds the examples");
    println!("SKIPPED: {} is not built", path.display());
    None
}
