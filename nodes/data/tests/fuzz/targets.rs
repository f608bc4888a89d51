//! What is done with bytes that may be anything: every reader of checkpoints and vocabularies, and everything that it hands
//! out. A target may fail to read, but must neither panic, nor hang, nor need memory out of proportion.
//!
//! Also compiled by `nodes/data/fuzz`, which runs the same targets guided by coverage.

use std::path::{Path, PathBuf};

use celldag_data::checkpoint::pickle::{Pickle, Value};
use celldag_data::checkpoint::{Weights, inspect, weight_files};
use celldag_data::vocabulary;

/// A reader and what it is fed.
pub type Target = fn(&[u8]);

/// All targets by name.
pub const TARGETS: [(&str, Target); 6] = [
    ("pickle", pickle),
    ("weights", weights),
    ("torch_pickle", torch_pickle),
    ("index", index),
    ("vocabulary", dictionary),
    ("inspect", look),
];

/// Elements that a target reads of one tensor.
const MAX_READ: usize = 1 << 16;
/// Tensors that a target reads.
const MAX_TENSORS: usize = 64;

/// Pickles of plain data.
pub fn pickle(data: &[u8]) {
    if let Ok(pickle) = Pickle::read(data) {
        let _ = pickle.root().to_json();
        let mut left = 10_000;
        walk(pickle.root(), &mut left);
    }
}

fn walk(value: Value<'_>, left: &mut usize) {
    if *left == 0 {
        return;
    }
    *left -= 1;
    assert!(!value.type_name().is_empty());
    if let Some(array) = value.as_array() {
        assert_eq!(array.values.len(), array.shape.iter().product::<usize>());
    }
    for (key, below) in value.entries().into_iter().flatten() {
        walk(key, left);
        walk(below, left);
    }
    for below in value.items().into_iter().flatten() {
        walk(below, left);
    }
}

/// Weight files of any format, which their content decides.
pub fn weights(data: &[u8]) {
    let Ok(weights) = Weights::from_bytes(Path::new("model.pt"), data.to_vec()) else { return };
    let _ = weights.data(&[]);
    let _ = weights.data(&["config"]);
    let names: Vec<String> = weights.names().take(MAX_TENSORS).map(str::to_owned).collect();
    for name in &names {
        read(&weights, name);
    }
    let _ = weights.load(&["a.*"], |weights| weights.take("not there", &[2, 2]).map(drop));
    if let Some(part) = weights.parts().first().map(|part| format!("{part}.")) {
        let _ = weights.below(&part);
    }
}

fn read(weights: &Weights, name: &str) {
    let shape = weights.shape(name).expect("it is listed").to_vec();
    let dtype = weights.dtype(name).expect("it is listed");
    let count = shape.iter().try_fold(1_usize, |n, &extent| n.checked_mul(extent));
    let row = shape.iter().skip(1).try_fold(1_usize, |n, &extent| n.checked_mul(extent));
    let rows = shape.first().copied().unwrap_or(1);
    if let Some(count @ ..=MAX_READ) = count {
        if dtype.is_float() {
            if let Ok(values) = weights.take(name, &shape) {
                assert_eq!(values.len(), count);
                let stored = weights.take_stored(name, &shape).expect("it was read before");
                assert_eq!((stored.len(), stored.dtype()), (count, dtype));
                let bits = |values: &[f32]| values.iter().map(|value| value.to_bits()).collect::<Vec<_>>();
                assert_eq!(bits(&stored.widen()), bits(&values));
                let part = weights.rows(name, rows / 2..rows).expect("it was read before");
                assert_eq!(bits(&part), bits(&values[rows / 2 * row.unwrap_or(0)..]));
            }
        } else if let Ok(values) = weights.take_integers(name, &shape) {
            assert_eq!(values.len(), count);
        }
    }
    if row.is_some_and(|row| row <= MAX_READ) && rows > 0 {
        let _ = weights.rows_stored(name, rows - 1..rows);
    }
    assert!(weights.rows(name, 0..rows.saturating_add(1)).is_err());
}

/// The pickle of a PyTorch file whose archive is sound and holds the storages `0` to `3`.
pub fn torch_pickle(data: &[u8]) {
    let storage = [0x3f_u8; 240];
    let mut members: Vec<(String, &[u8])> = vec![("m/data.pkl".to_owned(), data)];
    for key in 0..4 {
        members.push((format!("m/data/{key}"), &storage[..240 >> key]));
    }
    weights(&zip(&members));
}

/// An archive of members that are not packed.
pub fn zip(members: &[(String, &[u8])]) -> Vec<u8> {
    let (mut out, mut table) = (Vec::new(), Vec::new());
    for (name, data) in members {
        let length = u32::try_from(data.len()).expect("inputs are small");
        let mut common = vec![20, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0];
        common.extend(length.to_le_bytes());
        common.extend(length.to_le_bytes());
        common.extend(u16::try_from(name.len()).expect("names are short").to_le_bytes());
        common.extend([0, 0]);
        table.extend(b"PK\x01\x02\x14\0");
        table.extend(&common);
        table.extend([0; 10]);
        table.extend(u32::try_from(out.len()).expect("inputs are small").to_le_bytes());
        table.extend(name.as_bytes());
        out.extend(b"PK\x03\x04");
        out.extend(&common);
        out.extend(name.as_bytes());
        out.extend(*data);
    }
    let start = u32::try_from(out.len()).expect("inputs are small");
    let size = u32::try_from(table.len()).expect("inputs are small");
    let count = u16::try_from(members.len()).expect("members are few");
    out.extend(&table);
    out.extend(b"PK\x05\x06\0\0\0\0");
    out.extend(count.to_le_bytes());
    out.extend(count.to_le_bytes());
    out.extend(size.to_le_bytes());
    out.extend(start.to_le_bytes());
    out.extend([0, 0]);
    out
}

/// A file of a folder that this process keeps for the purpose.
fn file(name: &str, data: &[u8]) -> PathBuf {
    thread_local! {
        static FOLDER: tempfile::TempDir = {
            let memory = Path::new("/dev/shm");
            let folder = if memory.is_dir() { tempfile::tempdir_in(memory) } else { tempfile::tempdir() };
            folder.expect("a folder for temporary files")
        };
    }
    let path = FOLDER.with(|folder| folder.path().join(name));
    fs_err::write(&path, data).expect("a temporary file");
    path
}

/// The index of a checkpoint in several files.
pub fn index(data: &[u8]) {
    let mut shard = 64_u64.to_le_bytes().to_vec();
    shard.extend(format!("{:<64}", r#"{"a":{"dtype":"BF16","shape":[2],"data_offsets":[0,4]}}"#).as_bytes());
    shard.extend([0x80, 0x3f, 0, 0x40]);
    file("one.safetensors", &shard);
    let path = file("model.safetensors.index.json", data);
    let _ = weight_files(&path);
    if let Ok(weights) = Weights::open(&[path]) {
        assert!(weights.names().count() <= 1);
    }
}

/// Dictionaries, tables and lists.
pub fn dictionary(data: &[u8]) {
    let path = file("vocabulary", data);
    if let Ok(ids) = vocabulary::read_integers(&path) {
        let _ = vocabulary::check_ids(&path, &ids, ids.len());
    }
    let _ = vocabulary::read_numbers(&path);
    let _ = vocabulary::read_texts(&path);
    let _ = vocabulary::read_names(&path);
    if let Ok(table) = vocabulary::read_table(&path) {
        assert!(table.columns.values().all(|column| column.len() == table.rows()));
    }
    let _ = vocabulary::read_indexed(&path, "gene_name", "index");
    let _ = vocabulary::read_json::<serde_json::Value>(&path);
}

/// What `models inspect` does with a file, which its ending decides.
pub fn look(data: &[u8]) {
    let Some((&kind, data)) = data.split_first() else { return };
    let endings = ["pt", "safetensors", "npz", "json", "pkl", "csv", "txt", "index.json"];
    let ending = endings[usize::from(kind) % endings.len()];
    let path = file(&format!("file.{ending}"), data);
    let found = inspect(&path).expect("the file is there");
    assert_eq!(found.len(), 1);
    serde_json::to_string(&found).expect("reports can be written");
}
