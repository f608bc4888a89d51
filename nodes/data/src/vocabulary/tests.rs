use super::{VocabularyError, read_integers, read_numbers, read_texts};

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
fn a_later_entry_wins_and_keeps_the_first_place() {
    let pickle = file(b"\x80\x04}(\x8c\x01aK\x05\x8c\x01bK\x04\x8c\x01aK\x07u.");
    let read: Vec<_> = read_integers(pickle.path()).unwrap().into_iter().collect();
    assert_eq!(read, [("a".to_owned(), 7), ("b".to_owned(), 4)]);
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
