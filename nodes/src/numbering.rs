//! Names and other values as numbers: distinct ones in ascending order, and which of them each row has.

use std::collections::BTreeMap;

/// Distinct names, numbered in the order of the alphabet, so that numbers do not depend on the order of the rows.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Numbering {
    index: BTreeMap<String, usize>,
}

impl Numbering {
    /// Numbers the distinct names among `names`.
    #[must_use]
    pub(crate) fn of<S: AsRef<str>>(names: impl IntoIterator<Item = S>) -> Self {
        Self { index: numbered(names.into_iter().map(|name| name.as_ref().to_owned())) }
    }

    /// Number of a name.
    #[must_use]
    pub(crate) fn get(&self, name: &str) -> Option<usize> {
        self.index.get(name).copied()
    }

    /// How many distinct names there are.
    #[must_use]
    pub(crate) fn len(&self) -> usize {
        self.index.len()
    }

    /// Whether there is no name.
    #[must_use]
    pub(crate) fn is_empty(&self) -> bool {
        self.index.is_empty()
    }

    /// The names by number.
    pub(crate) fn names(&self) -> impl Iterator<Item = &str> {
        self.index.keys().map(String::as_str)
    }

    /// The numbers of some rows, whose names must all have been numbered; a name that was not has number 0.
    pub(crate) fn rows<S: AsRef<str>>(&self, names: impl IntoIterator<Item = S>) -> Vec<usize> {
        names.into_iter().map(|name| self.get(name.as_ref()).unwrap_or_default()).collect()
    }
}

/// Distinct values, numbered in ascending order.
pub(crate) fn numbered<T: Ord>(values: impl IntoIterator<Item = T>) -> BTreeMap<T, usize> {
    let mut index: BTreeMap<T, usize> = values.into_iter().map(|value| (value, 0)).collect();
    index.values_mut().enumerate().for_each(|(at, spot)| *spot = at);
    index
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_follow_the_alphabet_and_not_the_rows() {
        let rows = ["t", "b", "t", "nk"];
        let names = Numbering::of(rows);
        assert_eq!(names.names().collect::<Vec<_>>(), ["b", "nk", "t"]);
        assert_eq!((names.rows(rows), names.get("nk"), names.get("x")), (vec![2, 0, 2, 1], Some(1), None));
        assert!(Numbering::default().is_empty());
    }
}
