//! What mutations begin with: our small files in every format, their parts, and a little of each text format.

use std::path::Path;

use super::targets;

fn files(folder: &Path, out: &mut Vec<(String, Vec<u8>)>) {
    let mut entries: Vec<_> = fs_err::read_dir(folder).unwrap().map(|entry| entry.unwrap().path()).collect();
    entries.sort();
    for path in entries {
        if path.is_dir() {
            files(&path, out);
        } else {
            out.push((
                path.file_name().unwrap().to_string_lossy().into_owned(),
                fs_err::read(&path).unwrap(),
            ));
        }
    }
}

/// Seeds for a target.
pub(crate) fn of(target: &str) -> Vec<Vec<u8>> {
    let mut all = Vec::new();
    files(&Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/files/checkpoints"), &mut all);
    let pickles = || all.iter().filter(|(name, _)| name.ends_with(".pkl")).map(|(_, bytes)| bytes.clone());
    let texts: [&[u8]; 6] = [
        b"gene_name\tindex\nA1BG\t0\nA1CF\t1\n",
        b"a,\"b,c\",d\n1,\"2\n3\",4\n",
        br#"{"ENSG00000000003": 1, "<pad>": 0, "x": 2.5}"#,
        br#"["a", "b", ["c", null]]"#,
        b"\xef\xbb\xbf[\nC\n(\n",
        b"\x80\x04}(\x8c\x05ENSG2K\x05\x8c\x05ENSG1K\x04u.",
    ];
    let texts = texts.map(<[u8]>::to_vec);
    let index = br#"{"metadata": {"total_size": 4}, "weight_map": {"a": "one.safetensors"}}"#.to_vec();
    match target {
        "pickle" => pickles().chain([texts[5].clone()]).collect(),
        "weights" => {
            let known = ["pt", "npy", "npz", "safetensors"];
            let weights =
                all.into_iter().filter(|(name, _)| known.iter().any(|ending| name.ends_with(ending)));
            weights
                .map(|(_, bytes)| bytes)
                .chain([targets::zip(&[("m/data.pkl".to_owned(), b"}.")])])
                .collect()
        }
        // What stands in a PyTorch archive as it is.
        "torch_pickle" => {
            let saved = all.iter().filter(|(name, _)| name.ends_with(".pt"));
            let mut out: Vec<Vec<u8>> = saved.filter_map(|(_, bytes)| saved_pickle(bytes)).collect();
            out.extend(pickles());
            out
        }
        "index" => vec![index],
        "vocabulary" => texts.into_iter().chain(pickles()).collect(),
        _ => {
            let mut out: Vec<Vec<u8>> = texts.into_iter().chain([index]).collect();
            out.extend(all.into_iter().map(|(_, bytes)| bytes));
            (0..).zip(out).map(|(kind, bytes): (usize, _)| [vec![(kind % 8) as u8], bytes].concat()).collect()
        }
    }
}

/// The `data.pkl` of a PyTorch archive: its first member.
fn saved_pickle(bytes: &[u8]) -> Option<Vec<u8>> {
    let field = |at: usize| Some(usize::from(u16::from_le_bytes(bytes.get(at..at + 2)?.try_into().ok()?)));
    if !bytes.starts_with(b"PK\x03\x04") {
        return None;
    }
    let start = 30 + field(26)? + field(28)?;
    // PyTorch writes the lengths behind the member; another signature follows it.
    let length = bytes[start..].windows(4).position(|w| w == b"PK\x07\x08" || w == b"PK\x03\x04")?;
    Some(bytes[start..start + length].to_vec())
}
