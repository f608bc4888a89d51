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

pub mod alone;
pub mod artifact;
pub mod document;
pub mod kind;
pub mod param;
pub mod pipeline;
pub mod registry;
pub mod step;

pub use artifact::ArtifactType;
pub use kind::{InPort, Kind, KindSpec, Multiplicity, OutPort};
pub use param::{Param, ParamClass, ParamType, Params};
pub use pipeline::{Job, JobInput, JobOutput, Pipeline, Source};
pub use registry::Registry;
pub use step::{Cancel, FailureCause, Input, NodeError, Progress, Step, Summary};
