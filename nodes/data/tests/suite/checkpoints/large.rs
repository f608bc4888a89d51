//! Files that are larger than what is read of them.

use std::io::{Seek, SeekFrom, Write};

use celldag_data::checkpoint::Stored;

use crate::checkpoints::files::open;

/// A gigabyte of 16-bit weights, nearly all of it a hole in the file.
#[test]
fn rows_are_read_without_the_rest() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("model.safetensors");
    let header = format!(
        "{:<120}",
        r#"{"embed":{"dtype":"BF16","shape":[131072,4096],"data_offsets":[0,1073741824]}}"#
    );
    let mut file = fs_err::File::create(&path).unwrap();
    file.write_all(&(header.len() as u64).to_le_bytes()).unwrap();
    file.write_all(header.as_bytes()).unwrap();
    let start = 8 + header.len() as u64;
    file.seek(SeekFrom::Start(start + 131_071 * 4096 * 2)).unwrap();
    file.write_all(&[0x80, 0x3f]).unwrap();
    file.set_len(start + (1 << 30)).unwrap();
    let weights = open(&path);
    let Stored::Bf16(last) = weights.rows_stored("embed", 131_070..131_072).unwrap() else { panic!() };
    assert_eq!((last.len(), last[0], last[4096]), (8192, 0, 0x3f80));
    assert_eq!(weights.rows("embed", 131_071..131_072).unwrap()[..2], [1.0, 0.0]);
}
