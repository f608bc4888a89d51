//! Reading and writing files of cells, on our own small files and on the field's.

mod bad;
mod encodings;
mod fixtures;
mod formats;
mod full;
mod real;
mod written;
