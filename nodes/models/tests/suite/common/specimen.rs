//! One small checkpoint of every cell model, with cells to read.

use std::path::{Path, PathBuf};

use celldag_data::{GeneIds, Table};
use celldag_models::{
    Adapters, Batch, CellCounts, CellEncoder, CellModel, CellTokenizer, CellTokens, LoadEncoder, ModelError,
    cell_model,
};
use celldag_shaders::Device;
use serde_json::{Value, json};

use super::small_bert::small;
use super::{Golden, options};

/// A checkpoint and cells for it.
pub(crate) struct Specimen {
    pub(crate) model: &'static dyn CellModel,
    pub(crate) folder: PathBuf,
    /// Options of the tokenizer, so that no cell is dropped and none is long.
    pub(crate) tokenize: Value,
    /// Options of the encoder, so that every layer counts.
    pub(crate) embed: Value,
    pub(crate) genes: GeneIds,
    /// Columns and counts.
    cells: Vec<(Vec<u32>, Vec<f32>)>,
    /// The folder of a checkpoint that was made here.
    _made: Option<tempfile::TempDir>,
}

const CELLS: usize = 3;

impl Specimen {
    /// One for every model in the registry; fixtures that are not there are left out.
    pub(crate) fn all() -> Vec<Self> {
        let (no, last) = (json!({}), json!({"layer": -1}));
        let fixtures = [
            ("celllm", "celllm", json!({"max_seq_len": 300}), no.clone()),
            // Which cluster is likeliest does not change with every adapter.
            ("cellplm", "cellplm", no.clone(), json!({"latent": "expectation"})),
            ("geneformer", "geneformer-v1", no.clone(), last.clone()),
            ("geneformer", "geneformer-v2", no.clone(), last),
            ("llama", "llama", json!({"max_genes": 32}), no.clone()),
            ("scbert", "scbert", json!({"max_genes": 300}), no.clone()),
            ("scfoundation", "scfoundation", no.clone(), no.clone()),
            ("scgpt", "scgpt", no.clone(), no.clone()),
            ("tgpt", "tgpt", no.clone(), no.clone()),
            ("uce", "uce", json!({"filter": false, "sample_size": 64}), no),
        ];
        let found = fixtures.into_iter().filter_map(|(model, name, tokenize, embed)| {
            let golden = Golden::open(name)?;
            let rows = golden.counts.iter().take(CELLS);
            let cells = rows.map(|(columns, counts)| (columns.to_vec(), counts.to_vec())).collect();
            let (model, folder) = (cell_model(model).unwrap(), golden.checkpoint());
            Some(Self { model, folder, tokenize, embed, genes: golden.genes, cells, _made: None })
        });
        let mut all: Vec<Self> = found.collect();
        all.push(Self::text());
        all
    }

    fn text() -> Self {
        let made = tempfile::tempdir().unwrap();
        small(made.path(), "bert.", true);
        let names = ["CD74", "HLA-DRA", "LYZ"].map(str::to_owned).to_vec();
        Self {
            model: cell_model("bert-text").unwrap(),
            folder: made.path().to_path_buf(),
            tokenize: json!({}),
            embed: json!({}),
            genes: GeneIds::detect(&Table::new(names)),
            cells: vec![(vec![0, 2], vec![2.0, 3.0]), (vec![0, 1, 2], vec![3.0, 2.0, 1.0])],
            _made: Some(made),
        }
    }

    /// The same with a copy of its folder, in which one can break things.
    pub(crate) fn copied(self) -> Self {
        let made = tempfile::tempdir().unwrap();
        copy_all(&self.folder, made.path());
        Self { folder: made.path().to_path_buf(), _made: Some(made), ..self }
    }

    /// The same, read otherwise.
    pub(crate) fn read_as(self, embed: Value) -> Self {
        Self { embed, ..self }
    }

    /// The first file of the folder with such a name, also further down.
    pub(crate) fn file(&self, wanted: impl Fn(&str) -> bool) -> Option<PathBuf> {
        let mut folders = vec![self.folder.clone()];
        while let Some(folder) = folders.pop() {
            for path in entries(&folder) {
                if path.is_dir() {
                    folders.push(path);
                } else if wanted(&path.file_name().unwrap().to_string_lossy()) {
                    return Some(path);
                }
            }
        }
        None
    }

    /// What messages call it.
    pub(crate) fn name(&self) -> String {
        format!("{} ({})", self.model.name(), self.folder.display())
    }

    /// The tokenizer of the checkpoint, as the kind `tokenize` opens it.
    pub(crate) fn tokenizer(&self) -> Result<Box<dyn CellTokenizer>, ModelError> {
        self.model.tokenizer(&self.folder, &self.genes, &options(self.tokenize.clone()))
    }

    /// The cells as tokens.
    pub(crate) fn tokens(&self, tokenizer: &dyn CellTokenizer) -> Vec<CellTokens> {
        let named = |(number, (columns, counts)): (usize, &(Vec<u32>, Vec<f32>))| {
            let cell = CellCounts { name: &number.to_string(), columns, counts };
            tokenizer.tokenize(&cell).unwrap()
        };
        self.cells.iter().enumerate().map(named).collect()
    }

    /// The encoder with adapters over its layers.
    pub(crate) fn encoder(
        &self,
        device: &Device,
        adapters: &Adapters,
    ) -> Result<Box<dyn CellEncoder>, ModelError> {
        let options = &options(self.embed.clone());
        self.model.encoder(LoadEncoder { checkpoint: &self.folder, device, options, adapters })
    }
}

fn entries(folder: &Path) -> Vec<PathBuf> {
    let mut all: Vec<PathBuf> =
        fs_err::read_dir(folder).unwrap().map(|entry| entry.unwrap().path()).collect();
    all.sort();
    all
}

fn copy_all(from: &Path, to: &Path) {
    for path in entries(from) {
        let to = to.join(path.file_name().unwrap());
        if path.is_dir() {
            fs_err::create_dir(&to).unwrap();
            copy_all(&path, &to);
        } else {
            // Without the permissions: fixtures cannot be written.
            fs_err::write(&to, fs_err::read(&path).unwrap()).unwrap();
        }
    }
}

/// Vectors of cells that see each other, if the model has neighbourhoods.
pub(crate) fn embedding(encoder: &dyn CellEncoder, cells: &[CellTokens]) -> Result<Vec<f32>, ModelError> {
    encoder.embed(Batch { cells, neighbourhoods: &[cells.len()] })
}
