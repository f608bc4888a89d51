//! Small tokenizers of every layout.

use super::*;

fn folder(files: &[(&str, &str)]) -> tempfile::TempDir {
    let folder = tempfile::tempdir().unwrap();
    for (name, text) in files {
        fs_err::write(folder.path().join(name), text).unwrap();
    }
    folder
}

const BERT: &str = "[PAD]\n[UNK]\n[CLS]\n[SEP]\ncd\n##7\n##4\nhla\n-\ndra\ncafe\n";

fn names(files: &[PathBuf]) -> Vec<String> {
    files.iter().map(|f| f.file_name().unwrap().to_string_lossy().into_owned()).collect()
}

#[test]
fn words_of_bert_are_cut_into_the_longest_pieces() {
    let folder = folder(&[("vocab.txt", BERT), ("tokenizer_config.json", r#"{"do_lower_case": true}"#)]);
    assert_eq!(names(&TextTokenizer::files(folder.path()).unwrap()), ["tokenizer_config.json", "vocab.txt"]);
    let tokenizer = TextTokenizer::in_folder(folder.path()).unwrap();
    assert_eq!(tokenizer.ids("CD74 HLA-DRA").unwrap(), [2, 4, 5, 6, 7, 8, 9, 3]);
    assert_eq!(tokenizer.ids("Café \u{0} cd9").unwrap(), [2, 10, 1, 3]);
    assert_eq!(tokenizer.ids("").unwrap(), [2, 3]);
    assert_eq!(tokenizer.added(), 2);
    assert_eq!((tokenizer.id("##7"), tokenizer.token(5)), (Some(5), Some("##7".to_owned())));
    assert_eq!(tokenizer.vocabulary().len(), 11);
    let cased = TextTokenizer::word_piece(&folder.path().join("vocab.txt"), false).unwrap();
    assert_eq!(cased.ids("CD74").unwrap(), [2, 1, 3]);
}

#[test]
fn a_limit_keeps_the_tokens_around_the_text() {
    let folder = folder(&[("vocab.txt", BERT)]);
    let tokenizer = TextTokenizer::in_folder(folder.path()).unwrap();
    let limited = tokenizer.clone().with_limit(4).unwrap();
    assert_eq!(limited.limit(), Some(4));
    assert_eq!(limited.ids("CD74 HLA-DRA").unwrap(), [2, 4, 5, 3]);
    assert_eq!(limited.ids("hla").unwrap(), [2, 7, 3]);
    assert!(matches!(tokenizer.with_limit(2), Err(TokenizerError::Limit { limit: 2, added: 2 })));
}

#[test]
fn byte_pairs_are_merged_and_what_has_no_entry_is_left_out() {
    let vocabulary = r#"{"<s>": 0, "</s>": 1, "C": 2, "l": 3, "(": 4, "=": 5, "(=": 6}"#;
    let folder = folder(&[
        ("vocab.json", vocabulary),
        ("merges.txt", "#version: 0.2\n( =\n"),
        ("special_tokens_map.json", r#"{"cls_token": {"content": "<s>"}, "sep_token": "</s>"}"#),
    ]);
    let tokenizer = TextTokenizer::in_folder(folder.path()).unwrap();
    assert_eq!(tokenizer.ids("CCl(=[C]").unwrap(), [0, 2, 2, 3, 6, 2, 1]);
    assert_eq!(TextTokenizer::files(folder.path()).unwrap().len(), 3);
}

#[test]
fn settings_of_past_programs_do_not_count() {
    let json = r#"{"version": "1.0", "truncation": {"max_length": 1, "strategy": "LongestFirst", "stride": 0},
        "padding": {"strategy": {"Fixed": 8}, "direction": "Right", "pad_to_multiple_of": null, "pad_id": 0,
        "pad_type_id": 0, "pad_token": "a"}, "added_tokens": [], "normalizer": null,
        "pre_tokenizer": {"type": "WhitespaceSplit"}, "post_processor": null, "decoder": null,
        "model": {"type": "WordLevel", "vocab": {"a": 0, "b": 1}, "unk_token": "?"}}"#;
    let folder = folder(&[("tokenizer.json", json), ("vocab.txt", "not read")]);
    assert_eq!(names(&TextTokenizer::files(folder.path()).unwrap()), ["tokenizer.json"]);
    let tokenizer = TextTokenizer::in_folder(folder.path()).unwrap();
    assert_eq!(tokenizer.ids("a b a").unwrap(), [0, 1, 0]);
    let error = tokenizer.ids("a strange word").unwrap_err().to_string();
    assert!(error.contains("a strange word"), "{error}");
}

#[test]
fn what_is_wrong_is_named() {
    let empty = folder(&[]);
    let error = TextTokenizer::in_folder(empty.path()).unwrap_err().to_string();
    assert!(error.contains("tokenizer.json") && error.contains("vocab.txt"), "{error}");
    for (name, text, want) in [
        ("tokenizer.json", "{", "EOF"),
        ("tokenizer.json", r#"{"version": "1.0"}"#, "tokenizer.json"),
        ("vocab.txt", "[CLS]\n[SEP]\na\n", "[UNK]"),
        ("vocab.txt", "[CLS]\n[SEP]\na\na\n", "twice"),
    ] {
        let folder = folder(&[(name, text)]);
        let error = TextTokenizer::in_folder(folder.path()).unwrap_err().to_string();
        assert!(error.contains(want) && error.contains(name), "{error}");
    }
}
