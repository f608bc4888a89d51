//! Why a pipeline cannot be exported.

use std::path::PathBuf;

/// Why a pipeline cannot be exported.
#[derive(Debug, thiserror::Error)]
pub enum ExportError {
    /// A node that no step can run.
    #[error(
        "node `{node}` runs a program of its own (`uses: exec`), which `celldag step` cannot: make a kind of the program \
         (docs/plugins.md), or run the pipeline with `celldag run`"
    )]
    Exec {
        /// The node.
        node: String,
    },
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
    /// A text that stands in a script or in a sheet of jobs.
    #[error(
        "node `{node}`: {value:?} (`{column}`) cannot stand in a script or a sheet of jobs for Nextflow: take quotes, tabs and line ends out"
    )]
    Cell {
        /// The node.
        node: String,
        /// Axis or parameter.
        column: String,
        /// The text.
        value: String,
    },
    /// A place for a result that Nextflow cannot publish to.
    #[error("{output} {why}; Nextflow publishes each artifact once, below one folder")]
    Place {
        /// `node.port`.
        output: String,
        /// What is wrong.
        why: &'static str,
    },
    /// An input that is chosen by the value of an axis.
    #[error(
        "node `{node}`: input `{port}` is chosen by the value of an axis, which is not exported to Nextflow: make it a node for each choice"
    )]
    Choice {
        /// The node.
        node: String,
        /// The input.
        port: String,
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
    #[error("the output {} lies where the workflow keeps files of its own (nodes/, summaries/, parts/, lineage/); write it elsewhere: results/...", path.display())]
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
