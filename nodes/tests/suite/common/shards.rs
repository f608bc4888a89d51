//! `tokenize` and `embed` on a few cells of the golden fixtures, cut into shards or not.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use super::lora::bytes;
use celldag_data::{CellsFile, Column, Csr, Dtype, H5adWriter, Table, WriteOptions};
use celldag_engine::alone::{run_alone_portion, run_alone_portion_resumable};
use celldag_engine::registry::Registered;
use celldag_engine::{NodeError, Portion, Shard, Summary};
use celldag_nodes::embed::{Embed, Tokenize};

pub(crate) type Done = (Summary, BTreeMap<String, PathBuf>);

/// One kind on its inputs.
pub(crate) struct Work<'a> {
    pub(crate) kind: Registered,
    pub(crate) with: &'a [(&'a str, &'a str)],
    pub(crate) inputs: Vec<(&'a str, &'a str, &'a Path)>,
    pub(crate) folder: PathBuf,
}

impl Work<'_> {
    fn at(&self, name: &str) -> PathBuf {
        let folder = self.folder.join(name);
        fs_err::create_dir_all(&folder).expect("folder");
        folder
    }

    pub(crate) fn run(&self, name: &str, portion: &Portion) -> Result<Done, NodeError> {
        run_alone_portion(&self.kind, self.with, &self.inputs, (&self.at(name), "cpu"), portion)
    }

    /// The same, going on from what an earlier call saved; stopped after so many cells, if it is.
    pub(crate) fn go_on(
        &self,
        name: &str,
        portion: &Portion,
        stop_after: Option<u64>,
    ) -> Result<Done, NodeError> {
        let (folder, store) = (self.at(name), self.folder.join("store"));
        let kept = (store.as_path(), stop_after);
        run_alone_portion_resumable(&self.kind, self.with, &self.inputs, (&folder, "cpu"), portion, kept)
    }

    pub(crate) fn part(&self, index: u32, of: u32) -> PathBuf {
        let (_, done) = self.run(&format!("{index}-{of}"), &shard(index, of)).expect("a part");
        done["part"].clone()
    }

    pub(crate) fn whole(&self) -> Done {
        self.run("whole", &Portion::Whole).expect("the whole")
    }

    /// The whole, after comparing it with what parts of these numbers of shards give.
    pub(crate) fn compare(&self, numbers: &[u32]) -> Done {
        let whole = self.whole();
        self.agrees(&whole, numbers);
        whole
    }

    /// That parts of these numbers of shards give this whole.
    pub(crate) fn agrees(&self, whole: &Done, numbers: &[u32]) {
        for &of in numbers {
            let mut parts: Vec<PathBuf> = (0..of).map(|index| self.part(index, of)).collect();
            parts.reverse();
            self.expect(whole, parts);
        }
    }

    /// That these parts give the whole.
    pub(crate) fn expect(&self, whole: &Done, parts: Vec<PathBuf>) {
        let of = parts.len();
        let (said, done) = self.run(&format!("all-{of}"), &Portion::Parts(parts)).expect("put together");
        let with = self.with;
        assert_eq!(
            (&said.facts, &said.warnings),
            (&whole.0.facts, &whole.0.warnings),
            "{of} shards, {with:?}"
        );
        assert!(bytes(&done) == bytes(&whole.1), "{of} shards, {with:?}");
    }
}

pub(crate) fn shard(index: u32, of: u32) -> Portion {
    Portion::Shard(Shard::new(index, of).expect("a shard"))
}

/// A few cells of a file; the second and the last one have no counts.
fn few(from: &Path, to: &Path, cells: usize) {
    let file = CellsFile::open(from).expect("cells");
    let matrix = file.matrix("X").expect("counts");
    let x = file.read_matrix(&matrix).expect("counts");
    let mut obs = Table::new(file.obs().index[..cells].to_vec());
    let batch = (0..cells).map(|cell| Some(format!("b{}", cell % 3))).collect();
    obs.insert("batch", Column::Text(batch)).expect("a column");
    let mut out = H5adWriter::create(to, &obs, matrix.var(), &WriteOptions::default()).expect("a file");
    out.begin_matrix("X", Dtype::F32).expect("a matrix");
    for cell in 0..cells {
        let dense = if [1, cells - 1].contains(&cell) { vec![0.0; x.n_cols()] } else { x.to_dense_row(cell) };
        out.append(&Csr::from_dense(x.n_cols(), &dense)).expect("a row");
    }
    out.finish().expect("a file");
}

/// A golden checkpoint, and cells beside it.
pub(crate) struct Golden {
    temp: tempfile::TempDir,
    cells: PathBuf,
    checkpoint: PathBuf,
    adapter: PathBuf,
}

impl Golden {
    /// With the first `cells` of its cells. `None` where the fixtures are not.
    pub(crate) fn new(name: &str, cells: usize) -> Option<Self> {
        let golden = super::fixtures()?.join("golden").join(name);
        let temp = tempfile::tempdir().expect("folder");
        let file = temp.path().join("cells.h5ad");
        few(&golden.join("input.h5ad"), &file, cells);
        Some(Self {
            temp,
            cells: file,
            checkpoint: golden.join("checkpoint"),
            adapter: golden.join("adapter"),
        })
    }

    /// The step `tokenize`, whose folder is called `name`.
    pub(crate) fn tokenize<'a>(&'a self, name: &str, with: &'a [(&'a str, &'a str)]) -> Work<'a> {
        Work {
            kind: Registered::new(Tokenize),
            with,
            inputs: vec![("cells", "", &self.cells), ("checkpoint", "", &self.checkpoint)],
            folder: self.temp.path().join(name),
        }
    }

    /// The step `embed` on these tokens, with an adapter if there is to be one.
    pub(crate) fn embed<'a>(
        &'a self,
        name: &str,
        (tokens, adapter): (&'a Done, bool),
        with: &'a [(&'a str, &'a str)],
    ) -> Work<'a> {
        let adapter = adapter.then_some(("adapter", "", self.adapter.as_path()));
        let tokens: [(&str, &str, &Path); 2] =
            [("tokens", "", &tokens.1["tokens"]), ("checkpoint", "", &self.checkpoint)];
        Work {
            kind: Registered::new(Embed),
            with,
            inputs: tokens.into_iter().chain(adapter).collect(),
            folder: self.temp.path().join(name),
        }
    }
}
