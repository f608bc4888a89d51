//! The files of a pipeline. Each has parameters of its own, sees its own nodes and those of the files that it includes,
//! and its relative paths start at its own folder.

use std::path::{Path, PathBuf};

use crate::diagnostic::sources::Sources;
use crate::spec::{Key, Span, Tree};

/// One file.
#[derive(Debug)]
pub(crate) struct Module {
    /// What the user calls it.
    pub(crate) name: String,
    /// Its path with links followed.
    pub(crate) file: PathBuf,
    /// Its folder.
    pub(crate) root: PathBuf,
    /// What `as:` puts before the names of its nodes.
    pub(crate) prefix: String,
    /// The file that includes it.
    pub(crate) parent: Option<usize>,
    /// Parameters that it was included with.
    pub(crate) with: Vec<(Key, Tree)>,
    /// Its own `params:`.
    pub(crate) params: Vec<(Key, Tree)>,
}

/// All files, in the order of [`Sources`]: a file comes after the one that includes it.
#[derive(Debug, Default)]
pub(crate) struct Modules {
    /// Their texts.
    pub(crate) sources: Sources,
    /// The files.
    pub(crate) list: Vec<Module>,
    /// A file could not be read: a node that is not known may be there.
    pub(crate) incomplete: bool,
}

impl Modules {
    /// The file in which something was written.
    pub(crate) fn of(&self, span: &Span) -> usize {
        self.sources.index(span.start)
    }

    /// The folder at which relative paths of a file start.
    pub(crate) fn root(&self, module: usize) -> &Path {
        self.list.get(module).map_or(Path::new("/"), |module| &module.root)
    }

    /// Where the relative paths of a file start, as a sentence for who wrote one of them.
    pub(crate) fn start(&self, module: usize) -> String {
        match self.list.get(module).filter(|_| module > 0) {
            None => "paths, also those of `--set`, start at the folder of the pipeline file".to_owned(),
            Some(included) => format!("paths that are written in {} start at its folder", included.name),
        }
    }

    /// What stands before the names of nodes that were written here.
    pub(crate) fn prefix(&self, module: usize) -> &str {
        self.list.get(module).map_or("", |module| &module.prefix)
    }

    /// Whether `inner` is `outer` or included by it, directly or not.
    pub(crate) fn within(&self, inner: usize, outer: usize) -> bool {
        let mut at = Some(inner);
        while let Some(module) = at {
            if module == outer {
                return true;
            }
            at = self.list.get(module).and_then(|module| module.parent);
        }
        false
    }

    /// The included files.
    pub(crate) fn included(&self) -> impl Iterator<Item = &Path> {
        self.list.iter().skip(1).map(|module| module.file.as_path())
    }
}
