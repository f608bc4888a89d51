//! Why a pipeline cannot be exported.

use std::path::PathBuf;

/// Why a pipeline cannot be exported.
#[derive(Debug, thiserror::Error)]
pub enum ExportError {
    /// A value that cannot be written on a command line.
    #[error(
        "{job}: the value {value} of parameter `{param}` cannot be given to `celldag step` as text; write it differently"
    )]
    Param {
        /// The job.
        job: String,
        /// The parameter.
        param: String,
        /// Its value, as JSON.
        value: String,
    },
    /// An artifact on an input that follows from no rule. A mistake of celldag, not of the pipeline.
    #[error("{job}: what stands on input `{port}` follows no rule; please report this pipeline")]
    Irregular {
        /// The job.
        job: String,
        /// The input.
        port: String,
    },
    /// A file name that is no text.
    #[error("{} cannot be written into a workflow: its name is not UTF-8; rename it", path.display())]
    NotText {
        /// The file.
        path: PathBuf,
    },
    /// A text that no argument of a program can hold.
    #[error(
        "node `{node}`: {value:?} (`{column}`) has a NUL character, which no argument of a program can hold: take it out"
    )]
    Cell {
        /// The node.
        node: String,
        /// Axis or parameter.
        column: String,
        /// The text.
        value: String,
    },
    /// A file name with a line end, a tab or the like.
    #[error(
        "{path:?} cannot be an input for Nextflow: its name has a control character (a line end, a tab); rename it"
    )]
    FileName {
        /// The file.
        path: PathBuf,
    },
    /// A path that Snakemake would take for a pattern.
    #[error(
        "{node}.{port}: {path} has braces in it, which Snakemake takes for wildcards in every path, however they are written; \
         rename the file, or choose a path without `{{` and `}}`"
    )]
    Braces {
        /// The node.
        node: String,
        /// Its input or output.
        port: String,
        /// The path, or the name of the file.
        path: String,
    },
    /// A folder with other things in it.
    #[error(
        "{} holds files that no `celldag export` of this kind wrote; name a new folder, or empty it", folder.display()
    )]
    Occupied {
        /// The folder.
        folder: PathBuf,
    },
    /// An output of the pipeline where the workflow keeps its own files.
    #[error("the output {} lies where the workflow keeps files of its own (nodes/, summaries/, parts/, lineage/, exec/); write it elsewhere: results/...", path.display())]
    Clash {
        /// The path.
        path: PathBuf,
    },
    /// A file that cannot be read or written.
    #[error("{}: {source}", path.display())]
    Io {
        /// The file.
        path: PathBuf,
        /// Why.
        source: std::io::Error,
    },
}
