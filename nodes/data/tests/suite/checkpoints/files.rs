//! Where test files are, and a second way to write safetensors.

use std::path::{Path, PathBuf};

use celldag_data::checkpoint::Weights;

/// A file that `tests/python/make_checkpoints.py` made.
pub(crate) fn own(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/files/checkpoints").join(name)
}

/// The golden fixtures, or `None` (said aloud) where they are not at hand. In CI they must be.
pub(crate) fn golden() -> Option<PathBuf> {
    let workspace = Path::new(env!("CARGO_MANIFEST_DIR")).join("../..");
    let root =
        std::env::var_os("CELLDAG_FIXTURES").map_or_else(|| workspace.join("../shared"), PathBuf::from);
    let path = root.join("golden");
    if path.exists() {
        return Some(path);
    }
    assert_ne!(std::env::var("CI").as_deref(), Ok("true"), "{} is missing in CI", path.display());
    println!("SKIP {} is not there; set CELLDAG_FIXTURES", path.display());
    None
}

/// The tensors of one file.
pub(crate) fn open(path: &Path) -> Weights {
    Weights::open(&[path]).unwrap_or_else(|e| panic!("{}: {e}", path.display()))
}

/// Why a file is refused.
pub(crate) fn refused(path: &Path) -> String {
    Weights::open(&[path]).unwrap_err().to_string()
}

/// What the tensors of a file must be: those of `expected.safetensors` below `FILE/`.
pub(crate) fn assert_expected(weights: &Weights, file: &str, leave: &[&str]) {
    let expected = open(&own("expected.safetensors")).below(&format!("{file}/")).unwrap();
    let wanted: Vec<&str> = expected.names().filter(|name| !leave.contains(name)).collect();
    assert_eq!(weights.names().collect::<Vec<_>>(), wanted);
    for name in wanted {
        let shape = expected.shape(name).unwrap();
        assert_eq!(weights.shape(name), Some(shape), "{name}");
        assert_eq!(weights.dtype(name), expected.dtype(name), "{name}");
        if expected.dtype(name).unwrap().is_float() {
            let (found, wanted) = (weights.take_stored(name, shape), expected.take_stored(name, shape));
            assert_eq!(found.unwrap(), wanted.unwrap(), "{name}");
            let (found, wanted) = (weights.take(name, shape), expected.take(name, shape));
            assert_eq!(found.unwrap(), wanted.unwrap(), "{name}");
            let rows = shape.first().copied().unwrap_or(1);
            for from in 0..rows {
                let part = weights.rows_stored(name, from..rows).unwrap();
                assert_eq!(part, expected.rows_stored(name, from..rows).unwrap(), "{name} from {from}");
            }
            assert!(weights.rows(name, 0..rows + 1).is_err(), "{name}");
        } else {
            let (found, wanted) = (weights.take_integers(name, shape), expected.take_integers(name, shape));
            assert_eq!(found.unwrap(), wanted.unwrap(), "{name}");
        }
    }
    weights.finish(&[]).unwrap();
}
