//! Values of arguments that clap does not know: `NAME=VALUE`, `PORT:LABEL=PATH`, sizes.

use std::path::PathBuf;

use celldag_engine::size::{MEMORY_WANTED, parse_memory};

pub(super) fn name_value(text: &str) -> Result<(String, String), String> {
    let (name, value) =
        text.split_once('=').ok_or_else(|| format!("`{text}` has no `=`; write NAME=VALUE"))?;
    if name.is_empty() {
        return Err(format!("`{text}` has no name before `=`"));
    }
    Ok((name.to_owned(), value.to_owned()))
}

/// `--jobs` and `--threads`.
pub(super) fn threads(text: &str) -> Result<usize, String> {
    let number = text.parse().ok().filter(|number: &usize| (1..=1024).contains(number));
    number.ok_or_else(|| "write a whole number from 1 to 1024".to_owned())
}

/// `--group-small`.
pub(super) fn seconds(text: &str) -> Result<f64, String> {
    let number = text.parse().ok().filter(|number: &f64| number.is_finite() && *number >= 0.0);
    number.ok_or_else(|| "write a number of seconds, zero or more".to_owned())
}

/// An amount of memory to work with.
pub(super) fn memory(text: &str) -> Result<u64, String> {
    parse_memory(text).map_err(|message| format!("{message}; write {MEMORY_WANTED}"))
}

/// One `--in`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct LabelledInput {
    /// Port name.
    pub(crate) port: String,
    /// Label; empty when none was given.
    pub(crate) label: String,
    /// File or folder as given.
    pub(crate) path: PathBuf,
}

/// `PORT=PATH` or `PORT:LABEL=PATH`. A label may hold `=` (`fold=3`), and so may a path: of the places where the label can
/// end, the last one after which a file exists is taken, else the last.
pub(super) fn labelled_input(text: &str) -> Result<LabelledInput, String> {
    let form = || format!("`{text}` is not of the form PORT=PATH or PORT:LABEL=PATH");
    let end = text.find([':', '=']).filter(|end| *end > 0).ok_or_else(form)?;
    let (port, rest) = (&text[..end], &text[end + 1..]);
    let (label, path) = if text[end..].starts_with('=') {
        ("", rest)
    } else {
        let ends: Vec<usize> = rest.match_indices('=').map(|(at, _)| at).collect();
        let exists = |at: &&usize| std::path::Path::new(&rest[**at + 1..]).exists();
        let at = *ends.iter().rev().find(exists).or(ends.last()).ok_or_else(form)?;
        (&rest[..at], &rest[at + 1..])
    };
    if path.is_empty() {
        return Err(form());
    }
    Ok(LabelledInput { port: port.to_owned(), label: label.to_owned(), path: path.into() })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_that_cannot_be_meant_are_refused() {
        assert_eq!((threads("4"), seconds("1.5"), memory("1 MiB")), (Ok(4), Ok(1.5), Ok(1 << 20)));
        for wrong in ["0", "1025", "many"] {
            assert!(threads(wrong).is_err(), "{wrong}");
        }
        for wrong in ["-5", "inf", "abc"] {
            assert!(seconds(wrong).is_err(), "{wrong}");
        }
        for wrong in ["0", "8", "8k", "-1", "4XB", "1025T"] {
            assert!(memory(wrong).is_err(), "{wrong}");
        }
    }

    #[test]
    fn inputs_with_and_without_labels() {
        let input = |port: &str, label: &str, path: &str| {
            Ok(LabelledInput { port: port.into(), label: label.into(), path: path.into() })
        };
        assert_eq!(labelled_input("cells=a.h5ad"), input("cells", "", "a.h5ad"));
        assert_eq!(labelled_input("cells=a=b:c.h5ad"), input("cells", "", "a=b:c.h5ad"));
        assert_eq!(labelled_input("predictions:fold=3=p.csv"), input("predictions", "fold=3", "p.csv"));
        for bad in ["cells", "=a", "cells=", "predictions:fold"] {
            assert!(labelled_input(bad).is_err(), "{bad}");
        }
    }
}
