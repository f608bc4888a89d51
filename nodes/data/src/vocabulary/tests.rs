use super::{
    VocabularyError, check_ids, read_columns, read_indexed, read_integers, read_json, read_names,
    read_numbers, read_table, read_texts,
};

fn file(content: &[u8]) -> tempfile::NamedTempFile {
    let file = tempfile::NamedTempFile::new().unwrap();
    fs_err::write(file.path(), content).unwrap();
    file
}

#[test]
fn json_and_pickle_give_the_same_dictionary_in_file_order() {
    let json = file(br#" {"ENSG2": 5, "ENSG1": 4}"#);
    let pickle = file(b"\x80\x04}(\x8c\x05ENSG2K\x05\x8c\x05ENSG1K\x04u.");
    let want = vec![("ENSG2".to_owned(), 5), ("ENSG1".to_owned(), 4)];
    for path in [json.path(), pickle.path()] {
        assert_eq!(read_integers(path).unwrap().into_iter().collect::<Vec<_>>(), want);
    }
}

#[test]
fn names_may_not_repeat() {
    let pickle = file(b"\x80\x04}(\x8c\x01aK\x05\x8c\x01bK\x04\x8c\x01aK\x07u.");
    let error = read_integers(pickle.path()).unwrap_err();
    assert!(matches!(&error, VocabularyError::Repeated { key, .. } if key == "a"), "{error}");
    let json = file(br#"{"a": 1, "b": 2, "a": 3}"#);
    let error = read_integers(json.path()).unwrap_err().to_string();
    assert!(error.contains("`a` occurs twice") && error.contains("line 1"), "{error}");
}

#[test]
fn wrong_types_are_named() {
    let pickle = file(b"\x80\x04}\x8c\x05ENSG2\x8c\x04texts.");
    let error = read_integers(pickle.path()).unwrap_err().to_string();
    assert!(error.contains("`ENSG2`") && error.contains("str") && error.contains("whole numbers"), "{error}");
    assert_eq!(read_texts(pickle.path()).unwrap()["ENSG2"], "text");
    let list = file(b"\x80\x04].");
    assert!(matches!(read_numbers(list.path()), Err(VocabularyError::NoDictionary { found: "list", .. })));
    let key = file(b"\x80\x04}K\x01K\x01s.");
    assert!(read_integers(key.path()).unwrap_err().to_string().contains("int key"));
}

#[test]
fn fractions_are_no_token_ids() {
    assert!(read_integers(file(br#"{"a": 1.5}"#).path()).is_err());
    assert!((read_numbers(file(br#"{"a": 1.5}"#).path()).unwrap()["a"] - 1.5).abs() < 1e-12);
}

#[test]
fn tables_have_named_columns() {
    let tsv = file(b"\xef\xbb\xbfgene_name\tindex\r\nA1BG\t0\r\nA1CF\t1\r\n");
    let read: Vec<_> = read_indexed(tsv.path(), "gene_name", "index").unwrap().into_iter().collect();
    assert_eq!(read, [("A1BG".to_owned(), 0), ("A1CF".to_owned(), 1)]);
    let csv = file(b"a,\"b\",c\n1,\"x,y\",3\n");
    assert_eq!(read_columns(csv.path(), &["c", "b"]).unwrap(), [["3"], ["x,y"]]);
    assert_eq!(read_table(csv.path()).unwrap().rows(), 1);
    let error = read_columns(csv.path(), &["d"]).unwrap_err().to_string();
    assert!(error.contains("`d`") && error.contains("`a`, `b`, `c`"), "{error}");
    let ragged = file(b"a,b\n1,2\n1\n");
    let error = read_table(ragged.path()).unwrap_err().to_string();
    assert!(error.contains(":3: the row has 1 fields"), "{error}");
    assert!(read_table(file(b"a,a\n1,2\n").path()).is_err());
    assert!(read_indexed(file(b"n,i\nx,1\nx,2\n").path(), "n", "i").is_err());
    let error = read_indexed(file(b"n,i\nx,one\n").path(), "n", "i").unwrap_err().to_string();
    assert!(error.contains(":2: `one`"), "{error}");
    assert!(read_table(file(b"a\n\xff\n").path()).unwrap_err().to_string().contains(":2:"));
    assert_eq!(read_table(file(b"species,path").path()).unwrap().rows(), 0);
    assert_eq!(read_table(file(b"").path()).unwrap().rows(), 0);
}

#[test]
fn packed_tables_are_unpacked() {
    use std::io::Write;
    let mut packer = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::default());
    packer.write_all(b"n\ti\nx\t4\n").unwrap();
    let packed = packer.finish().unwrap();
    assert_eq!(read_indexed(file(&packed).path(), "n", "i").unwrap()["x"], 4);
    assert!(read_table(file(&packed[..packed.len() - 6]).path()).is_err());
}

#[test]
fn lists_keep_their_order() {
    let want = ["b", "a", "b"];
    assert_eq!(read_names(file(b"b\na \r\nb\n\n").path()).unwrap(), want);
    assert_eq!(read_names(file(br#"["b", "a", "b"]"#).path()).unwrap(), want);
    assert_eq!(read_names(file(b"\x80\x04](\x8c\x01b\x8c\x01a\x8c\x01be.").path()).unwrap(), want);
    // A vocabulary may hold a bracket as a name.
    assert_eq!(read_names(file(b"[\nC\n").path()).unwrap(), ["[", "C"]);
    assert!(read_names(file(b"\x80\x04]K\x01a.").path()).unwrap_err().to_string().contains("position 0"));
    assert!(read_json::<Vec<u8>>(file(b"[1, 300]").path()).is_err());
    assert_eq!(read_json::<Vec<u8>>(file(b"[1, 30]").path()).unwrap(), [1, 30]);
}

#[test]
fn ids_must_be_rows_of_the_embedding() {
    let ids = |pairs: &[(&str, i64)]| pairs.iter().map(|&(name, id)| (name.to_owned(), id)).collect();
    let path = std::path::Path::new("vocab.json");
    check_ids(path, &ids(&[("a", 1), ("b", 0)]), 2).unwrap();
    check_ids(path, &ids(&[]), 0).unwrap();
    let error = check_ids(path, &ids(&[("a", 2)]), 2).unwrap_err().to_string();
    assert!(error.contains("`a` has the id 2, the weights have 2 rows"), "{error}");
    assert!(check_ids(path, &ids(&[("a", -1)]), 2).is_err());
    let error = check_ids(path, &ids(&[("a", 1), ("b", 1)]), 2).unwrap_err().to_string();
    assert!(error.contains("share the id 1"), "{error}");
}
