//! The way out of each error, in one or two sentences.

use super::{DataError, list};

impl DataError {
    /// What the user can do.
    #[must_use]
    pub fn help(&self) -> String {
        match self {
            Self::Io { source, .. } => match source.kind() {
                std::io::ErrorKind::NotFound => "check the path; relative paths are relative to the pipeline file".to_owned(),
                std::io::ErrorKind::PermissionDenied => "check the permissions of the file and its folder".to_owned(),
                _ => "check the disk and the path, then run again".to_owned(),
            },
            Self::UnknownFormat { .. } => "give an AnnData file (.h5ad), a 10x file (.h5), a 10x folder (matrix.mtx, barcodes.tsv, \
                 features.tsv or genes.tsv) or a table of cells × genes (.csv, .tsv, also .gz)"
                .to_owned(),
            Self::NotHdf5 { found, .. } if found.contains("Git LFS") => {
                "fetch the file itself with `git lfs pull`".to_owned()
            }
            Self::NotHdf5 { found, .. } if found.contains("gzip") => {
                "unpack the file with `gunzip` first".to_owned()
            }
            Self::NotHdf5 { .. } => "check the download; an HDF5 file begins with the bytes `\\x89HDF`".to_owned(),
            Self::Truncated { .. } => "copy or download the file again and compare its size with the source".to_owned(),
            Self::Hdf5 { detail, .. } if detail.contains("bad version number") => "the file uses a newer file format than HDF5 1.14 reads \
                 (h5py with `libver='latest'` writes it); write it again without that option, or with `libver=('earliest', 'v114')`"
                .to_owned(),
            Self::Hdf5 { .. } => "check the file with `h5ls -r FILE`; if it opens in Scanpy, write it again with \
                 `adata.write_h5ad(FILE, compression='gzip')`"
                .to_owned(),
            Self::Filter { .. } => "write the file again in Python with the filter's plugin at hand: `import hdf5plugin, anndata; \
                 anndata.read_h5ad(FILE).write_h5ad(NEW, compression='gzip')`; readable are gzip, lzf, zstd and blosc"
                .to_owned(),
            Self::Missing { available, .. } if available.is_empty() => {
                "check that the file is complete and of the format that it claims".to_owned()
            }
            Self::Missing { available, .. } => format!("check the name, or complete the file; there is: {}", list(available)),
            Self::Malformed { .. } => "write the file again with the program that made it; if it opens in Scanpy, \
                 `adata.write_h5ad(FILE)` repairs most files"
                .to_owned(),
            Self::Text { .. } => "correct the line; a table of cells has one row per cell, one column per gene and plain numbers".to_owned(),
            Self::NotCounts { matrices, .. } => not_counts(matrices),
            Self::NotFinite { .. } => "remove or impute the value before writing the file".to_owned(),
            Self::DuplicateCell { .. } => {
                "make the names unique, in Scanpy with `adata.obs_names_make_unique()`; if whole samples repeat, \
                 prefix each barcode with its sample"
                    .to_owned()
            }
            Self::Empty { .. } => "check the filters of the step that wrote the file".to_owned(),
            Self::Ambiguous { remedy, .. } => remedy.clone(),
            Self::Write { .. } => "check free space and permissions of the folder".to_owned(),
        }
    }
}

fn not_counts(others: &[String]) -> String {
    match others {
        [] => "the models need raw counts (UMIs or reads, not normalised, not logarithmised), and no other matrix of \
               the file holds them: write the file with counts in X or in layers[\"counts\"]"
            .to_owned(),
        [one] => format!("the models need raw counts, and `{one}` seems to hold them: name it with `counts: {one}`"),
        [first, ..] => format!(
            "the models need raw counts, and these matrices seem to hold them: {}. Name one, \
             for example with `counts: {first}`",
            list(others)
        ),
    }
}
