//! Names of what travels between ports. The engine compares the names; only kinds know what is inside.

use std::fmt;

/// The type of an artifact on a port, for example `cells` or `embedding`.
///
/// The set is open: crates that define kinds define the types that their ports use as constants.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ArtifactType {
    /// The word that pipelines, messages and keys use.
    pub name: &'static str,
    /// One line for `celldag nodes`: what the file holds.
    pub about: &'static str,
}

impl ArtifactType {
    /// Any single file or folder; fits every artifact.
    pub const FILE: Self = Self { name: "file", about: "any file or folder" };

    /// Whether an artifact of this type may stand on a port that asks for `wanted`.
    #[must_use]
    pub fn fits(self, wanted: Self) -> bool {
        self.name == wanted.name || wanted.name == Self::FILE.name
    }
}

impl fmt::Debug for ArtifactType {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name)
    }
}

impl fmt::Display for ArtifactType {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name)
    }
}
