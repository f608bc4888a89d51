//! Where the reference numbers and real cells of the tests are.

pub(crate) mod cells;
pub(crate) mod golden;
pub(crate) mod lora;
pub(crate) mod shards;

use std::path::PathBuf;

/// The fixtures folder: `CELLDAG_FIXTURES`, by default beside the workspace. `None`, said loudly, when it is absent;
/// a failure in CI, where nothing may be skipped.
pub(crate) fn fixtures() -> Option<PathBuf> {
    let root = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("..");
    let wanted =
        std::env::var_os("CELLDAG_FIXTURES").map_or_else(|| PathBuf::from("../shared"), PathBuf::from);
    let path = if wanted.is_absolute() { wanted } else { root.join(wanted) };
    if path.is_dir() {
        return Some(path);
    }
    assert!(std::env::var_os("CI").is_none(), "fixtures are missing in CI: {}", path.display());
    println!("SKIP: no fixtures at {} (set CELLDAG_FIXTURES)", path.display());
    None
}

/// A JSON file of the fixtures.
pub(crate) fn json(relative: &str) -> Option<serde_json::Value> {
    let path = fixtures()?.join(relative);
    let text = fs_err::read_to_string(&path).expect("fixture can be read");
    Some(serde_json::from_str(&text).expect("fixture is JSON"))
}
