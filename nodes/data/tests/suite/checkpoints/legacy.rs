//! Streams of the oldest versions of PyTorch, which no version of today writes any more.

use crate::checkpoints::archives::file;
use crate::checkpoints::files::{open, refused};

const HEAD: &[u8] = b"\x80\x02\x8a\x0a\x6c\xfc\x9c\x46\xf9\x20\x6a\xa8\x50\x19.\x80\x02M\xe9\x03.\x80\x02}Vlittle_endian\n\x88s.";

/// A stream with one saved object and one storage of six numbers, `0.0` to `5.0`.
fn stream(object: &str, keys: &str) -> Vec<u8> {
    let mut out = HEAD.to_vec();
    out.extend(object.as_bytes());
    out.extend(keys.as_bytes());
    out.extend(6_u64.to_le_bytes());
    out.extend([0.0_f32, 1.0, 2.0, 3.0, 4.0, 5.0].iter().flat_map(|value| value.to_le_bytes()));
    out
}

/// A tensor as PyTorch 0.3 wrote it, a view of a part of the storage `a`.
fn tensor(part: &str) -> String {
    format!(
        "ctorch._utils\n_rebuild_tensor\n((Vstorage\nctorch\nFloatStorage\nVa\nVcpu\nI6\n{part}tQI1\n(I2\nt(I1\nttR"
    )
}

#[test]
fn storages_may_be_parts_of_others() {
    let folder = tempfile::tempdir().unwrap();
    let part = tensor("(Vb\nI2\nI3\nt");
    let whole = tensor("N");
    let object = format!("(dVpart\n{part}sVwhole\n{whole}s.");
    let weights = open(&file(folder.path(), &stream(&object, "(lVa\na.")));
    assert_eq!(weights.take("part", &[2]).unwrap(), [3.0, 4.0]);
    assert_eq!(weights.take("whole", &[2]).unwrap(), [1.0, 2.0]);
    for wrong in [
        "(Vb\nI4\nI3\nt",
        "(Vb\nI2\nI2\nt",
        "(Vb\nI-1\nI3\nt",
        "(Vb\nI9223372036854775807\nI3\nt",
        "(Vb\nt",
        "I1\n",
    ] {
        let error = refused(&file(folder.path(), &stream(&(tensor(wrong) + "."), "(lVa\na.")));
        assert!(error.contains("model.pt"), "{error}");
    }
}

#[test]
fn keys_and_storages_must_match() {
    let folder = tempfile::tempdir().unwrap();
    let object = tensor("N") + ".";
    let why = |keys: &str| refused(&file(folder.path(), &stream(&object, keys)));
    assert!(why("(lVa\naVa\na.").contains("cut off"));
    assert!(why("(lVz\na.").contains("no tensor uses"));
    assert!(why("(l.").contains("not in the file"));
    assert!(why("N.").contains("no list of storages"));
    assert!(why("(lI1\na.").contains("no name"));
}

#[test]
fn text_of_python_2_is_text_or_bytes() {
    use celldag_data::checkpoint::pickle::Pickle;
    let read = |bytes: &[u8]| Pickle::read(bytes).map(|pickle| pickle.root().as_str().map(str::to_owned));
    assert_eq!(read(b"S'a\\'b\\n\\x41'\n.").unwrap().as_deref(), Some("a'b\nA"));
    assert_eq!(read(b"U\x02\xc3\xa9.").unwrap().as_deref(), Some("é"));
    let bytes = Pickle::read(b"S\"\\xff\\x00\"\n.").unwrap();
    assert_eq!(bytes.root().as_bytes(), Some([0xff, 0].as_slice()));
    for wrong in [b"S'a\n.".as_slice(), b"Sa'\n.", b"S\n.", b"S'\\q'\n.", b"S'\\x4'\n.", b"S'a\\'\n."] {
        assert!(read(wrong).is_err(), "{}", wrong.escape_ascii());
    }
    // numpy.float32(1.0) of Python 2 at protocol 0: the data is text.
    let scalar = b"cnumpy.core.multiarray\nscalar\n(cnumpy\ndtype\n(S'f4'\nI0\nI1\ntR(I3\nS'<'\nNNNI-1\nI-1\nI0\ntbS'\\x00\\x00\\x80?'\ntR.";
    assert_eq!(Pickle::read(scalar).unwrap().root().as_f64(), Some(1.0));
}
