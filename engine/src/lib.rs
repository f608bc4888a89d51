//! The engine of celldag: a pipeline file becomes a checked [`Pipeline`], a plan, and a run.
//!
//! ```text
//! text ──spec──▶ Document ──check──▶ Pipeline (jobs) ──plan──▶ states and reasons ──run──▶ record
//!                                        ▲                            │
//!                              Registry of kinds               celldag-cache (store)
//! ```
//!
//! The engine knows no biology, no GPU and no file format but its own: node kinds describe themselves
//! ([`Kind`], [`KindSpec`]) and are put into a [`Registry`] by the crates that define them.

mod above;
pub mod action;
pub mod alone;
pub mod artifact;
pub mod change;
mod check;
pub mod diagnostic;
pub mod document;
pub mod error;
pub mod events;
mod exec;
mod expand;
pub mod graph;
pub mod history;
mod intern;
pub mod kind;
pub mod load;
pub mod param;
pub mod part;
pub mod pipeline;
pub mod plan;
mod plugin;
pub mod process;
pub mod provenance;
pub mod record;
pub mod registry;
pub mod resources;
pub mod resume;
pub mod run;
pub mod schema;
mod short;
mod single;
pub mod size;
mod spec;
pub mod step;
pub mod tally;
#[cfg(test)]
mod testing;
pub mod trace;
pub mod why;
#[cfg(test)]
mod world;

pub use above::{AboveError, StepSummary, lineage_skeleton, read_lineage};
pub use action::{Action, DeviceIdentity};
pub use artifact::ArtifactType;
pub use change::Change;
pub use check::suggest::nearest;
pub use diagnostic::{Diagnostic, Diagnostics, Severity};
pub use error::{EngineError, ExitClass};
pub use events::{Counts, Observer, Quiet, RunEvent};
pub use exec::program::{is_program, program_text, read_program};
pub use graph::NodeGraph;
pub use history::{Estimate, estimate};
pub use kind::{InPort, Kind, KindSpec, Multiplicity, OutPort};
pub use load::{LoadOptions, load};
pub use param::{Param, ParamClass, ParamType, Params};
pub use part::{PartFile, Portion, Shard, Work};
pub use pipeline::{Job, JobInput, JobOutput, Pipeline, Source};
pub use plan::{JobState, Plan, PlanOptions, PlannedJob, Reason, plan};
pub use plugin::PluginError;
pub use record::{JobOutcome, JobRecord, OutputRecord, RunHeader, RunRecord, RunStatus};
pub use registry::Registry;
pub use resources::{Dispatch, OutOfMemory, PerfChange, Resources, Retries};
pub use resume::Resume;
pub use run::{GpuSlot, Gpus, Import, RunOptions, run};
pub use schema::schema;
pub use short::short;
pub use single::with_value;
pub use step::{Cancel, FailureCause, Input, NodeError, Outlook, Progress, Step, Summary};
pub use why::{Why, why, why_planned};
