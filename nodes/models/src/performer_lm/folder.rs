//! The files of a checkpoint whose authors left names open: weights, and a list of genes. What is ambiguous is refused, since
//! nothing in the files would show a wrong choice.

use std::path::{Path, PathBuf};

use celldag_data::checkpoint::{CheckpointError, Weights};

use crate::error::ModelError;
use crate::model::Purpose;

const WEIGHTS: [&str; 5] = ["pth", "pt", "ckpt", "bin", "safetensors"];
const LISTS: [&str; 6] = ["txt", "json", "pkl", "pickle", "csv", "tsv"];

/// A folder with one model.
pub(crate) struct Folder {
    root: PathBuf,
    files: Vec<PathBuf>,
    model: &'static str,
}

impl Folder {
    /// The folder of a checkpoint of `model`.
    pub(crate) fn open(path: &Path, model: &'static str) -> Result<Self, ModelError> {
        let root = fs_err::canonicalize(path).map_err(CheckpointError::from)?;
        if !root.is_dir() {
            return Err(ModelError::Layout {
                path: root,
                what: "is no folder".to_owned(),
                help: "Give the folder that holds the weights and the gene list".to_owned(),
            });
        }
        let mut files = Vec::new();
        for entry in fs_err::read_dir(&root).map_err(CheckpointError::from)? {
            let file = entry.map_err(CheckpointError::from)?.path();
            if file.is_file() {
                files.push(file);
            }
        }
        files.sort();
        Ok(Self { root, files, model })
    }

    /// Exactly the files that are read for a purpose, sorted.
    pub(crate) fn read_for(&self, purpose: Purpose) -> Result<Vec<PathBuf>, ModelError> {
        let mut files = vec![self.gene_list()?];
        if purpose == Purpose::Embed {
            files.push(self.weights_file()?);
        }
        files.sort();
        Ok(files)
    }

    /// The list of genes: a text file was put there on purpose, so it goes before an h5ad file.
    pub(crate) fn gene_list(&self) -> Result<PathBuf, ModelError> {
        let text = self.files(&LISTS, |stem| stem.contains("gene") && !stem.contains("gene2vec"));
        let found = if text.is_empty() { self.files(&["h5ad"], |_| true) } else { text };
        let help = "Their order is not in the weights and is never guessed: put the authors' example data (its var_names \
                    are the order; panglao_10000.h5ad of scBERT, zheng68k_hgnc.h5ad of CellLM) beside the weights, or a \
                    file genes.txt with one symbol a line";
        self.only(&found, "gene lists", "there is no list of the genes", help)
    }

    /// The file of weights.
    pub(crate) fn weights_file(&self) -> Result<PathBuf, ModelError> {
        let help = "Keep one file of weights in the folder; put others into folders of their own";
        self.only(&self.files(&WEIGHTS, |_| true), "files of weights", "there are no weights", help)
    }

    /// The weights under their plain names: training scripts save more than the weights, and wrap them.
    pub(crate) fn weights(&self) -> Result<Weights, ModelError> {
        Ok(Weights::open(&[self.weights_file()?])?.state_dict()?)
    }

    /// Name of the file of weights without its ending: which of several published checkpoints this is.
    pub(crate) fn variant(&self, genes: usize) -> Result<String, ModelError> {
        let file = self.weights_file()?;
        let stem = file.file_stem().unwrap_or_default().to_string_lossy();
        Ok(format!("{stem}, {genes} genes"))
    }

    fn files(&self, extensions: &[&str], wanted: impl Fn(&str) -> bool) -> Vec<&Path> {
        let fits = |file: &&Path| {
            let extension = file.extension().and_then(|e| e.to_str()).unwrap_or_default().to_lowercase();
            let stem = file.file_stem().and_then(|e| e.to_str()).unwrap_or_default().to_lowercase();
            extensions.contains(&extension.as_str()) && wanted(&stem)
        };
        self.files.iter().map(PathBuf::as_path).filter(fits).collect()
    }

    fn only(&self, found: &[&Path], many: &str, none: &str, help: &str) -> Result<PathBuf, ModelError> {
        let what = match found {
            [one] => return Ok(one.to_path_buf()),
            [] => format!("{none} of {}", self.model),
            _ => {
                let names: Vec<String> = found
                    .iter()
                    .filter_map(|file| file.file_name())
                    .map(|name| format!("`{}`", name.to_string_lossy()))
                    .collect();
                format!("there are {} {many}: {}", found.len(), names.join(", "))
            }
        };
        Err(ModelError::Layout { path: self.root.clone(), what, help: help.to_owned() })
    }
}
