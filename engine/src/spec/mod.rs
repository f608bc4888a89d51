//! The text of a pipeline: YAML with positions, read into a [`Document`]. No knowledge of kinds, axes or files.
//!
//! Values stay as they were written, because only the parameter that receives a value can say what `007`, `no` or
//! `1e4` means; [`crate::check`] decides that.

pub(crate) mod choice;
pub(crate) mod dispatch;
pub(crate) mod document;
pub(crate) mod exec;
pub(crate) mod include;
pub(crate) mod overrides;
pub(crate) mod parse;
pub(crate) mod program;
pub(crate) mod read;
mod read_node;
pub(crate) mod resources;
pub(crate) mod retries;
mod secrets;
pub(crate) mod template;
pub(crate) mod value;

pub(crate) use document::Document;
pub(crate) use value::{Data, Key, Scalar, Span, Tree};
