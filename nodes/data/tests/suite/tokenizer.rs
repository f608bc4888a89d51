//! Tokenizers of the reference data against what Hugging Face's own gave for the same texts.

use std::path::{Path, PathBuf};

use celldag_data::tokenizer::TextTokenizer;
use serde::Deserialize;

/// A text or molecule with its tokens as ids or as written in the vocabulary.
#[derive(Deserialize)]
struct Case {
    #[serde(alias = "smiles")]
    text: String,
    ids: Option<Vec<u32>>,
    #[serde(default)]
    tokens: Vec<String>,
    n: Option<usize>,
}

fn fixture(path: &str) -> Option<PathBuf> {
    let root = std::env::var_os("CELLDAG_FIXTURES")
        .map_or_else(|| Path::new(env!("CARGO_MANIFEST_DIR")).join("../../../shared"), PathBuf::from);
    let found = root.join(path);
    if found.exists() {
        return Some(found);
    }
    assert!(std::env::var("CI").as_deref() != Ok("true"), "{} is missing", found.display());
    println!("SKIP: {} is missing", found.display());
    None
}

#[test]
fn tokens_are_those_of_the_reference() {
    for (name, limit) in [("llama", None), ("chemberta_77m", Some(512)), ("chemberta_zinc", Some(512))] {
        let Some(folder) = fixture(&format!("golden/{name}")) else { continue };
        let cases = fs_err::read(folder.join("tokenizer_cases.json")).unwrap();
        let cases: Vec<Case> = serde_json::from_slice(&cases).unwrap();
        let mut tokenizer = TextTokenizer::in_folder(&folder.join("checkpoint")).unwrap();
        if let Some(limit) = limit {
            tokenizer = tokenizer.with_limit(limit).unwrap();
        }
        assert!(!cases.is_empty());
        // Some texts are shortened in the file.
        for case in cases.into_iter().filter(|case| !case.text.contains("(see ")) {
            let got = tokenizer.ids(&case.text).unwrap();
            if let Some(ids) = case.ids {
                assert_eq!(got, ids, "{name}: {}", case.text);
                continue;
            }
            // The file shows the beginning of long texts and the number of their tokens.
            let tokens: Vec<String> = got.iter().map(|&id| tokenizer.token(id).unwrap()).collect();
            assert_eq!(Some(tokens.len()), case.n, "{name}: {}", case.text);
            assert!(tokens.starts_with(&case.tokens), "{name}: {}: {tokens:?}", case.text);
        }
    }
}
