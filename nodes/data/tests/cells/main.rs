//! Reading and writing files of cells, on our own small files and on the field's.

#![expect(clippy::unwrap_used, clippy::print_stdout, reason = "helpers of tests fail and speak as tests do")]

mod bad;
mod encodings;
mod fixtures;
mod formats;
mod full;
mod real;
mod written;
