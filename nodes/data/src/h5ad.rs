//! AnnData files: every version since 0.5 is read, the encoding of 0.8 and later is written.

mod column;
mod file;
mod frame;
mod obsm;
mod record;
mod uns;
mod writer;

pub use writer::{Compression, Dtype, H5adWriter, WriteOptions};

pub(crate) use file::{H5adFile, read};
