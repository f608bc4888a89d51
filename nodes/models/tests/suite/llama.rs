//! Llama against transformers: tokens exact, states within 1e-4 and embeddings within 2e-5 on every backend; checkpoints as
//! people have them.

use std::collections::BTreeMap;
use std::path::Path;

use crate::common::saved::{Tensors, copy, save, tensors};
use crate::common::{Golden, assert_close, devices, embed, options};
use celldag_data::{GeneIds, Table};
use celldag_models::llama::{Checkpoint, Encoder};
use celldag_models::sentence::SentenceTokenizer;
use celldag_models::{
    Adapters, CellCounts, CellTokenizer, CellTokens, Lora, ModelError, Options, Purpose, Slot, cell_model,
};
use celldag_shaders::Device;
use serde_json::{Value, json};

/// A new name for a tensor, or none if it is left out.
type Rename = dyn Fn(&str) -> Option<String>;

const STATES: f32 = 1e-4;
const MEANS: f32 = 2e-5;
const SMALL_FILES: [&str; 2] = ["config.json", "tokenizer.json"];

fn tokenizer(golden: &Golden, chosen: Value) -> SentenceTokenizer {
    Checkpoint::find(&golden.checkpoint()).unwrap().tokenizer(&golden.genes, &options(chosen)).unwrap()
}

/// The tokens of the fixture, whose sentences have 128 genes.
fn tokens(golden: &Golden) -> Vec<CellTokens> {
    golden.tokenized(&tokenizer(golden, json!({"max_genes": 128})))
}

fn load(folder: &Path, device: &Device, chosen: Value) -> Result<Encoder, ModelError> {
    Encoder::load(&Checkpoint::find(folder)?, device, &options(chosen), &Adapters::default())
}

/// An array of ids, whose rows end with -1.
fn ids(golden: &Golden, array: &str, rows: usize) -> Vec<Vec<u32>> {
    let all = golden.i64s(array);
    let row = |row: &[i64]| row.iter().filter_map(|&id| u32::try_from(id).ok()).collect();
    all.chunks_exact(all.len() / rows).map(row).collect()
}

#[test]
fn sentences_and_tokens_are_those_of_the_reference() {
    let Some(golden) = Golden::open("llama") else { return };
    let short = tokenizer(&golden, json!({"max_genes": 128}));
    let sentences = fs_err::read_to_string(golden.folder.join("sentences_first3.txt")).unwrap();
    for (cell, sentence) in sentences.lines().enumerate() {
        let (columns, counts) = golden.counts.row(cell);
        assert_eq!(short.sentence(&CellCounts { name: "", columns, counts }).unwrap(), sentence);
    }
    let got: Vec<Vec<u32>> = golden.tokenized(&short).into_iter().map(|cell| cell.ids).collect();
    assert!(got == ids(&golden, "token_ids", golden.counts.rows()), "tokens differ");
    assert_eq!(short.info().vocabulary_size, 904);
    assert_eq!(
        short.info().options,
        *json!({"gene_aliases": "none", "max_genes": 128, "max_length": 4096, "sentence": "ranked"})
            .as_object()
            .unwrap()
    );
    let usual = golden.tokenized(&tokenizer(&golden, json!({})));
    assert!(usual.last().unwrap().ids == ids(&golden, "top1024_token_ids_lastcell", 1)[0], "1024 genes");
    let script = golden.tokenized(&tokenizer(&golden, json!({"sentence": "counts", "max_length": 512})));
    assert!(script[0].ids == ids(&golden, "released_script_token_ids_cell0_first512", 1)[0], "the script");
}

#[test]
fn states_agree_on_every_backend() {
    let Some(golden) = Golden::open("llama") else { return };
    let tokens = tokens(&golden);
    for device in devices() {
        let encoder = load(&golden.checkpoint(), &device, json!({})).unwrap();
        let what = |array: &str| format!("{array} on {}", device.info().backend);
        let layers = golden.f32s("hidden_layers_cell0");
        for (layer, want) in (-4..0).zip(layers.chunks_exact(layers.len() / 4)) {
            let got = encoder.hidden(&tokens[0], layer).unwrap();
            assert_close(&got, want, STATES, &what(&format!("hidden_layers_cell0, layer {layer},")));
        }
        for cell in [0, 1] {
            let array = format!("hidden_final_cell{cell}");
            assert_close(
                &encoder.hidden(&tokens[cell], -1).unwrap(),
                &golden.f32s(&array),
                STATES,
                &what(&array),
            );
        }
    }
}

#[test]
fn embeddings_agree_on_every_backend_and_do_not_depend_on_the_batch() {
    let Some(golden) = Golden::open("llama") else { return };
    let tokens = tokens(&golden);
    for device in devices() {
        for (pooling, array, tolerance) in [("mean", "emb_mean", MEANS), ("last", "emb_last_token", STATES)] {
            let encoder = load(&golden.checkpoint(), &device, json!({"pooling": pooling})).unwrap();
            let whole = embed(&encoder, &tokens);
            let what = format!("{array} on {}", device.info().backend);
            assert_close(&whole, &golden.f32s(array), tolerance, &what);
            for size in [1, 3].into_iter().filter(|_| pooling == "mean") {
                let parts: Vec<f32> = tokens[..6].chunks(size).flat_map(|b| embed(&encoder, b)).collect();
                assert!(parts == whole[..parts.len()], "{what}: batches of {size} give other bits");
            }
        }
    }
}

#[test]
fn long_sentences_and_the_form_of_the_script_agree() {
    let Some(golden) = Golden::open("llama") else { return };
    let encoder = load(&golden.checkpoint(), &Device::cpu(2).unwrap(), json!({})).unwrap();
    let row = |array: &str, count: usize| CellTokens::of_ids(ids(&golden, array, 1)[0][..count].to_vec());
    for (tokens, count, want) in [
        ("top1024_token_ids_lastcell", 3199, "top1024_emb_mean_lastcell"),
        ("released_script_token_ids_cell0_first512", 512, "released_script_emb_mean_cell0_first512"),
    ] {
        assert_close(&embed(&encoder, &[row(tokens, count)]), &golden.f32s(want), MEANS, want);
    }
}

#[test]
fn exactly_the_files_that_are_read_are_named() {
    let Some(golden) = Golden::open("llama") else { return };
    let names = |purpose| -> Vec<String> {
        let files =
            cell_model("llama").unwrap().files(&golden.checkpoint(), purpose, &Options::default()).unwrap();
        files.iter().map(|file| file.file_name().unwrap().to_string_lossy().into_owned()).collect()
    };
    assert_eq!(names(Purpose::Tokenize), SMALL_FILES);
    assert_eq!(
        names(Purpose::Embed),
        [
            "config.json",
            "model-00001-of-00003.safetensors",
            "model-00002-of-00003.safetensors",
            "model-00003-of-00003.safetensors",
            "model.safetensors.index.json",
            "tokenizer.json"
        ]
    );
}

/// A copy of the checkpoint in one file of f32 with changed tensors.
fn changed(golden: &Golden, to: &Path, change: impl FnOnce(&mut Tensors)) {
    copy(&golden.checkpoint(), to, &SMALL_FILES);
    let mut all = tensors(&golden.checkpoint().join("model.safetensors.index.json"));
    change(&mut all);
    save(&to.join("model.safetensors"), &all);
}

#[test]
fn other_names_and_types_of_the_same_weights_give_the_same_numbers() {
    let Some(golden) = Golden::open("llama") else { return };
    let (device, tokens) = (Device::cpu(2).unwrap(), &tokens(&golden)[..3]);
    let published = embed(&load(&golden.checkpoint(), &device, json!({})).unwrap(), tokens);
    let names: [&Rename; 3] = [
        &|name| Some(name.to_owned()),
        // Saved without a head.
        &|name| name.strip_prefix("model.").map(str::to_owned),
        &|name| Some(format!("base_model.model.{name}")),
    ];
    for (number, rename) in names.iter().enumerate() {
        let temp = tempfile::tempdir().unwrap();
        changed(&golden, temp.path(), |all| {
            *all = std::mem::take(all)
                .into_iter()
                .filter_map(|(name, tensor)| Some((rename(&name)?, tensor)))
                .collect();
        });
        let got = embed(&load(temp.path(), &device, json!({})).unwrap(), tokens);
        assert_close(&got, &published, 1e-6, &format!("names {number}"));
    }
}

#[test]
fn adapters_change_the_output_of_every_linear_layer() {
    let Some(golden) = Golden::open("llama") else { return };
    let (device, tokens) = (Device::cpu(2).unwrap(), &tokens(&golden)[..1]);
    let checkpoint = Checkpoint::find(&golden.checkpoint()).unwrap();
    let adapted = |path: &str, inputs: usize, outputs: usize| {
        let values = |rows: usize, columns: usize| {
            let values: Vec<f32> =
                (0..rows * columns).map(|i| ((i * 37 % 101) as f32 - 50.0) / 500.0).collect();
            Slot::new(device.upload(&[rows, columns], &values).unwrap())
        };
        let lora = Lora::new(values(4, inputs), values(outputs, 4), 2.0);
        let adapters = Adapters::new(BTreeMap::from([(path.to_owned(), lora)]));
        Ok::<_, ModelError>(embed(
            &Encoder::load(&checkpoint, &device, &Options::default(), &adapters)?,
            tokens,
        ))
    };
    let plain = embed(&load(&golden.checkpoint(), &device, json!({})).unwrap(), tokens);
    for (part, inputs, outputs) in [
        ("self_attn.q_proj", 96, 96),
        ("self_attn.k_proj", 96, 32),
        ("self_attn.v_proj", 96, 32),
        ("self_attn.o_proj", 96, 96),
        ("mlp.gate_proj", 96, 256),
        ("mlp.up_proj", 96, 256),
        ("mlp.down_proj", 256, 96),
    ] {
        let with = adapted(&format!("base_model.model.model.layers.1.{part}"), inputs, outputs).unwrap();
        assert!(with != plain, "{part} does nothing");
        let bare = adapted(&format!("layers.1.{part}"), inputs, outputs).unwrap();
        assert!(bare == with, "{part} under another name");
    }
    let error = adapted("model.layers.9.mlp.up_proj", 96, 256).unwrap_err().to_string();
    assert!(error.contains("layers.9.mlp.up_proj"), "{error}");
}

#[test]
fn damaged_checkpoints_are_explained() {
    let Some(golden) = Golden::open("llama") else { return };
    let device = Device::cpu(1).unwrap();
    let temp = tempfile::tempdir().unwrap();
    changed(&golden, temp.path(), |all| {
        all.remove("model.layers.2.mlp.up_proj.weight");
        all.insert("model.embed_tokens.weight".to_owned(), (vec![2, 96], vec![0.0; 192]));
        all.insert("model.layers.3.input_layernorm.weight".to_owned(), (vec![96], vec![1.0; 96]));
    });
    let error = load(temp.path(), &device, json!({})).err().unwrap().to_string();
    for name in ["layers.2.mlp.up_proj.weight", "embed_tokens.weight", "layers.3.input_layernorm.weight"] {
        assert!(error.contains(name), "{name}: {error}");
    }
    fs_err::remove_file(temp.path().join("model.safetensors")).unwrap();
    let error = load(temp.path(), &device, json!({})).err().unwrap().to_string();
    assert!(error.contains("no weights"), "{error}");
    // A tokenizer of a larger vocabulary gives ids that the weights do not have.
    let config = fs_err::read_to_string(golden.checkpoint().join("config.json")).unwrap();
    fs_err::write(
        temp.path().join("config.json"),
        config.replace("\"vocab_size\": 904", "\"vocab_size\": 900"),
    )
    .unwrap();
    let error = load(temp.path(), &device, json!({})).err().unwrap();
    assert!(matches!(error, ModelError::WrongDictionary { vocab_size: 900, .. }), "{error}");
    // One of a far smaller vocabulary belongs to other weights.
    let larger = config.replace("\"vocab_size\": 904", "\"vocab_size\": 1161");
    fs_err::write(temp.path().join("config.json"), larger).unwrap();
    let error = load(temp.path(), &device, json!({})).err().unwrap();
    assert!(matches!(error, ModelError::WrongDictionary { vocab_size: 1161, .. }), "{error}");
    for (from, to, want) in [
        ("\"model_type\": \"llama\"", "\"model_type\": \"gpt2\"", "gpt2"),
        ("\"rope_scaling\": null", "\"rope_scaling\": {\"type\": \"yarn\"}", "yarn"),
        ("\"hidden_act\": \"silu\"", "\"hidden_act\": \"relu\"", "relu"),
        ("\"num_key_value_heads\": 2", "\"num_key_value_heads\": 4", "cannot share"),
    ] {
        assert!(config.contains(from), "{from}");
        fs_err::write(temp.path().join("config.json"), config.replace(from, to)).unwrap();
        let error = Checkpoint::find(temp.path()).unwrap_err().to_string();
        assert!(error.contains(want), "{error}");
    }
}

#[test]
fn choices_that_do_not_exist_are_explained() {
    let Some(golden) = Golden::open("llama") else { return };
    let device = Device::cpu(1).unwrap();
    let refused = |chosen: Value| load(&golden.checkpoint(), &device, chosen).err().unwrap().to_string();
    assert!(refused(json!({"layer": -5})).contains("3 layers"));
    assert!(refused(json!({"pooling": "cls"})).contains("cls"));
    let encoder = load(&golden.checkpoint(), &device, json!({})).unwrap();
    assert!(matches!(encoder.hidden(&vec![904].into(), -1), Err(ModelError::Tokens(_))));
    let genes = GeneIds::detect(&Table::new(vec!["ENSG00000000003".to_owned()]));
    let checkpoint = Checkpoint::find(&golden.checkpoint()).unwrap();
    let error = checkpoint.tokenizer(&genes, &Options::default()).err().unwrap();
    assert!(matches!(error, ModelError::NoGenes { .. }), "{error}");
    let error =
        checkpoint.tokenizer(&golden.genes, &options(json!({"max_length": 9000}))).err().unwrap().to_string();
    assert!(error.contains("8192 positions"), "{error}");
}
