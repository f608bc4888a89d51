//! Where test files are.

use std::path::{Path, PathBuf};

use celldag_data::{CellsFile, CountsSource, Csr};

/// A file of the repository.
pub(crate) fn own(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/files").join(name)
}

/// A file of the shared fixtures, or `None` (said aloud) where they are not at hand. In CI they must be.
pub(crate) fn shared(name: &str) -> Option<PathBuf> {
    let workspace = Path::new(env!("CARGO_MANIFEST_DIR")).join("../..");
    let root =
        std::env::var_os("CELLDAG_FIXTURES").map_or_else(|| workspace.join("../shared"), PathBuf::from);
    let path = root.join("data").join(name);
    if path.exists() {
        return Some(path);
    }
    assert_ne!(std::env::var("CI").as_deref(), Ok("true"), "{} is missing in CI", path.display());
    println!("SKIP {} is not there; set CELLDAG_FIXTURES", path.display());
    None
}

/// All counts of a file.
pub(crate) fn counts(path: &Path) -> Csr {
    CellsFile::open(path).and_then(|file| file.read_counts(&CountsSource::Auto)).unwrap().x
}
