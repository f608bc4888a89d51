//! Dictionaries as Python pickles them, for the published tools, which read nothing else. Written here because a dictionary
//! of texts and numbers needs eight instructions of the format.

/// A number that a pickled dictionary holds.
pub(super) trait Number: Copy {
    fn put(self, out: &mut Vec<u8>);
}

impl Number for i32 {
    fn put(self, out: &mut Vec<u8>) {
        // BININT
        out.push(b'J');
        out.extend(self.to_le_bytes());
    }
}

impl Number for f64 {
    fn put(self, out: &mut Vec<u8>) {
        // BINFLOAT
        out.push(b'G');
        out.extend(self.to_be_bytes());
    }
}

/// A dictionary of numbers in its order, in protocol 2.
pub(super) fn numbers<N: Number>(entries: impl Iterator<Item = (impl AsRef<str>, N)>) -> Vec<u8> {
    dictionary(entries, N::put)
}

/// A dictionary of texts in its order, in protocol 2.
pub(super) fn texts(entries: impl Iterator<Item = (impl AsRef<str>, impl AsRef<str>)>) -> Vec<u8> {
    dictionary(entries, |value, out| text(value.as_ref(), out))
}

fn dictionary<V>(
    entries: impl Iterator<Item = (impl AsRef<str>, V)>,
    put: impl Fn(V, &mut Vec<u8>),
) -> Vec<u8> {
    // PROTO 2, EMPTY_DICT, MARK, then SETITEMS, STOP
    let mut out = b"\x80\x02}(".to_vec();
    for (key, value) in entries {
        text(key.as_ref(), &mut out);
        put(value, &mut out);
    }
    out.extend(b"u.");
    out
}

fn text(text: &str, out: &mut Vec<u8>) {
    // BINUNICODE. Names of genes are short; a length that does not fit would make a file that nothing reads.
    out.push(b'X');
    out.extend((text.len() as u32).to_le_bytes());
    out.extend(text.as_bytes());
}

#[cfg(test)]
mod tests {
    use celldag_data::vocabulary::{read_integers, read_numbers, read_texts};

    use super::*;

    #[test]
    fn the_reader_of_published_dictionaries_reads_them() {
        let folder = tempfile::tempdir().unwrap();
        let put = |name: &str, bytes: Vec<u8>| {
            let file = folder.path().join(name);
            fs_err::write(&file, bytes).unwrap();
            file
        };
        let file = put("tokens", numbers([("<pad>", 0), ("ENSG1", 70_000)].into_iter()));
        let read: Vec<(String, i64)> = read_integers(&file).unwrap().into_iter().collect();
        assert_eq!(read, [("<pad>".to_owned(), 0), ("ENSG1".to_owned(), 70_000)]);
        let file = put("medians", numbers([("ENSG1", 0.1_f64), ("ENSGé", 1e300)].into_iter()));
        let read: Vec<(String, f64)> = read_numbers(&file).unwrap().into_iter().collect();
        assert_eq!(read, [("ENSG1".to_owned(), 0.1), ("ENSGé".to_owned(), 1e300)]);
        let file = put("names", texts([("CD74", "ENSG1")].into_iter()));
        assert_eq!(read_texts(&file).unwrap()["CD74"], "ENSG1");
        let file = put("empty", numbers(std::iter::empty::<(&str, i32)>()));
        assert!(read_integers(&file).unwrap().is_empty());
    }
}
