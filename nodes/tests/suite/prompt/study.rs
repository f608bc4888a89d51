//! Small cells whose class can be read from their first gene, a split of them, and the kind run on them.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use celldag_engine::{
    NodeError, Summary,
    alone::{run_alone, run_alone_resumable},
};
use celldag_nodes::learn::split::{Role, SplitRow, SplitTable};
use celldag_nodes::prompt::PromptClassify;
use serde_json::{Map, Value, json};

/// A folder with cells; everything in it is gone after the test.
pub(crate) struct Study {
    folder: tempfile::TempDir,
    pub(crate) cells: usize,
    split: bool,
}

/// What a run left.
pub(crate) struct Ran {
    pub(crate) summary: Summary,
    outputs: BTreeMap<String, PathBuf>,
}

impl Study {
    /// `cells` cells, of which every third is sensitive: its first gene is S_TOP, else R_TOP.
    pub(crate) fn new(cells: usize) -> Self {
        let folder = tempfile::tempdir().expect("folder");
        let mut text = String::from("barcode,LOW_B,S_TOP,R_TOP,LOW_A,ZERO\n");
        for cell in 0..cells {
            let (s, r) = if sensitive(cell) { (9, 0) } else { (0, 9) };
            text.push_str(&format!("cell_{cell:03},2,{s},{r},2,0\n"));
        }
        fs_err::write(folder.path().join("cells.csv"), text).expect("cells");
        Self { folder, cells, split: false }
    }

    /// With a split of two folds: even cells are tested in fold 0 and odd ones in fold 1, the others train.
    pub(crate) fn with_split(mut self) -> Self {
        let mut rows = Vec::new();
        for fold in 0..2_u32 {
            for cell in 0..self.cells {
                let class = usize::from(sensitive(cell));
                rows.push(SplitRow {
                    cell_id: name(cell),
                    repeat: 0,
                    fold,
                    role: if cell % 2 == fold as usize { Role::Test } else { Role::Train },
                    label: ["resistant", "sensitive"][class].to_owned(),
                    class,
                    group: String::new(),
                });
            }
        }
        SplitTable { rows }.write(&self.folder.path().join("split.csv")).expect("split");
        self.split = true;
        self
    }

    pub(crate) fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    /// Runs the kind with a short back-off; `with` goes over that.
    pub(crate) fn run(&self, endpoint: &str, with: Value) -> Result<Ran, NodeError> {
        self.run_in(endpoint, with, None)
    }

    /// As [`Study::run`], going on from what an earlier run with the same `store` saved.
    pub(crate) fn resumed(&self, endpoint: &str, with: Value, store: &Path) -> Result<Ran, NodeError> {
        self.run_in(endpoint, with, Some(store))
    }

    fn run_in(&self, endpoint: &str, with: Value, store: Option<&Path>) -> Result<Ran, NodeError> {
        let mut all: Map<String, Value> = Map::new();
        all.insert("endpoint".into(), endpoint.into());
        all.insert("model".into(), "test-model".into());
        all.insert("genes".into(), 3.into());
        all.insert("backoff".into(), 0.02.into());
        let Value::Object(with) = with else { panic!("parameters are an object") };
        all.extend(with);
        let out = tempfile::tempdir_in(self.folder.path()).expect("folder").keep();
        let (cells, split) = (self.path("cells.csv"), self.path("split.csv"));
        let mut inputs = vec![("cells", "", cells.as_path())];
        if self.split {
            inputs.push(("split", "", split.as_path()));
        }
        let (summary, outputs) = match store {
            Some(store) => run_alone_resumable(&PromptClassify, all, &inputs, (&out, "cpu"), store, None)?,
            None => run_alone(&PromptClassify, all, &inputs, &out, "cpu")?,
        };
        Ok(Ran { summary, outputs })
    }

    /// How many answers a step that failed has left.
    pub(crate) fn kept(&self, store: &Path) -> usize {
        let folders = fs_err::read_dir(store.join("partial")).expect("folder");
        folders.map(|folder| fs_err::read_dir(folder.expect("entry").path()).expect("folder").count()).sum()
    }

    /// As [`Study::run`], and it must succeed.
    pub(crate) fn ok(&self, endpoint: &str, with: Value) -> Ran {
        self.run(endpoint, with).unwrap_or_else(|e| panic!("{e} {:?}", e.help))
    }
}

impl Ran {
    pub(crate) fn text(&self, port: &str) -> String {
        fs_err::read_to_string(&self.outputs[port]).expect("output")
    }

    pub(crate) fn path(&self, port: &str) -> &Path {
        &self.outputs[port]
    }

    /// Bytes of all outputs.
    pub(crate) fn bytes(&self) -> BTreeMap<&String, Vec<u8>> {
        self.outputs.iter().map(|(port, path)| (port, fs_err::read(path).expect("output"))).collect()
    }

    pub(crate) fn fact(&self, name: &str) -> &Value {
        self.summary.facts.get(name).unwrap_or(&Value::Null)
    }

    /// (cell, prediction, answer) of each row of the predictions.
    pub(crate) fn rows(&self) -> Vec<(String, String, String)> {
        let text = self.text("predictions");
        let mut reader = csv::Reader::from_reader(text.as_bytes());
        let header = reader.headers().expect("header").clone();
        let at = |name: &str| header.iter().position(|h| h == name).unwrap_or_else(|| panic!("{name}"));
        let columns = [at("cell_id"), at("prediction"), at("answer")];
        reader
            .records()
            .map(|record| {
                let record = record.expect("row");
                let [cell, prediction, answer] = columns.map(|c| record[c].to_owned());
                (cell, prediction, answer)
            })
            .collect()
    }

    /// Every cell has the class that its first gene tells.
    pub(crate) fn check_all_right(&self) {
        for (cell, prediction, answer) in self.rows() {
            assert_eq!(answer, "read", "{cell}");
            let number: usize = cell.trim_start_matches("cell_").parse().expect("number");
            assert_eq!(prediction, ["resistant", "sensitive"][usize::from(sensitive(number))], "{cell}");
        }
        assert_eq!(self.fact("coverage"), &json!(1.0));
    }

    /// The lines of the transcript.
    pub(crate) fn transcript(&self) -> Vec<Value> {
        self.text("responses").lines().map(|line| serde_json::from_str(line).expect("JSON")).collect()
    }
}

pub(crate) fn sensitive(cell: usize) -> bool {
    cell.is_multiple_of(3)
}

pub(crate) fn name(cell: usize) -> String {
    format!("cell_{cell:03}")
}
