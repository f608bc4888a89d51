//! SMILES to tokens, to the bit, and what is told of text that a model does not see.

use std::path::PathBuf;

use crate::common::drugs::{Drugs, folder_with};
use crate::common::options;
use celldag_models::drug::{Remark, drug_model};
use serde_json::{Value, json};

#[test]
fn tokens_are_those_of_the_reference() {
    let Some(all) = Drugs::all() else { return };
    for drugs in all {
        let tokenizer = drugs.tokenizer(json!({}));
        for (smiles, want) in drugs.smiles.iter().zip(drugs.ids()) {
            assert_eq!(tokenizer.tokenize(smiles).tokens, want, "{}: {smiles}", drugs.folder.display());
        }
    }
}

#[test]
fn what_a_model_does_not_see_is_said() {
    let Some([atoms, _, molformer]) = Drugs::all() else { return };
    let texts = |pieces: &[&str]| pieces.iter().map(|&piece| piece.to_owned()).collect::<Vec<_>>();
    let remarks = |drugs: &Drugs, smiles: &str| drugs.tokenizer(json!({})).tokenize(smiles).remarks;
    assert!(remarks(&atoms, "CC(=O)Oc1ccccc1C(=O)O").is_empty());
    assert_eq!(remarks(&atoms, "CC(Cl)[nH]Cl"), [Remark::Dropped(texts(&["l", "[", "H", "]"]))]);
    let long = atoms.tokenizer(json!({})).tokenize(&"C".repeat(600));
    assert_eq!(long.remarks, [Remark::Cut { tokens: 602, kept: 512 }]);
    assert_eq!(long.tokens.len(), 512);
    for drugs in [&atoms, &molformer] {
        let nothing = drugs.tokenizer(json!({})).tokenize("");
        assert!(nothing.tokens.is_empty() && nothing.remarks == [Remark::Nothing]);
    }
    assert_eq!(remarks(&molformer, "CCXc1 !"), [Remark::Dropped(texts(&["X", " ", "!"]))]);
    assert_eq!(remarks(&molformer, "C[Xe][Xe]P"), [Remark::Unknown(texts(&["[Xe]", "P"]))]);
    let long = molformer.tokenizer(json!({})).tokenize(&"C".repeat(600));
    assert_eq!(long.remarks, [Remark::Cut { tokens: 602, kept: 202 }]);
    assert_eq!((long.tokens.len(), long.tokens.ids[201]), (202, 1));
    let padded = molformer.tokenizer(json!({"unknown": "pad"})).tokenize("C[Xe]");
    assert_eq!(padded.tokens.ids, [0, 4, 2, 1]);
}

#[test]
fn atoms_can_be_read_as_atoms() {
    let Some(drugs) = Drugs::open("chemberta_77m", "chemberta") else { return };
    let tokenizer = drugs.tokenizer(json!({"tokenizer": "regex"}));
    let vocabulary: Value =
        serde_json::from_slice(&fs_err::read(drugs.checkpoint().join("vocab.json")).unwrap()).unwrap();
    let ids = |pieces: &[&str]| -> Vec<u32> {
        pieces.iter().map(|&piece| u32::try_from(vocabulary[piece].as_u64().unwrap()).unwrap()).collect()
    };
    let read = tokenizer.tokenize("Cl[C@H](Br)C%10[Xe]");
    let want = ["[CLS]", "Cl", "[C@H]", "(", "Br", ")", "C", "%10", "[UNK]", "[SEP]"];
    assert_eq!(read.tokens.ids, ids(&want));
    assert_eq!(read.remarks, [Remark::Unknown(vec!["[Xe]".to_owned()])]);
    assert_ne!(tokenizer.info().options, drugs.tokenizer(json!({})).info().options);
}

#[test]
fn a_tokenizer_in_one_file_gives_the_same_tokens() {
    let Some([atoms, zinc, molformer]) = Drugs::all() else { return };
    let json = |file: PathBuf| -> Value { serde_json::from_slice(&fs_err::read(file).unwrap()).unwrap() };
    for drugs in [&atoms, &zinc] {
        let folder = folder_with(&drugs.checkpoint(), &["config.json", "pytorch_model.bin"]);
        let vocabulary = json(drugs.checkpoint().join("vocab.json"));
        let names = json(drugs.checkpoint().join("special_tokens_map.json"));
        let merges = fs_err::read_to_string(drugs.checkpoint().join("merges.txt")).unwrap();
        let merges: Vec<&str> = merges.lines().skip(1).filter(|line| !line.is_empty()).collect();
        let special = |part: &str| json!([names[part], vocabulary[names[part].as_str().unwrap()]]);
        let (cls, sep) = (special("cls_token"), special("sep_token"));
        let byte_level = json!({"type": "ByteLevel", "add_prefix_space": false, "trim_offsets": true});
        let whole = json!({
            "version": "1.0",
            "truncation": {"max_length": 16, "strategy": "LongestFirst", "stride": 0, "direction": "Right"},
            "pre_tokenizer": byte_level,
            "post_processor":
                {"type": "RobertaProcessing", "cls": cls, "sep": sep, "trim_offsets": true, "add_prefix_space": false},
            "model": {"type": "BPE", "vocab": vocabulary, "merges": merges},
        });
        fs_err::write(folder.path().join("tokenizer.json"), whole.to_string()).unwrap();
        let model = drug_model("chemberta").unwrap();
        let tokenizer = model.tokenizer(folder.path(), &options(json!({}))).unwrap();
        for (smiles, want) in drugs.smiles.iter().zip(drugs.ids()) {
            assert_eq!(tokenizer.tokenize(smiles).tokens, want, "{smiles}");
        }
        let files = model.files(folder.path()).unwrap();
        assert!(files.iter().any(|file| file.ends_with("tokenizer.json")) && files.len() == 3, "{files:?}");
    }
    let folder =
        folder_with(&molformer.checkpoint(), &["config.json", "model.safetensors", "tokenizer.json"]);
    let tokenizer = drug_model("molformer").unwrap().tokenizer(folder.path(), &options(json!({}))).unwrap();
    for (smiles, want) in molformer.smiles.iter().zip(molformer.ids()) {
        assert_eq!(tokenizer.tokenize(smiles).tokens, want, "{smiles}");
    }
}
