//! Reading HDF5 with suspicion: every name is checked before it is opened, every size before memory is asked for,
//! every filter before a chunk is decompressed, and the library's messages become [`DataError`]s.
//!
//! [`DataError`]: crate::DataError

mod attribute;
mod dataset;
mod file;
pub(crate) mod filters;
mod lzf;
mod raw;

pub(crate) use dataset::{H5Dataset, Kind, Numbers, trim_nul};
pub(crate) use file::{H5File, describe, first_bytes, has_signature};
