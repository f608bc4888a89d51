//! Checkpoints of scGPT as people have them: other names of tensors, wrappers, cut vocabularies, damaged weights.

use std::collections::BTreeMap;
use std::path::Path;

use crate::common::saved::{Tensors, copy, save, save_bf16, tensors};
use crate::common::{Golden, assert_close, embed, options};
use celldag_data::{GeneIds, Table};
use celldag_models::scgpt::{Checkpoint, Encoder, Tokenizer};
use celldag_models::{Adapters, CellEncoder, Lora, ModelError, Options, Slot};
use celldag_shaders::Device;
use serde_json::{Value, json};

/// What a folder makes of the first three cells.
fn vectors(golden: &Golden, folder: &Path) -> Vec<f32> {
    let checkpoint = Checkpoint::find(folder).unwrap();
    let tokenizer = Tokenizer::new(&checkpoint, &golden.genes, &Options::default()).unwrap();
    embed(&load(folder).unwrap(), &golden.tokenized(&tokenizer)[..3])
}

fn load(folder: &Path) -> Result<Encoder, ModelError> {
    let device = Device::cpu(1).unwrap();
    Encoder::load(&Checkpoint::find(folder)?, &device, &Options::default(), &Adapters::default())
}

/// A copy of the checkpoint with changed tensors.
fn changed(golden: &Golden, to: &Path, change: impl FnOnce(&mut Tensors)) {
    copy(&golden.checkpoint(), to, &["args.json", "vocab.json"]);
    let mut all = tensors(&golden.checkpoint().join("best_model.pt"));
    change(&mut all);
    save(&to.join("model.safetensors"), &all);
}

fn renamed(all: &mut Tensors, rename: impl Fn(&str) -> String) {
    *all = std::mem::take(all).into_iter().map(|(name, tensor)| (rename(&name), tensor)).collect();
}

#[test]
fn all_names_of_the_same_tensors_give_the_same_bits() {
    let Some(golden) = Golden::open("scgpt") else { return };
    let published = vectors(&golden, &golden.checkpoint());
    for variant in ["checkpoint-torch-names", "checkpoint-impl-names"] {
        assert!(vectors(&golden, &golden.folder.join(variant)) == published, "{variant}");
    }
    let peft = |name: &str| {
        let adapted = name.contains(".out_proj.");
        let inner =
            if adapted { name.replace(".out_proj.", ".out_proj.base_layer.") } else { name.to_owned() };
        format!("base_model.model.{inner}")
    };
    let wrappers: [&dyn Fn(&str) -> String; 3] =
        [&|name| format!("module.{name}"), &peft, &|name| format!("module.{}", peft(name))];
    for (number, wrap) in wrappers.iter().enumerate() {
        let temp = tempfile::tempdir().unwrap();
        changed(&golden, temp.path(), |all| renamed(all, wrap));
        assert!(vectors(&golden, temp.path()) == published, "wrapper {number}");
    }
}

#[test]
fn adapters_find_their_layers_under_any_name() {
    let Some(golden) = Golden::open("scgpt") else { return };
    let device = Device::cpu(1).unwrap();
    let adapted = |folder: &str, path: &str, outputs: usize| {
        let checkpoint = Checkpoint::find(&golden.folder.join(folder)).unwrap();
        let values = |rows: usize, columns: usize| {
            let values: Vec<f32> =
                (0..rows * columns).map(|i| ((i * 37 % 101) as f32 - 50.0) / 500.0).collect();
            Slot::new(device.upload(&[rows, columns], &values).unwrap())
        };
        let lora = Lora::new(values(4, 32), values(outputs, 4), 2.0);
        let adapters = Adapters::new(BTreeMap::from([(path.to_owned(), lora)]));
        let encoder = Encoder::load(&checkpoint, &device, &Options::default(), &adapters)?;
        let tokenizer = Tokenizer::new(&checkpoint, &golden.genes, &Options::default()).unwrap();
        Ok::<_, ModelError>(embed(&encoder, &golden.tokenized(&tokenizer)[..2]))
    };
    let plain = vectors(&golden, &golden.checkpoint())[..64].to_vec();
    let layer = "transformer_encoder.layers.1";
    for part in ["self_attn.out_proj", "linear1", "linear2"] {
        let path = format!("{layer}.{part}");
        let with = adapted("checkpoint", &path, 32).unwrap();
        assert!(with != plain, "{path} changes nothing");
        assert!(with == adapted("checkpoint-torch-names", &path, 32).unwrap(), "{path}");
    }
    let of_wrapper = format!("{layer}.self_attn._impl.out_proj");
    let of_published = format!("{layer}.self_attn.out_proj");
    let with = adapted("checkpoint", &of_published, 32).unwrap();
    assert!(with == adapted("checkpoint-impl-names", &of_wrapper, 32).unwrap());
    assert!(with == adapted("checkpoint", &of_wrapper, 32).unwrap());
    // The packed projection: one A for queries, keys and values.
    let packed = adapted("checkpoint", &format!("{layer}.self_attn.Wqkv"), 96).unwrap();
    assert!(packed != plain);
    assert!(packed == adapted("checkpoint-torch-names", &format!("{layer}.self_attn"), 96).unwrap());
    let error =
        adapted("checkpoint", "transformer_encoder.layers.1.self_attn.q", 32).unwrap_err().to_string();
    assert!(error.contains("no linear layer called"), "{error}");
}

#[test]
fn missing_special_tokens_are_appended() {
    let Some(golden) = Golden::open("scgpt") else { return };
    let published = vectors(&golden, &golden.checkpoint());
    let digest = Checkpoint::find(&golden.checkpoint()).unwrap().vocabulary.digest;
    for missing in [vec!["<eoc>"], vec!["<cls>", "<eoc>"], vec!["<pad>", "<cls>", "<eoc>"]] {
        let temp = tempfile::tempdir().unwrap();
        copy(&golden.checkpoint(), temp.path(), &["args.json", "best_model.pt"]);
        let text = fs_err::read(golden.checkpoint().join("vocab.json")).unwrap();
        let mut vocabulary: BTreeMap<String, i64> = serde_json::from_slice(&text).unwrap();
        vocabulary.retain(|name, _| !missing.contains(&name.as_str()));
        fs_err::write(temp.path().join("vocab.json"), serde_json::to_string(&vocabulary).unwrap()).unwrap();
        assert_eq!(Checkpoint::find(temp.path()).unwrap().vocabulary.digest, digest, "{missing:?}");
        assert!(vectors(&golden, temp.path()) == published, "{missing:?}");
    }
}

#[test]
fn what_is_wrong_with_tensors_is_said_at_once() {
    let Some(golden) = Golden::open("scgpt") else { return };
    let temp = tempfile::tempdir().unwrap();
    changed(&golden, temp.path(), |all| {
        all.remove("transformer_encoder.layers.0.self_attn.Wqkv.weight").unwrap();
        all.remove("value_encoder.norm.bias").unwrap();
        all.insert("transformer_encoder.layers.1.linear1.bias".to_owned(), (vec![7], vec![0.0; 7]));
        all.insert("bn.weight".to_owned(), (vec![32], vec![1.0; 32]));
        all.insert("cls_decoder.out_layer.bias".to_owned(), (vec![2], vec![1.0; 2]));
    });
    let error = load(temp.path()).unwrap_err().to_string();
    for part in
        ["layers.0.self_attn.Wqkv.weight", "value_encoder.norm.bias", "layers.1.linear1.bias", "bn.weight"]
    {
        assert!(error.contains(part), "{part}: {error}");
    }
    assert!(!error.contains("cls_decoder"), "{error}");
}

#[test]
fn a_file_with_adapters_inside_is_refused() {
    let Some(golden) = Golden::open("scgpt") else { return };
    let temp = tempfile::tempdir().unwrap();
    let name = "base_model.model.transformer_encoder.layers.0.self_attn.out_proj.lora_A.default.weight";
    changed(&golden, temp.path(), |all| {
        all.insert(name.to_owned(), (vec![8, 32], vec![0.1; 256]));
    });
    let error = load(temp.path()).unwrap_err().to_string();
    assert!(error.contains("lora_A"), "{error}");
}

#[test]
fn wrong_vocabularies_configurations_and_folders_are_explained() {
    let Some(golden) = Golden::open("scgpt") else { return };
    let temp = tempfile::tempdir().unwrap();
    let at = |name: &str| temp.path().join(name);
    let error = || load(temp.path()).unwrap_err().to_string();
    assert!(error().contains("args.json"), "{}", error());
    copy(&golden.checkpoint(), temp.path(), &["args.json", "best_model.pt"]);
    assert!(error().contains("vocab.json"), "{}", error());
    fs_err::write(at("vocab.json"), r#"{"CD3D": 0, "LYZ": 1}"#).unwrap();
    assert!(error().contains("wrong dictionary") && error().contains("5203"), "{}", error());
    fs_err::write(at("vocab.json"), r#"{"CD3D": 0, "LYZ": 2}"#).unwrap();
    assert!(error().contains("LYZ"), "{}", error());
    copy(&golden.checkpoint(), temp.path(), &["vocab.json"]);
    let text = fs_err::read(golden.checkpoint().join("args.json")).unwrap();
    let edit = |name: &str, value: Value| {
        let mut fields: BTreeMap<String, Value> = serde_json::from_slice(&text).unwrap();
        fields.insert(name.to_owned(), value);
        fs_err::write(at("args.json"), serde_json::to_string(&fields).unwrap()).unwrap();
        error()
    };
    for (name, value, part) in [
        ("nheads", json!(5), "5 attention heads"),
        ("embsize", Value::Null, "embsize"),
        ("input_emb_style", json!("category"), "category"),
        ("nlayers", json!(2), "layers.2"),
        ("nlayers", json!(4), "layers.3"),
    ] {
        let error = edit(name, value);
        assert!(error.contains(part), "{name}: {error}");
    }
}

#[test]
fn options_and_genes_that_do_not_exist_are_explained() {
    let Some(golden) = Golden::open("scgpt") else { return };
    let checkpoint = Checkpoint::find(&golden.checkpoint()).unwrap();
    let device = Device::cpu(1).unwrap();
    for (chosen, part) in [
        (json!({"pooling": "max"}), "max"),
        (json!({"normalize": "l1"}), "l1"),
        (json!({"layer": -5}), "layer -5"),
    ] {
        let error = Encoder::load(&checkpoint, &device, &options(chosen), &Adapters::default()).unwrap_err();
        assert!(error.to_string().contains(part), "{error}");
    }
    for (chosen, part) in [(json!({"binning": "right"}), "right"), (json!({"max_length": 1}), "max_length")] {
        let error = Tokenizer::new(&checkpoint, &golden.genes, &options(chosen)).unwrap_err();
        assert!(error.to_string().contains(part), "{error}");
    }
    let mouse = GeneIds::detect(&Table::new(["Cd3d", "Lyz2", "Actb"].map(str::to_owned).to_vec()));
    let error = Tokenizer::new(&checkpoint, &mouse, &Options::default()).unwrap_err();
    assert!(matches!(error, ModelError::NoGenes { .. }) && error.to_string().contains("Cd3d"), "{error}");
}

#[test]
fn half_precision_weights_load() {
    let Some(golden) = Golden::open("scgpt") else { return };
    let temp = tempfile::tempdir().unwrap();
    copy(&golden.checkpoint(), temp.path(), &["args.json", "vocab.json"]);
    save_bf16(&temp.path().join("model.safetensors"), &tensors(&golden.checkpoint().join("best_model.pt")));
    let got = vectors(&golden, temp.path());
    assert_close(&got, &vectors(&golden, &golden.checkpoint()), 0.1, "weights in bf16");
    let parameters = |folder: &Path| load(folder).unwrap().info().parameters;
    assert_eq!(parameters(temp.path()), parameters(&golden.checkpoint()));
}
