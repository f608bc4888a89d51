//! Sentences of small cells, cut by a tokenizer of words.

use celldag_data::tokenizer::TextTokenizer;
use celldag_data::{GeneIds, Table};

use super::*;
use crate::error::ModelError;
use crate::option::Options;
use crate::tokens::CellTokenizer;

const WORDS: &str = r#"{"version": "1.0", "truncation": null, "padding": null, "added_tokens": [], "normalizer": null,
    "pre_tokenizer": {"type": "WhitespaceSplit"}, "post_processor": null, "decoder": null,
    "model": {"type": "WordLevel", "vocab": {"?": 0, "A": 1, "B": 2, "C": 3, "A2": 4}, "unk_token": "?"}}"#;

fn genes(names: &[&str]) -> GeneIds {
    GeneIds::detect(&Table::new(names.iter().map(|&name| name.to_owned()).collect()))
}

fn tokenizer(names: &[&str], options: &serde_json::Value) -> Result<SentenceTokenizer, ModelError> {
    let folder = tempfile::tempdir().unwrap();
    fs_err::write(folder.path().join("tokenizer.json"), WORDS).unwrap();
    let text = TextTokenizer::in_folder(folder.path()).unwrap();
    let options = Options::new(options.as_object().unwrap().clone());
    let settings =
        SentenceSettings::new(&options, SentenceDefaults { max_genes: Some(3), max_length: 4, context: 8 })?;
    SentenceTokenizer::new(text, &genes(names), ("m", "1".to_owned()), settings)
}

fn cell<'a>(columns: &'a [u32], counts: &'a [f32]) -> CellCounts<'a> {
    CellCounts { name: "cell", columns, counts }
}

#[test]
fn genes_go_by_count_and_equal_ones_by_column() {
    let ranked = ranked(&cell(&[0, 2, 3, 5], &[1.0, 4.0, 0.0, 4.0])).unwrap();
    assert_eq!(ranked, [(2, 4.0), (5, 4.0), (0, 1.0)]);
    assert!(super::ranked(&cell(&[0], &[-1.0])).is_err());
}

#[test]
fn sentences_hold_the_genes_with_the_highest_counts() {
    let names = ["A", "B", "", "C"];
    let full = cell(&[0, 1, 2, 3], &[1.0, 2.0, 9.0, 3.0]);
    let all = tokenizer(&names, &serde_json::json!({})).unwrap();
    assert_eq!(all.sentence(&full).unwrap(), "C B A");
    assert_eq!(all.tokenize(&full).unwrap().ids, [3, 2, 1]);
    assert_eq!((all.coverage().genes, all.coverage().matched), (4, 3));
    let two = tokenizer(&names, &serde_json::json!({"max_genes": 2})).unwrap();
    assert_eq!(two.sentence(&full).unwrap(), "C B");
    let short = tokenizer(&names, &serde_json::json!({"max_length": 2})).unwrap();
    assert_eq!(short.tokenize(&full).unwrap().ids, [3, 2]);
    for empty in [cell(&[], &[]), cell(&[2], &[5.0]), cell(&[0], &[0.0])] {
        assert!(all.tokenize(&empty).unwrap().is_empty());
    }
}

#[test]
fn the_form_of_a_script_has_all_genes_with_their_counts() {
    let names = ["A", "B", "C"];
    let counts = tokenizer(&names, &serde_json::json!({"sentence": "counts"})).unwrap();
    let some = cell(&[0, 2], &[2.0, 3.5]);
    assert_eq!(counts.sentence(&some).unwrap(), "A2 B0 C3.5 ");
    assert_eq!(counts.tokenize(&some).unwrap().ids, [4, 0, 0]);
}

#[test]
fn what_cannot_be_written_is_explained() {
    let error = tokenizer(&["A"], &serde_json::json!({"max_length": 9})).unwrap_err().to_string();
    assert!(error.contains("max_length 9") && error.contains("8 positions"), "{error}");
    let ids = ["ENSG00000000003", "ENSG00000000005"];
    let error = tokenizer(&ids, &serde_json::json!({})).unwrap_err();
    assert!(matches!(error, ModelError::NoGenes { .. }), "{error}");
}

#[test]
fn ids_are_written_as_symbols_when_other_names_are_asked_for() {
    let hgnc = serde_json::json!({"gene_aliases": "hgnc"});
    // TP53 and KMT2A by their ids, one that nobody knows, and one whose symbol another column has.
    let ids = ["ENSG00000141510", "ENSG00000118058", "ENSG99999999999"];
    let named = tokenizer(&ids, &hgnc).unwrap();
    assert_eq!(named.sentence(&cell(&[0, 1], &[2.0, 3.0])).unwrap(), "KMT2A TP53");
    let coverage = named.coverage();
    assert_eq!((coverage.matched, coverage.by_alias, coverage.by_id, coverage.by_symbol), (3, 2, 1, 0));
    let mixed = ["TP53", "ENSG00000141510", "A"];
    let kept = tokenizer(&mixed, &hgnc).unwrap();
    assert_eq!(kept.sentence(&cell(&[0, 1], &[2.0, 3.0])).unwrap(), "ENSG00000141510 TP53");
    let error = tokenizer(&ids, &serde_json::json!({})).unwrap_err().to_string();
    assert!(error.contains("gene_aliases = hgnc, 2 of the 3"), "{error}");
}
