//! What a node does: the trait that every kind implements, and its self-description.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use crate::artifact::ArtifactType;
use crate::param::{Param, Params};
use crate::step::{NodeError, Step};

/// How many artifacts a port takes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Multiplicity {
    /// Exactly one.
    One,
    /// None or one.
    Optional,
    /// One or more, each with a label (`gather`).
    Many,
}

/// A named, typed input.
#[derive(Clone, Copy, Debug)]
pub struct InPort {
    /// Name as written under `in:`.
    pub name: &'static str,
    /// What the port takes.
    pub ty: ArtifactType,
    /// How many.
    pub many: Multiplicity,
    /// One line.
    pub about: &'static str,
}

/// A named, typed output.
#[derive(Clone, Copy, Debug)]
pub struct OutPort {
    /// Name as in `node.port`.
    pub name: &'static str,
    /// What the port gives.
    pub ty: ArtifactType,
    /// File name inside the sandbox, which also says the format (`cells.h5ad`). A name ending in `/` is a folder.
    pub file: &'static str,
    /// One line.
    pub about: &'static str,
}

/// The self-description of a kind.
#[derive(Clone, Debug)]
pub struct KindSpec {
    /// Name as written after `uses:`.
    pub name: &'static str,
    /// Bumped when output bytes or numbers may change; part of the key.
    pub epoch: u32,
    /// One line.
    pub about: &'static str,
    /// Inputs in the order of the reference.
    pub inputs: Vec<InPort>,
    /// Outputs in the order of the reference; the first is what a bare node name refers to.
    pub outputs: Vec<OutPort>,
    /// Parameters in the order of the reference.
    pub params: Vec<Param>,
    /// Runs on the compute device: such jobs form one queue.
    pub uses_device: bool,
    /// Wants to know the upstream nodes, their edges and their summaries ([`Step::lineage`]); they become part of the
    /// action and thus of the key.
    pub wants_lineage: bool,
}

/// A node kind. Implementations hold no state of a run: everything comes in through the [`Step`].
pub trait Kind: Send + Sync {
    /// Name, epoch, ports and parameters. Must not change while the program runs.
    fn spec(&self) -> KindSpec;

    /// Rules between parameters that [`Param`] cannot say. Returns (parameter name, what is wrong and what to do).
    fn check(&self, _params: &Params) -> Vec<(String, String)> {
        Vec::new()
    }

    /// Writes out the defaults that depend on other parameters, such as the options of a model that one of them names: the
    /// key then holds what is done, and not that nothing was said about it. Called once on parameters that passed
    /// [`Kind::check`]; fills in what is `null`, and leaves alone what was given.
    fn resolve(&self, _params: &mut Params) {}

    /// Epochs of those parts of the kind that the parameters choose, by name (`geneformer`). They are in the key like
    /// [`KindSpec::epoch`], and bumped when what the part gives may change: results of the other parts stay valid.
    fn parts(&self, _params: &Params) -> BTreeMap<String, u32> {
        BTreeMap::new()
    }

    /// Whether the work can be cut by cells into shards that are computed apart and put together again. Such a kind
    /// answers to [`Step::work`] as [`crate::Work`] says.
    fn can_be_cut(&self) -> bool {
        false
    }

    /// What identifies the program that does the work, beyond the epoch, where that program is not celldag itself: the version
    /// that it says, the digests of its files. By name, and part of the key. Asked when a job is looked up.
    ///
    /// # Errors
    /// When the program is not there.
    fn program(&self, _params: &Params) -> Result<BTreeMap<String, String>, NodeError> {
        Ok(BTreeMap::new())
    }

    /// The executable that is this kind, where it is none of celldag's own: `celldag step` takes its path for a name.
    fn executable(&self) -> Option<&Path> {
        None
    }

    /// Names of environment variables whose values the kind is given and nobody else may see.
    fn secrets(&self) -> &[String] {
        &[]
    }

    /// Exactly the files below `path` that this kind reads for `port`, relative to `path`; they and nothing else are
    /// hashed into the key. The default takes the file itself, or everything below a folder except hidden files.
    ///
    /// # Errors
    /// When the folder does not hold what the kind needs.
    fn input_files(
        &self,
        _port: &str,
        path: &Path,
        _params: &Params,
    ) -> Result<Option<Vec<PathBuf>>, NodeError> {
        let _ = path;
        Ok(None)
    }

    /// Does the work: reads [`Step`] inputs, writes every declared output.
    ///
    /// A kind that works for longer than a minute saves how far it is ([`Step::resume`]) and goes on from there in the next
    /// attempt. Its outputs, facts and warnings must then be, byte for byte, those of an attempt that nobody stopped.
    ///
    /// # Errors
    /// A [`NodeError`] whose cause decides the exit code.
    fn run(&self, step: &Step<'_>) -> Result<(), NodeError>;
}
