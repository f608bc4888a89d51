//! tGPT against the reference: tokens to the bit, states and embeddings within 2e-5 on every backend.

use std::collections::BTreeMap;
use std::path::Path;

use crate::common::learning::Learning;
use crate::common::saved::{Tensors, copy, save, tensors};
use crate::common::{Golden, assert_close, devices, embed, options};
use celldag_data::{GeneIds, Table};
use celldag_models::tgpt::{Checkpoint, Encoder, Tokenizer};
use celldag_models::{
    Adapters, CellCounts, CellEncoder, CellTokenizer, CellTokens, Lora, ModelError, Options, Purpose, Slot,
    cell_model,
};
use celldag_shaders::Device;
use serde_json::{Value, json};

const TOLERANCE: f32 = 2e-5;
const LENGTH: usize = 64;
const FILES: [&str; 2] = ["config.json", "tokenizer.json"];

fn open() -> Option<(Golden, Checkpoint)> {
    let golden = Golden::open("tgpt")?;
    let checkpoint = Checkpoint::find(&golden.checkpoint()).unwrap();
    Some((golden, checkpoint))
}

fn tokenizer(golden: &Golden, checkpoint: &Checkpoint, chosen: Value) -> Tokenizer {
    Tokenizer::new(checkpoint, &golden.genes, &options(chosen)).unwrap()
}

fn encoder(checkpoint: &Checkpoint, device: &Device, chosen: Value) -> Encoder {
    Encoder::load(checkpoint, device, &options(chosen), &Adapters::default()).unwrap()
}

/// `tok.input_ids`, with and without padding.
fn given(golden: &Golden) -> (Vec<CellTokens>, Vec<CellTokens>) {
    let ids: Vec<u32> = golden.i32s("tok.input_ids").iter().map(|&id| u32::try_from(id).unwrap()).collect();
    let lengths = golden.i32s("tok.length");
    let padded = ids.chunks(LENGTH).map(|cell| cell.to_vec().into()).collect();
    let cell = |(cell, &length): (&[u32], &i32)| cell[..usize::try_from(length).unwrap()].to_vec().into();
    (padded, ids.chunks(LENGTH).zip(&lengths).map(cell).collect())
}

fn load(folder: &Path) -> Result<Encoder, ModelError> {
    let device = Device::cpu(1).unwrap();
    Encoder::load(&Checkpoint::find(folder)?, &device, &Options::default(), &Adapters::default())
}

/// A copy of the checkpoint with changed tensors.
fn changed(golden: &Golden, to: &Path, change: impl FnOnce(&mut Tensors)) {
    copy(&golden.checkpoint(), to, &FILES);
    let mut all = tensors(&golden.checkpoint().join("pytorch_model.bin"));
    change(&mut all);
    save(&to.join("model.safetensors"), &all);
}

#[test]
fn tokens_are_those_of_the_authors() {
    let Some((golden, checkpoint)) = open() else { return };
    let (padded, plain) = given(&golden);
    let usual = tokenizer(&golden, &checkpoint, json!({}));
    assert!(golden.tokenized(&usual) == plain);
    assert!(golden.tokenized(&tokenizer(&golden, &checkpoint, json!({"padding": true}))) == padded);
    assert_eq!((usual.info().context, usual.info().vocabulary_size), (LENGTH, checkpoint.config.vocab_size));
    let short = golden.tokenized(&tokenizer(&golden, &checkpoint, json!({"max_length": 10})));
    for (short, plain) in short.iter().zip(&plain) {
        assert_eq!(short.ids[..9], plain.ids[..9]);
        assert_eq!(short.ids[9..], [checkpoint.vocabulary.end]);
    }
    let unknown = plain.iter().flat_map(|cell| &cell.ids).filter(|&&id| id == checkpoint.vocabulary.unknown);
    assert_eq!(unknown.count(), 150, "unknown genes take their place");
    let nothing = CellCounts { name: "empty", columns: &[], counts: &[] };
    assert!(usual.tokenize(&nothing).unwrap().is_empty());
}

#[test]
fn hidden_states_agree_on_every_backend() {
    let Some((golden, checkpoint)) = open() else { return };
    let (_, cells) = given(&golden);
    for device in devices() {
        let what = |array: &str| format!("{array} on {}", device.info().backend);
        let plain = encoder(&checkpoint, &device, json!({"token_types": false}));
        let compare = |encoder: &Encoder, cell: usize, layer, array: &str| {
            let got = encoder.hidden(&cells[cell], layer).unwrap();
            assert_close(&got, &golden.f32s(array)[..got.len()], TOLERANCE, &what(array));
        };
        for (depth, layer) in (-4..0).enumerate() {
            compare(&plain, 0, layer, &format!("hidden.cell0.{depth}"));
        }
        compare(&plain, 1, -1, "hidden.cell1.last");
        compare(&encoder(&checkpoint, &device, json!({})), 0, -1, "hidden.cell0.docs_last");
    }
}

#[test]
fn embeddings_agree_on_every_backend_and_do_not_depend_on_the_batch() {
    let Some((golden, checkpoint)) = open() else { return };
    let (padded, plain) = given(&golden);
    let cases = [
        ("emb.tgpt_docs", &plain, json!({})),
        ("emb.tgpt_docs", &padded, json!({"token_types": true, "pooling": "mean"})),
        ("emb.tgpt_docs_no_token_type", &plain, json!({"token_types": false, "pooling": "mean"})),
        ("emb.mean_nonpad", &plain, json!({"token_types": false, "pooling": "mean_all"})),
        ("emb.scdrugmap_code", &padded, json!({"token_types": false, "pooling": "mean_all"})),
    ];
    for device in devices() {
        for (case, (array, cells, chosen)) in cases.iter().enumerate() {
            let encoder = encoder(&checkpoint, &device, chosen.clone());
            let what = format!("{array} on {}", device.info().backend);
            let whole = embed(&encoder, cells);
            assert_close(&whole, &golden.f32s(array), TOLERANCE, &what);
            for size in [1, 3].into_iter().filter(|_| case == 0) {
                let parts: Vec<f32> = cells.chunks(size).flat_map(|cells| embed(&encoder, cells)).collect();
                assert!(parts == whole, "{what}: batches of {size} give other bits");
            }
        }
    }
}

#[test]
fn the_layer_before_the_last_is_not_normalised() {
    let Some((golden, checkpoint)) = open() else { return };
    let (_, cells) = given(&golden);
    let states = golden.f32s("hidden.cell0.2");
    let genes = cells[0].len() - 2;
    let mean: Vec<f32> = (0..32)
        .map(|j| states.chunks(32).skip(1).take(genes).map(|row| row[j]).sum::<f32>() / genes as f32)
        .collect();
    let encoder = encoder(&checkpoint, &Device::cpu(1).unwrap(), json!({"layer": -2, "token_types": false}));
    assert_close(&embed(&encoder, &cells[..1]), &mean, TOLERANCE, "mean of layer -2");
}

#[test]
fn adapters_change_the_output_and_learn_as_with_peft() {
    let Some((golden, checkpoint)) = open() else { return };
    let chosen = || options(json!({"token_types": false, "pooling": "mean_all"}));
    let (_, tokens) = given(&golden);
    for device in devices() {
        // A software driver takes long for a whole run: one step shows every gradient.
        let runs: &[(usize, bool)] =
            if device.info().software { &[(1, false)] } else { &[(5, false), (5, true)] };
        for &(steps, recompute) in runs {
            let learning = Learning::new(&golden, &device);
            let cells = learning.cells(&tokens);
            let adapted = Encoder::load(&checkpoint, &device, &chosen(), &learning.adapters()).unwrap();
            let plain = Encoder::load(&checkpoint, &device, &chosen(), &Adapters::default()).unwrap();
            let (with, without) = (embed(&adapted, &cells[..1]), embed(&plain, &cells[..1]));
            let change = with.iter().zip(&without).map(|(a, b)| (a - b).abs()).fold(0.0, f32::max);
            assert!(change > 1e-3, "the adapter changes an embedding by {change} only");
            learning.agrees(&adapted, &cells, steps, recompute);
        }
    }
}

#[test]
fn every_linear_layer_takes_an_adapter_under_both_names() {
    let Some((golden, checkpoint)) = open() else { return };
    let (_, cells) = given(&golden);
    let device = Device::cpu(1).unwrap();
    let adapted = |path: &str, inputs: usize, outputs: usize| {
        let values = |rows: usize, columns: usize| {
            let values: Vec<f32> =
                (0..rows * columns).map(|i| ((i * 37 % 101) as f32 - 50.0) / 500.0).collect();
            Slot::new(device.upload(&[rows, columns], &values).unwrap())
        };
        let lora = Lora::new(values(4, inputs), values(outputs, 4), 2.0);
        let adapters = Adapters::new(BTreeMap::from([(path.to_owned(), lora)]));
        let encoder = Encoder::load(&checkpoint, &device, &Options::default(), &adapters)?;
        Ok::<_, ModelError>(embed(&encoder, &cells[..2]))
    };
    let plain = embed(&encoder(&checkpoint, &device, json!({})), &cells[..2]);
    for (layer, inputs, outputs) in
        [("attn.c_attn", 32, 96), ("attn.c_proj", 32, 32), ("mlp.c_fc", 32, 128), ("mlp.c_proj", 128, 32)]
    {
        let with = adapted(&format!("h.1.{layer}"), inputs, outputs).unwrap();
        assert!(with != plain, "{layer} changes nothing");
        assert!(with == adapted(&format!("transformer.h.1.{layer}"), inputs, outputs).unwrap(), "{layer}");
    }
    let error = adapted("h.1.attn.c_attn", 32, 32).unwrap_err().to_string();
    assert!(error.contains("32 inputs and 96 outputs"), "{error}");
    let error = adapted("h.7.attn.c_attn", 32, 96).unwrap_err().to_string();
    assert!(error.contains("no linear layer called h.7.attn.c_attn"), "{error}");
}

#[test]
fn other_names_and_heads_give_the_same_bits() {
    let Some((golden, checkpoint)) = open() else { return };
    let (_, cells) = given(&golden);
    let published = embed(&encoder(&checkpoint, &Device::cpu(1).unwrap(), json!({})), &cells[..3]);
    let bare = |name: &str| name.strip_prefix("transformer.").unwrap_or(name).to_owned();
    let peft = |name: &str| format!("base_model.model.{}", name.replace(".c_attn.", ".c_attn.base_layer."));
    let renames: [&dyn Fn(&str) -> String; 3] = [&bare, &peft, &|name| format!("module.{name}")];
    for (number, rename) in renames.iter().enumerate() {
        let temp = tempfile::tempdir().unwrap();
        changed(&golden, temp.path(), |all| {
            all.remove("lm_head.weight").unwrap();
            all.insert("score.weight".to_owned(), (vec![2, 32], vec![0.0; 64]));
            *all = std::mem::take(all).into_iter().map(|(name, tensor)| (rename(&name), tensor)).collect();
        });
        assert!(embed(&load(temp.path()).unwrap(), &cells[..3]) == published, "variant {number}");
    }
}

#[test]
fn what_is_wrong_with_a_checkpoint_is_said() {
    let Some((golden, _)) = open() else { return };
    let temp = tempfile::tempdir().unwrap();
    let at = |name: &str| temp.path().join(name);
    let error = || load(temp.path()).unwrap_err().to_string();
    assert!(error().contains("config.json"), "{}", error());
    copy(&golden.checkpoint(), temp.path(), &FILES);
    assert!(error().contains("pytorch_model.bin"), "{}", error());
    changed(&golden, temp.path(), |all| {
        all.remove("transformer.h.0.attn.c_attn.weight").unwrap();
        all.insert("transformer.h.1.mlp.c_fc.bias".to_owned(), (vec![7], vec![0.0; 7]));
        all.insert("transformer.extra.weight".to_owned(), (vec![1], vec![0.0]));
    });
    let message = error();
    for part in ["h.0.attn.c_attn.weight", "h.1.mlp.c_fc.bias", "extra.weight"] {
        assert!(message.contains(part), "{part}: {message}");
    }
    copy(&golden.checkpoint(), temp.path(), &["pytorch_model.bin"]);
    fs_err::remove_file(at("model.safetensors")).unwrap();
    assert!(load(temp.path()).is_ok());
    let edit = |file: &str, change: &dyn Fn(&mut Value)| {
        let original = fs_err::read(golden.checkpoint().join(file)).unwrap();
        let mut value: Value = serde_json::from_slice(&original).unwrap();
        change(&mut value);
        fs_err::write(at(file), serde_json::to_string(&value).unwrap()).unwrap();
        let message = error();
        fs_err::write(at(file), original).unwrap();
        message
    };
    let message = edit("tokenizer.json", &|json| {
        json["model"]["vocab"].as_object_mut().unwrap().remove("FTH1").unwrap();
    });
    assert!(message.contains("4103 tokens") && message.contains("4104"), "{message}");
    let message = edit("tokenizer.json", &|json| json["model"]["vocab"]["FTH1"] = json!(5));
    assert!(message.contains("FTH1"), "{message}");
    let message = edit("tokenizer.json", &|json| json["model"]["type"] = json!("BPE"));
    assert!(message.contains("BPE") && message.contains("WordLevel"), "{message}");
    let message = edit("config.json", &|json| json["n_positions"] = json!(64));
    assert!(message.contains("wpe.weight"), "{message}");
    let message = edit("config.json", &|json| json["activation_function"] = json!("swish"));
    assert!(message.contains("swish"), "{message}");
    let message = edit("config.json", &|json| json["model_type"] = json!("bert"));
    assert!(message.contains("bert"), "{message}");
}

#[test]
fn options_and_genes_that_do_not_exist_are_explained() {
    let Some((golden, checkpoint)) = open() else { return };
    let device = Device::cpu(1).unwrap();
    for (chosen, part) in [(json!({"pooling": "cls"}), "cls"), (json!({"layer": -5}), "layer -5")] {
        let error = Encoder::load(&checkpoint, &device, &options(chosen), &Adapters::default()).unwrap_err();
        assert!(error.to_string().contains(part), "{error}");
    }
    for length in [2, 257] {
        let chosen = options(json!({"max_length": length}));
        let error = Tokenizer::new(&checkpoint, &golden.genes, &chosen).unwrap_err();
        assert!(error.to_string().contains("256"), "{error}");
    }
    let mouse = GeneIds::detect(&Table::new(["Cd3d", "Lyz2", "Actb"].map(str::to_owned).to_vec()));
    let error = Tokenizer::new(&checkpoint, &mouse, &Options::default()).unwrap_err();
    assert!(matches!(error, ModelError::NoGenes { .. }) && error.to_string().contains("Cd3d"), "{error}");
    let encoder = encoder(&checkpoint, &device, json!({}));
    for ids in [vec![1, 4104, 2], vec![1, 2], vec![5; 257]] {
        let refused = encoder.embed(celldag_models::Batch { cells: &[ids.into()], neighbourhoods: &[1] });
        assert!(matches!(refused, Err(ModelError::Tokens(_))));
    }
}

#[test]
fn exactly_the_files_that_are_read_are_named() {
    let Some((golden, _)) = open() else { return };
    let names = |purpose| -> Vec<String> {
        let files =
            cell_model("tgpt").unwrap().files(&golden.checkpoint(), purpose, &Options::default()).unwrap();
        files.iter().map(|f| f.file_name().unwrap().to_string_lossy().into_owned()).collect()
    };
    assert_eq!(names(Purpose::Tokenize), FILES);
    assert_eq!(names(Purpose::Embed), ["config.json", "pytorch_model.bin", "tokenizer.json"]);
}

#[test]
fn a_column_without_a_name_is_unknown() {
    let Some((_, checkpoint)) = open() else { return };
    // The published vocabulary has the words `gene`, `0` and `1`.
    let names = ["", " ", "LYZ"].map(str::to_owned).to_vec();
    let genes = GeneIds::detect(&Table::new(names));
    let tokenizer = Tokenizer::new(&checkpoint, &genes, &options(json!({}))).unwrap();
    assert_eq!(tokenizer.coverage().matched, 1);
    let counts = CellCounts { name: "a", columns: &[0, 1, 2], counts: &[3.0, 2.0, 1.0] };
    let vocabulary = &checkpoint.vocabulary;
    let want =
        [vocabulary.begin, vocabulary.unknown, vocabulary.unknown, vocabulary.tokens["LYZ"], vocabulary.end];
    assert_eq!(tokenizer.tokenize(&counts).unwrap().ids, want);
}
