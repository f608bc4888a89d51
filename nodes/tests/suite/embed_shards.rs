//! `tokenize` and `embed` cut into shards: put together, the parts give the whole, byte for byte.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use crate::common::lora::{bytes, vectors};
use celldag_data::{CellsFile, Csr, Dtype, H5adWriter, Table, WriteOptions};
use celldag_engine::alone::run_alone_portion;
use celldag_engine::registry::Registered;
use celldag_engine::{FailureCause, NodeError, Portion, Shard, Summary};
use celldag_nodes::embed::{Embed, Tokenize};
use serde_json::json;

const CELLS: usize = 11;

type Inputs<'a> = [(&'a str, &'a str, &'a Path)];
type Done = (Summary, BTreeMap<String, PathBuf>);

/// One kind on its inputs.
struct Work<'a> {
    kind: Registered,
    with: &'a [(&'a str, &'a str)],
    inputs: &'a Inputs<'a>,
    folder: PathBuf,
}

impl Work<'_> {
    fn run(&self, name: &str, portion: &Portion) -> Result<Done, NodeError> {
        let folder = self.folder.join(name);
        fs_err::create_dir_all(&folder).expect("folder");
        run_alone_portion(&self.kind, self.with, self.inputs, (&folder, "cpu"), portion)
    }

    fn part(&self, index: u32, of: u32) -> PathBuf {
        let shard = Shard::new(index, of).expect("a shard");
        let (_, done) = self.run(&format!("{index}-{of}"), &Portion::Shard(shard)).expect("a part");
        done["part"].clone()
    }

    /// The whole, after comparing it with what parts of several numbers of shards give.
    fn compare(&self) -> Done {
        let whole = self.run("whole", &Portion::Whole).expect("the whole");
        for of in [1, 2, 3, 7, 14] {
            let mut parts: Vec<PathBuf> = (0..of).map(|index| self.part(index, of)).collect();
            parts.reverse();
            let (said, done) = self.run(&format!("all-{of}"), &Portion::Parts(parts)).expect("put together");
            assert_eq!((&said.facts, &said.warnings), (&whole.0.facts, &whole.0.warnings), "{of} shards");
            assert!(bytes(&done) == bytes(&whole.1), "{of} shards");
        }
        whole
    }
}

/// A few cells of a file; the second and the last one have no counts.
fn few(from: &Path, to: &Path) {
    let file = CellsFile::open(from).expect("cells");
    let matrix = file.matrix("X").expect("counts");
    let x = file.read_matrix(&matrix).expect("counts");
    let mut obs = Table::new(file.obs().index[..CELLS].to_vec());
    let batch = (0..CELLS).map(|cell| Some(format!("b{}", cell % 3))).collect();
    obs.insert("batch", celldag_data::Column::Text(batch)).expect("a column");
    let mut out = H5adWriter::create(to, &obs, matrix.var(), &WriteOptions::default()).expect("a file");
    out.begin_matrix("X", Dtype::F32).expect("a matrix");
    for cell in 0..CELLS {
        let dense = if [1, CELLS - 1].contains(&cell) { vec![0.0; x.n_cols()] } else { x.to_dense_row(cell) };
        out.append(&Csr::from_dense(x.n_cols(), &dense)).expect("a row");
    }
    out.finish().expect("a file");
}

/// A golden checkpoint, and cells beside it.
struct Golden {
    temp: tempfile::TempDir,
    cells: PathBuf,
    checkpoint: PathBuf,
    adapter: PathBuf,
}

impl Golden {
    /// `None` where the fixtures are not.
    fn new(name: &str) -> Option<Self> {
        let golden = crate::common::fixtures()?.join("golden").join(name);
        let temp = tempfile::tempdir().expect("folder");
        let file = temp.path().join("cells.h5ad");
        few(&golden.join("input.h5ad"), &file);
        Some(Self {
            temp,
            cells: file,
            checkpoint: golden.join("checkpoint"),
            adapter: golden.join("adapter"),
        })
    }

    /// What `tokenize` gives, in shards or not.
    fn tokens(&self, name: &str, with: &[(&str, &str)]) -> Done {
        let inputs: [(&str, &str, &Path); 2] =
            [("cells", "", &self.cells), ("checkpoint", "", &self.checkpoint)];
        let folder = self.temp.path().join(name);
        Work { kind: Registered::new(Tokenize), with, inputs: &inputs, folder }.compare()
    }

    /// What `embed` gives, in shards or not.
    fn vectors(&self, name: &str, tokens: &Path, with: &[(&str, &str)], adapter: bool) -> Done {
        let mut inputs: Vec<(&str, &str, &Path)> =
            vec![("tokens", "", tokens), ("checkpoint", "", &self.checkpoint)];
        if adapter {
            inputs.push(("adapter", "", &self.adapter));
        }
        let folder = self.temp.path().join(name);
        Work { kind: Registered::new(Embed), with, inputs: &inputs, folder }.compare()
    }
}

/// `empty` cells get no tokens.
fn both(name: &str, tokenize: &[(&str, &str)], embed: &[(&str, &str)], empty: usize) {
    let Some(golden) = Golden::new(name) else { return };
    let (said, tokens) = golden.tokens("tokenize", tokenize);
    assert_eq!([&said.facts["cells"], &said.facts["cells_without_counts"]], [&json!(CELLS), &json!(empty)]);
    let (said, _) = golden.vectors("embed", &tokens["tokens"], embed, false);
    let without = said.warnings.iter().any(|warning| warning.contains("NaN"));
    assert_eq!(without, empty > 0, "{:?}", said.warnings);
}

#[test]
fn an_adapter_lies_over_the_model_of_every_shard() {
    let Some(golden) = Golden::new("geneformer-v1") else { return };
    let (_, tokens) = golden.tokens("tokens", &[("model", "geneformer")]);
    // As bits: two of the cells have no numbers.
    let values = |name, adapter| -> Vec<u32> {
        let (_, done) = golden.vectors(name, &tokens["tokens"], &[], adapter);
        vectors(&done).into_iter().map(f32::to_bits).collect()
    };
    assert_ne!(values("with", true), values("without", false), "the adapter counts");
}

#[test]
fn geneformer_ranks() {
    both("geneformer-v1", &[("model", "geneformer")], &[], 2);
}

#[test]
fn scgpt_bins_and_their_values() {
    both("scgpt", &[("model", "scgpt")], &[], 2);
}

#[test]
fn uce_draws_from_one_stream_over_all_cells() {
    both("uce", &[("model", "uce"), ("rng", "numpy"), ("filter", "false")], &[("model", "uce")], 2);
}

#[test]
fn cellplm_looks_at_cells_together() {
    // Of a cell without genes it makes a token of zeros, as the authors do.
    for neighbourhood in ["obs:batch", "all"] {
        let embed = [("model", "cellplm"), ("neighbourhood", neighbourhood)];
        both("cellplm", &[("model", "cellplm")], &embed, 0);
    }
}

#[test]
fn parts_of_something_else_are_refused() {
    let cells = crate::common::lora::pipelines().join("data/pbmc68k_700.h5ad");
    let temp = tempfile::tempdir().expect("folder");
    let checkpoint = crate::common::lora::mini();
    let inputs: [(&str, &str, &Path); 2] = [("cells", "", &cells), ("checkpoint", "", &checkpoint)];
    let work = |with, name: &str| Work {
        kind: Registered::new(Tokenize),
        with,
        inputs: &inputs,
        folder: temp.path().join(name),
    };
    let here: Work<'_> = work(&[("model", "geneformer")], "here");
    let there = work(&[("model", "geneformer"), ("gene_aliases", "hgnc")], "there");
    let (first, second, other) = (here.part(0, 2), here.part(1, 2), there.part(1, 2));
    let refused = |parts: &[&PathBuf]| {
        let parts = Portion::Parts(parts.iter().copied().cloned().collect());
        let error = here.run("all", &parts).expect_err("refused");
        assert_eq!(error.cause, FailureCause::Data);
        error.message
    };
    let message = refused(&[&first, &other]);
    assert!(message.contains("parameter gene_aliases changed hgnc → "), "{message}");
    assert!(refused(&[&second]).contains("shard 0"));
    let mut damaged = fs_err::read(&second).expect("a part");
    *damaged.last_mut().expect("bytes") ^= 1;
    fs_err::write(&other, damaged).expect("written");
    assert!(refused(&[&first, &other]).ends_with("is damaged"));
}
