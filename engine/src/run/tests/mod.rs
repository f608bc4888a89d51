//! Runs of small pipelines, by what they must guarantee.

mod bytes;
mod cutoff;
mod events;
mod failures;
mod import;
mod large;
mod resources;
mod resume;
mod schedule;
mod shared;
mod stop;
mod temporary;
