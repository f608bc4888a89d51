//! Zip archives made by hand, sound and otherwise.

use std::io::Write;
use std::path::{Path, PathBuf};

use crate::checkpoints::files::{open, own, refused};

/// A member of an archive that is being made, with what its table entry claims.
#[derive(Clone)]
pub(crate) struct Member {
    pub(crate) name: String,
    pub(crate) data: Vec<u8>,
    pub(crate) method: u16,
    pub(crate) flags: u16,
    pub(crate) crc: u32,
    /// Inflated size as claimed.
    pub(crate) size: u64,
}

impl Member {
    pub(crate) fn stored(name: &str, data: &[u8]) -> Self {
        let mut crc = flate2::Crc::new();
        crc.update(data);
        let (name, data, size) = (name.to_owned(), data.to_vec(), data.len() as u64);
        Self { name, data, method: 0, flags: 0, crc: crc.sum(), size }
    }

    pub(crate) fn deflated(name: &str, data: &[u8]) -> Self {
        let mut packer = flate2::write::DeflateEncoder::new(Vec::new(), flate2::Compression::best());
        packer.write_all(data).unwrap();
        Self { data: packer.finish().unwrap(), method: 8, ..Self::stored(name, data) }
    }
}

/// An archive. Where `wide`, the 64-bit records are used.
pub(crate) fn archive(members: &[Member], wide: bool) -> Vec<u8> {
    let (mut out, mut table) = (Vec::new(), Vec::new());
    for member in members {
        let header = u32::try_from(out.len()).unwrap();
        let (packed, size) =
            (u32::try_from(member.data.len()).unwrap(), u32::try_from(member.size).unwrap_or(u32::MAX));
        let name = member.name.as_bytes();
        let name_length = u16::try_from(name.len()).unwrap().to_le_bytes();
        let mut fields = Vec::new();
        for field in [20, member.flags, member.method, 0, 0] {
            fields.extend(field.to_le_bytes());
        }
        fields.extend(member.crc.to_le_bytes());
        let mut extra = Vec::new();
        if wide {
            extra.extend([1, 0, 24, 0]);
            for number in [member.size, packed.into(), header.into()] {
                extra.extend(number.to_le_bytes());
            }
        }
        let extra_length = u16::try_from(extra.len()).unwrap().to_le_bytes();
        out.extend(b"PK\x03\x04");
        out.extend(&fields);
        out.extend(packed.to_le_bytes());
        out.extend(size.to_le_bytes());
        out.extend(name_length);
        out.extend([0, 0]);
        out.extend(name);
        out.extend(&member.data);
        table.extend(b"PK\x01\x02\x14\0");
        table.extend(&fields);
        table.extend(if wide { u32::MAX } else { packed }.to_le_bytes());
        table.extend(if wide { u32::MAX } else { size }.to_le_bytes());
        table.extend(name_length);
        table.extend(extra_length);
        table.extend([0; 10]);
        table.extend(if wide { u32::MAX } else { header }.to_le_bytes());
        table.extend(name);
        table.extend(&extra);
    }
    let (start, count) = (out.len() as u64, members.len() as u64);
    let size = table.len() as u64;
    out.extend(&table);
    if wide {
        let ending = out.len() as u64;
        out.extend(b"PK\x06\x06");
        out.extend(44_u64.to_le_bytes());
        out.extend([0; 12]);
        for number in [count, count, size, start] {
            out.extend(number.to_le_bytes());
        }
        out.extend(b"PK\x06\x07\0\0\0\0");
        out.extend(ending.to_le_bytes());
        out.extend([1, 0, 0, 0]);
    }
    out.extend(b"PK\x05\x06\0\0\0\0");
    let count = if wide { u16::MAX } else { u16::try_from(count).unwrap() };
    out.extend(count.to_le_bytes());
    out.extend(count.to_le_bytes());
    out.extend(if wide { u32::MAX } else { u32::try_from(size).unwrap() }.to_le_bytes());
    out.extend(if wide { u32::MAX } else { u32::try_from(start).unwrap() }.to_le_bytes());
    out.extend([0, 0]);
    out
}

/// A file of these bytes in a folder.
pub(crate) fn file(folder: &Path, bytes: &[u8]) -> PathBuf {
    let path = folder.join("model.pt");
    fs_err::write(&path, bytes).unwrap();
    path
}

fn why(bytes: &[u8]) -> String {
    let folder = tempfile::tempdir().unwrap();
    refused(&file(folder.path(), bytes))
}

fn array(values: &[f32]) -> Vec<u8> {
    let header = format!("{{'descr': '<f4', 'fortran_order': False, 'shape': ({},), }}\n", values.len());
    let mut out = b"\x93NUMPY\x01\0".to_vec();
    out.extend(u16::try_from(header.len()).unwrap().to_le_bytes());
    out.extend(header.as_bytes());
    out.extend(values.iter().flat_map(|value| value.to_le_bytes()));
    out
}

#[test]
fn both_kinds_of_endings_are_read() {
    let folder = tempfile::tempdir().unwrap();
    let members =
        [Member::stored("a.npy", &array(&[1.0, 2.0])), Member::deflated("b.npy", &array(&[3.0; 1000]))];
    for wide in [false, true] {
        let weights = open(&file(folder.path(), &archive(&members, wide)));
        assert_eq!(weights.take("a", &[2]).unwrap(), [1.0, 2.0]);
        assert_eq!(weights.rows("b", 998..1000).unwrap(), [3.0, 3.0]);
        assert_eq!(weights.take("b", &[1000]).unwrap(), [3.0; 1000]);
    }
    let mut commented = archive(&members, false);
    let at = commented.len() - 2;
    commented[at] = 3;
    commented.extend(b"abc");
    assert_eq!(open(&file(folder.path(), &commented)).take("a", &[2]).unwrap(), [1.0, 2.0]);
}

#[test]
fn tables_that_contradict_the_file_are_refused() {
    let good = Member::stored("a.npy", &array(&[1.0]));
    let named =
        |name: &str| archive(&[good.clone(), Member { name: name.to_owned(), ..good.clone() }], false);
    assert!(why(&named("a.npy")).contains("two members are called `a.npy`"));
    for name in ["../b.npy", "x/../../b.npy", "/b.npy", "\\b.npy", "..\\b.npy", "b\0.npy", ""] {
        assert!(why(&named(name)).contains("leaves its folder"), "{name}");
    }
    assert!(why(&named("b.txt")).contains("`b.txt`, which is no array"));
    assert!(why(&archive(&[Member { flags: 1, ..good.clone() }], false)).contains("encrypted"));
    assert!(why(&archive(&[Member { method: 12, ..good.clone() }], false)).contains("unknown method 12"));
    assert!(why(&archive(&[Member { size: 7, ..good.clone() }], false)).contains("claims 7 bytes"));
    // Both entries of the table point to the same bytes.
    let mut twice = archive(&[good.clone(), Member { name: "b.npy".to_owned(), ..good.clone() }], false);
    let second = twice.windows(4).rposition(|w| w == b"PK\x01\x02").unwrap();
    twice[second + 42..second + 46].copy_from_slice(&[0; 4]);
    assert!(why(&twice).contains("overlaps"));
    // A header far outside.
    let mut far = archive(std::slice::from_ref(&good), false);
    let entry = far.windows(4).rposition(|w| w == b"PK\x01\x02").unwrap();
    far[entry + 42..entry + 46].copy_from_slice(&u32::MAX.to_le_bytes());
    assert!(why(&far).contains("overlaps"));
    let mut other = archive(std::slice::from_ref(&good), false);
    other[30] = b'z';
    assert!(why(&other).contains("contradicts the table"));
    let mut many = archive(&[good], false);
    let at = many.len() - 12;
    many[at] = 200;
    assert!(why(&many).contains("damaged"));
}

#[test]
fn bombs_do_not_go_off() {
    let zeros = vec![0; 1 << 20];
    let bomb = Member::deflated("a.npy", &zeros);
    assert!(bomb.data.len() < 2000);
    // Claims beyond what deflate can do, beyond any limit, and less or more than there is.
    for size in [1 << 33, 1 << 40, (1 << 20) + 1, (1 << 20) - 1, 5] {
        for wide in [false, true] {
            let folder = tempfile::tempdir().unwrap();
            let path = file(folder.path(), &archive(&[Member { size, ..bomb.clone() }], wide));
            refused(&path);
        }
    }
    let data = array(&[1.0; 30_000]);
    for (size, crc) in [(data.len() as u64, 0), (data.len() as u64 + 4, 1), (data.len() as u64 - 4, 2)] {
        let member = Member { size, crc, ..Member::deflated("a.npy", &data) };
        let folder = tempfile::tempdir().unwrap();
        let path = file(folder.path(), &archive(&[member], false));
        if let Ok(weights) = celldag_data::checkpoint::Weights::open(&[path]) {
            let error = weights.take("a", &[30_000]).unwrap_err().to_string();
            assert!(error.contains("damaged") && error.contains("model.pt"), "{error}");
        }
    }
    // The pickle of a PyTorch file has a limit of its own.
    let pickle = Member { size: 300 << 20, data: vec![0xaa; 1 << 19], ..Member::deflated("x/data.pkl", b"") };
    let error = why(&archive(&[pickle], false));
    assert!(error.contains("`x/data.pkl` has 314572800 bytes"), "{error}");
}

#[test]
fn archives_cut_anywhere_are_refused() {
    let folder = tempfile::tempdir().unwrap();
    for name in ["views.pt", "packed.npz"] {
        let whole = fs_err::read(own(name)).unwrap();
        for cut in (0..whole.len()).step_by(3) {
            refused(&file(folder.path(), &whole[..cut]));
        }
    }
}
