//! Work that is cut by cells into shards: which cells each has, and how a job says which of it it does.
//!
//! A shard writes one *part* instead of the outputs of its kind. The parts of all shards, put together, give the outputs, facts
//! and warnings of the whole step, byte for byte: they are published under its key, and nobody can tell afterwards.

mod file;
#[cfg(test)]
mod tests;

use std::fmt;
use std::num::NonZeroU32;
use std::ops::Range;
use std::path::PathBuf;
use std::str::FromStr;

use serde_json::Value;

use crate::action::ActionOutput;
use crate::resources::MAX_SHARDS;

pub use file::PartFile;
pub(crate) use file::{open_all, write};

/// The output port of a shard.
pub const PART: &str = "part";

/// One of so many shards, counted from 0.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Shard {
    index: u32,
    of: NonZeroU32,
}

impl Shard {
    /// Shard `index` of `of`; `None` when there is no such one, or more than 10,000 of them.
    #[must_use]
    pub fn new(index: u32, of: u32) -> Option<Self> {
        let of = NonZeroU32::new(of).filter(|of| of.get() <= MAX_SHARDS && index < of.get())?;
        Some(Self { index, of })
    }

    /// Which one, from 0.
    #[must_use]
    pub fn index(self) -> u32 {
        self.index
    }

    /// Of how many.
    #[must_use]
    pub fn of(self) -> u32 {
        self.of.get()
    }

    /// The cells of this shard among `cells`: consecutive ones, after those of the shard before. Lengths differ by at most one,
    /// and depend on the two numbers only.
    #[must_use]
    pub fn range(self, cells: usize) -> Range<usize> {
        let of = self.of.get() as usize;
        // As many each, and one more for as many of the first as are left over.
        let (each, more) = (cells / of, cells % of);
        let start = |index: usize| index * each + index.min(more);
        let index = self.index as usize;
        start(index)..start(index + 1)
    }
}

impl fmt::Display for Shard {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", self.index, self.of)
    }
}

impl FromStr for Shard {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let numbers =
            text.split_once('/').and_then(|(index, of)| Some((index.parse().ok()?, of.parse().ok()?)));
        numbers.and_then(|(index, of)| Self::new(index, of)).ok_or_else(|| {
            format!(
                "write I/N: shard I, from 0 to N - 1, of N, which is at most {MAX_SHARDS}; for example 0/4"
            )
        })
    }
}

/// What a job does of its action.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum Portion {
    /// All of it.
    #[default]
    Whole,
    /// One shard: its only output is [`PART`].
    Shard(Shard),
    /// It puts these parts together, and computes nothing.
    Parts(Vec<PathBuf>),
}

impl Portion {
    /// The shard, if it is one.
    #[must_use]
    pub fn shard(&self) -> Option<Shard> {
        match self {
            Self::Shard(shard) => Some(*shard),
            Self::Whole | Self::Parts(_) => None,
        }
    }
}

/// What a kind is asked for ([`crate::Step::work`]). Kinds that cannot be cut ([`crate::Kind::can_be_cut`]) are only asked for the
/// whole.
#[derive(Debug)]
pub enum Work {
    /// Write every declared output.
    Whole,
    /// Do what belongs to the cells of one shard, and hand it to [`crate::Step::write_part`] instead of writing outputs. The
    /// result of a cell must not depend on the shard that computes it.
    Shard {
        /// Which one.
        shard: Shard,
        /// The action of the whole, which the part names.
        action: Value,
    },
    /// Write every declared output from these parts, one of each shard and in their order, as if all had been computed here: the
    /// same bytes, facts and warnings.
    Parts(Vec<PartFile>),
}

/// The output of a shard, as an action names it.
pub(crate) fn output() -> ActionOutput {
    ActionOutput { ty: PART.to_owned(), file: PART.to_owned() }
}
