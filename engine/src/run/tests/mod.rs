//! Runs of small pipelines, by what they must guarantee.

mod bytes;
mod cutoff;
mod failures;
mod large;
mod resume;
mod shared;
