//! Bytes of the outside world as checked Rust values.
//!
//! Cells come in as AnnData, 10x or text ([`CellsFile`]), are annotated by [`Table`]s and held as [`Csr`]; they go out
//! as AnnData ([`H5adWriter`]). [`GeneIds`] finds out what genes are called. Published models come in through
//! [`checkpoint`], their gene and token lists through [`vocabulary`], the tokenizers of text models through [`tokenizer`].
//!
//! Nothing here knows a model, a pipeline or a device, and no type of the HDF5 library appears in the public API.

pub mod checkpoint;
pub mod tokenizer;
pub mod vocabulary;

mod cells;
mod csr;
mod error;
mod genes;
mod h5;
mod h5ad;
mod table;
mod tenx;
mod text;

pub use cells::{Cells, CellsFile, CountsSource, MatrixRef, OpenOptions, RowChunks};
pub use csr::{Csr, CsrError};
pub use error::{DataError, ValueAt};
pub use genes::{Coverage, GeneIds, HumanGene, HumanGenes, IdSource, NameKind};
pub use h5ad::{Compression, Dtype, H5adWriter, WriteOptions};
pub use table::{Column, Table, TableError};
