//! Files of PyTorch that lie.

use std::path::PathBuf;

use celldag_data::checkpoint::Weights;

use crate::checkpoints::archives::{Member, archive, file};
use crate::checkpoints::files::{open, own, refused};

fn tuple(numbers: &[i64]) -> String {
    let numbers: String = numbers.iter().map(|number| format!("I{number}\n")).collect();
    format!("({numbers}t")
}

/// A pickled tensor: a view of the storage `0` of `count` numbers.
fn tensor(count: i64, offset: i64, shape: &[i64], strides: &[i64]) -> String {
    format!(
        "ctorch._utils\n_rebuild_tensor_v2\n((Vstorage\nctorch\nFloatStorage\nV0\nVcpu\nI{count}\ntQI{offset}\n{}{}I00\nNtR",
        tuple(shape),
        tuple(strides)
    )
}

/// A file of PyTorch with the storage `0` of four numbers.
fn saved(pickle: &str) -> (tempfile::TempDir, PathBuf) {
    let numbers: Vec<u8> = [1.0_f32, 2.0, 3.0, 4.0].iter().flat_map(|v| v.to_le_bytes()).collect();
    let members = [Member::stored("m/data.pkl", pickle.as_bytes()), Member::stored("m/data/0", &numbers)];
    let folder = tempfile::tempdir().unwrap();
    let path = file(folder.path(), &archive(&members, false));
    (folder, path)
}

fn why(pickle: &str) -> String {
    let (_folder, path) = saved(pickle);
    refused(&path)
}

#[test]
fn views_must_stay_inside_their_storage() {
    let (_folder, path) = saved(&(tensor(4, 0, &[2, 2], &[1, 2]) + "."));
    assert_eq!(open(&path).take("tensor", &[2, 2]).unwrap(), [1.0, 3.0, 2.0, 4.0]);
    let max = i64::MAX;
    let views: [(i64, &[i64], &[i64]); 11] = [
        (1, &[2, 2], &[2, 1]),
        (4, &[1], &[1]),
        (max, &[1], &[1]),
        (0, &[5], &[1]),
        (0, &[2], &[max]),
        (0, &[max, max], &[0, 0]),
        (0, &[1 << 40], &[0]),
        (0, &[max, max, 0], &[1, 1, 1]),
        (0, &[2], &[1, 1]),
        (max, &[max], &[max]),
        (0, &[4; 65], &[0; 65]),
    ];
    for (offset, shape, strides) in views {
        let error = why(&(tensor(4, offset, shape, strides) + "."));
        assert!(error.contains("`tensor`") && error.contains("model.pt"), "{error}");
    }
    for (offset, shape, strides) in [(-1, [1], [1]), (0, [-1], [1]), (0, [1], [-1])] {
        assert!(why(&(tensor(4, offset, &shape, &strides) + ".")).contains("not a valid pickle"));
    }
    for count in [3, 5, max, -1] {
        why(&(tensor(count, 0, &[1], &[1]) + "."));
    }
    // Nothing to read: where it would begin does not matter, and nothing overflows.
    let (_folder, path) = saved(&(tensor(4, max, &[0, 3], &[max, max]) + "."));
    assert!(open(&path).take("tensor", &[0, 3]).unwrap().is_empty());
    assert!(open(&path).rows("tensor", 0..0).unwrap().is_empty());
}

#[test]
fn what_refers_to_nothing_is_refused() {
    let good = tensor(4, 0, &[4], &[1]);
    assert!(why(&(good.replace("V0\n", "V1\n") + ".")).contains("no member `m/data/1`"));
    assert!(why(&(good.replace("V0\n", "V../data.pkl\n") + ".")).contains("no member"));
    assert!(why(&(good.replace("Vstorage\n", "Vmodule\n") + ".")).contains("names no storage"));
    assert!(why(&(good.replace("FloatStorage", "Tensor") + ".")).contains("names no storage"));
    assert!(why(&(good.replace("FloatStorage", "QInt8Storage") + ".")).contains("`torch.QInt8Storage`"));
    assert!(why("NQ.").contains("names no storage"));
    assert!(why("ctorch._utils\n_rebuild_tensor_v2\n(NI0\n))tR.").contains("without a storage"));
    assert!(why("ctorch._tensor\n_rebuild_from_type_v2\n(cos\nsystem\nNNNtR.").contains("`os.system`"));
    assert!(why("ctorch\nload\n(Vx\ntR.").contains("`torch.load`"));
}

#[test]
fn repeated_names_are_refused() {
    let good = tensor(4, 0, &[4], &[1]);
    assert!(why(&format!("(dVa\n{good}sVa\n{good}s.")).contains("again in the same file"));
    assert!(why(&format!("(dVa.b\n{good}sVa\n(dVb\n{good}ss.")).contains("`a.b`"));
}

#[test]
fn circles_depth_and_sharing_end() {
    let good = tensor(4, 0, &[4], &[1]);
    assert!(why("(dp0\nVa\ng0\ns.").contains("contains itself"));
    assert!(
        why("ccopy_reg\n_reconstructor\n(cargparse\nNamespace\nc__builtin__\nobject\nNtRp0\n(dVa\ng0\nsb.")
            .contains("contains itself")
    );
    assert!(why(&format!("{}{}.", "]".repeat(200), "a".repeat(199))).contains("inside each other"));
    // Each level holds the level below twice: 2^60 ways to the same tensor.
    let mut shared = good.clone().into_bytes();
    for _ in 0..60 {
        shared.extend(b"2\x86");
    }
    shared.push(b'.');
    let folder = tempfile::tempdir().unwrap();
    let members = [Member::stored("m/data.pkl", &shared), Member::stored("m/data/0", &[0; 16])];
    let error = refused(&file(folder.path(), &archive(&members, false)));
    assert!(error.contains("shared ones repeated") || error.contains("names of tensors"), "{error}");
}

#[test]
fn archives_that_are_something_else() {
    let folder = tempfile::tempdir().unwrap();
    let why = |members: &[Member]| refused(&file(folder.path(), &archive(members, false)));
    let pickle = Member::stored("m/data.pkl", b"N.");
    assert!(why(&[pickle.clone(), Member::stored("m/constants.pkl", b"N.")]).contains("TorchScript"));
    assert!(why(&[pickle.clone(), Member::stored("m/byteorder", b"big")]).contains("big-endian"));
    assert!(
        why(&[pickle.clone(), Member::stored("n/data.pkl", b"N.")]).contains("more than one saved object")
    );
    assert!(
        Weights::open(&[file(folder.path(), &archive(&[pickle], false))]).unwrap().names().next().is_none()
    );
    assert!(why(&[Member::stored("model.onnx", b"")]).contains("no array of numpy"));
}

#[test]
fn files_of_no_known_format_say_what_they_are() {
    let folder = tempfile::tempdir().unwrap();
    let why = |bytes: &[u8]| refused(&file(folder.path(), bytes));
    assert!(why(b"").contains("empty"));
    assert!(why(b"version https://git-lfs.github.com/spec/v1\noid sha256:00\n").contains("git lfs pull"));
    assert!(why(b"<!DOCTYPE html><html>").contains("web page"));
    assert!(why(b"\x80\x04}.").contains("plain data without tensors"));
    assert!(why(b"hello").contains("begins with `hello`"));
    let mut tar = vec![0; 512];
    tar[257..262].copy_from_slice(b"ustar");
    assert!(why(&tar).contains("tar archive"));
}

#[test]
fn old_files_cut_or_changed_are_refused() {
    let folder = tempfile::tempdir().unwrap();
    let whole = fs_err::read(own("types_legacy.pt")).unwrap();
    for cut in (0..whole.len()).step_by(3) {
        refused(&file(folder.path(), &whole[..cut]));
    }
    let replaced = |from: &[u8], to: &[u8]| {
        let at = whole.windows(from.len()).position(|w| w == from);
        let at = at.unwrap_or_else(|| panic!("{}", from.escape_ascii()));
        let mut bytes = whole.clone();
        bytes.splice(at..at + from.len(), to.iter().copied());
        refused(&file(folder.path(), &bytes))
    };
    assert!(replaced(b"M\xe9\x03.", b"M\xe8\x03.").contains("version"));
    assert!(replaced(b"little_endianq\x02\x88", b"little_endianq\x02\x89").contains("big-endian"));
    assert!(replaced(b"_rebuild_tensor_v2", b"_rebuild_qtensor").contains("`torch._utils._rebuild_qtensor`"));
    assert!(replaced(b"FloatStorage", b"LongStorage").contains("model.pt"));
}

#[test]
fn safetensors_that_lie_are_refused() {
    let folder = tempfile::tempdir().unwrap();
    let why = |header: &str, data: usize| {
        let mut bytes = (header.len() as u64).to_le_bytes().to_vec();
        bytes.extend(header.as_bytes());
        bytes.resize(bytes.len() + data, 0);
        refused(&file(folder.path(), &bytes))
    };
    let one = |shape: &str, range: &str| {
        format!(r#"{{"a":{{"dtype":"F32","shape":{shape},"data_offsets":{range}}}}}"#)
    };
    for (shape, range) in [
        ("[2]", "[0,4]"),
        ("[1]", "[0,8]"),
        ("[1]", "[4,8]"),
        ("[1]", "[8,4]"),
        ("[18446744073709551615,18446744073709551615]", "[0,4]"),
        ("[-1]", "[0,4]"),
        ("[1]", "[0,18446744073709551615]"),
    ] {
        why(&one(shape, range), 4);
    }
    let overlap = r#"{"a":{"dtype":"F32","shape":[1],"data_offsets":[0,4]},"b":{"dtype":"F32","shape":[1],"data_offsets":[0,4]}}"#;
    why(overlap, 4);
    let twice = r#"{"a":{"dtype":"F32","shape":[1],"data_offsets":[0,4]},"a":{"dtype":"F32","shape":[1],"data_offsets":[4,8]}}"#;
    why(twice, 8);
    why(r#"{"a":{"dtype":"F99","shape":[1],"data_offsets":[0,4]}}"#, 4);
}
