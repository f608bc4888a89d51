//! What stands on the optional ports of `evaluate`.

use celldag_engine::{NodeError, Step};

use crate::learn::mlp::Embedding;
use crate::learn::split::{JoinedCells, SplitInfo, SplitTable};

/// The split, the cells (of both files of an external validation) and their vectors.
pub(super) struct Inputs {
    pub(super) split: Option<SplitTable>,
    pub(super) info: Option<SplitInfo>,
    pub(super) cells: Option<JoinedCells>,
    pub(super) embedding: Option<Embedding>,
}

impl Inputs {
    /// Opens everything that is there.
    ///
    /// # Errors
    /// Files that cannot be read or do not fit, or the second of two files without the first.
    pub(super) fn open(step: &Step<'_>, key: Option<&str>) -> Result<Self, NodeError> {
        let there = |port: &str| step.optional_input(port).is_some();
        for (first, second) in [("cells", "external"), ("embedding", "external_embedding")] {
            if there(second) && !there(first) {
                return Err(NodeError::parameter(format!(
                    "a file stands on the port `{second}`, but none on `{first}`"
                ))
                .help(format!("write `in: {{{first}: ..., {second}: ...}}`")));
            }
        }
        Ok(Self {
            split: step.optional_input("split").map(|i| SplitTable::read(&i.path)).transpose()?,
            info: step.optional_input("split_info").map(|i| SplitInfo::read(&i.path)).transpose()?,
            cells: there("cells").then(|| JoinedCells::open(step)).transpose()?,
            embedding: there("embedding")
                .then(|| Embedding::of_ports(step, "external_embedding", key))
                .transpose()?,
        })
    }
}
