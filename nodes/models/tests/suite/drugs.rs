//! ChemBERTa and MoLFormer against the reference: states within 1e-4 and vectors within 2e-5 on every
//! backend.

use std::path::{Path, PathBuf};

use crate::common::drugs::{CHEMBERTA, Drugs, folder_with, load};
use crate::common::{assert_close, devices, embed, options, saved};
use celldag_models::drug::{drug_model, drug_models};
use celldag_models::{Adapters, CellTokens, LoadEncoder, Lora, Slot, chemberta, molformer};
use celldag_shaders::Device;
use serde_json::{Value, json};

const VECTORS: f32 = 2e-5;
const STATES: f32 = 1e-4;
/// Drugs of a comparison on a software driver: all but the two longest, which cost more than the others together.
const SHORT: usize = 22;

#[test]
fn vectors_agree_on_every_backend_and_do_not_depend_on_the_batch() {
    let Some(all) = Drugs::all() else { return };
    let roberta: &[(Value, &str)] = &[
        (json!({}), "emb_cls"),
        (json!({"pooling": "cls"}), "emb_cls"),
        (json!({"pooling": "mean"}), "emb_mean"),
        (json!({"pooling": "mean_without_special"}), "emb_mean_no_special"),
    ];
    let molformer: &[(Value, &str)] = &[
        (json!({}), "pooled"),
        (json!({"pooling": "mean"}), "pooled"),
        (json!({"pooling": "cls"}), "emb_first_token"),
    ];
    for device in devices() {
        for drugs in &all {
            let cases = if drugs.model == "molformer" { molformer } else { roberta };
            let ids = drugs.ids();
            for (case, (chosen, array)) in cases.iter().enumerate() {
                let encoder = drugs.encoder(&device, chosen.clone());
                let whole = case == 0 || !device.info().software;
                let ids = if whole { &ids[..] } else { &ids[..SHORT] };
                let vectors = embed(encoder.as_ref(), ids);
                let want = &drugs.array(array)[..ids.len() * encoder.info().dim];
                let what = format!("{} {array} on {}", drugs.folder.display(), device.info().backend);
                assert_close(&vectors, want, VECTORS, &what);
                for size in [1, 3].into_iter().filter(|_| case == 0) {
                    let short = &ids[..SHORT];
                    let parts: Vec<f32> =
                        short.chunks(size).flat_map(|b| embed(encoder.as_ref(), b)).collect();
                    let same = parts.iter().zip(&vectors).all(|(a, b)| a.to_bits() == b.to_bits());
                    assert!(same, "{what}: batches of {size} give other bits");
                }
            }
        }
    }
}

#[test]
fn every_layer_agrees_on_every_backend() {
    let Some(all) = Drugs::all() else { return };
    for device in devices() {
        for drugs in &all {
            let layers = drugs.array("hidden_layers_mol1");
            let last = drugs.array("hidden_final_mol1");
            let what =
                |array: &str| format!("{} {array} on {}", drugs.folder.display(), device.info().backend);
            let ids = drugs.ids();
            let states: Box<dyn Fn(usize, i32) -> Vec<f32>> = if drugs.model == "molformer" {
                let found = molformer::Checkpoint::find(&drugs.checkpoint()).unwrap();
                let encoder =
                    molformer::Encoder::load(&found, &device, &options(json!({})), &Adapters::default())
                        .unwrap();
                let ids = ids.clone();
                Box::new(move |drug, layer| encoder.hidden(&ids[drug], layer).unwrap())
            } else {
                let found = chemberta::Checkpoint::find(&drugs.checkpoint()).unwrap();
                let encoder =
                    chemberta::Encoder::load(&found, &device, &options(json!({})), &Adapters::default())
                        .unwrap();
                let ids = ids.clone();
                Box::new(move |drug, layer| encoder.hidden(&ids[drug], layer).unwrap())
            };
            let one = last.len();
            // MoLFormer's last layer is read behind one more normalisation.
            for (depth, layer) in (-4..-1).enumerate() {
                let want = &layers[depth * one..(depth + 1) * one];
                assert_close(&states(1, layer), want, STATES, &what(&format!("hidden_layers_mol1[{depth}]")));
            }
            assert_close(&states(1, -1), &last, STATES, &what("hidden_final_mol1"));
            assert_close(
                &states(7, -1),
                &drugs.array("hidden_final_mol7"),
                STATES,
                &what("hidden_final_mol7"),
            );
        }
    }
}

#[test]
fn the_mean_has_no_padding_in_it() {
    let Some(drugs) = Drugs::open("chemberta_zinc", "chemberta") else { return };
    let encoder = drugs.encoder(&Device::cpu(2).unwrap(), json!({"pooling": "mean"}));
    let vectors = embed(encoder.as_ref(), &drugs.ids()[..6]);
    let mistake = drugs.array("emb_mean_naive_over_padding_first6");
    let worst = vectors.iter().zip(&mistake).map(|(a, b)| (a - b).abs()).fold(0.0, f32::max);
    assert!(worst > 1e-2, "{worst:e}");
}

#[test]
fn the_torch_format_of_2020_holds_the_same_weights() {
    let Some(drugs) = Drugs::open("chemberta_zinc", "chemberta") else { return };
    let folder = folder_with(&drugs.checkpoint(), &CHEMBERTA);
    saved::copy(&drugs.folder.join("checkpoint_legacy_pickle"), folder.path(), &["pytorch_model.bin"]);
    let device = Device::cpu(2).unwrap();
    let ids = &drugs.ids()[..4];
    let legacy = load("chemberta", folder.path(), &device, json!({})).unwrap();
    assert_eq!(embed(legacy.as_ref(), ids), embed(drugs.encoder(&device, json!({})).as_ref(), ids));
}

#[test]
fn safetensors_without_prefix_hold_the_same_weights() {
    for (name, model, weights, files) in [
        ("chemberta_77m", "chemberta", "pytorch_model.bin", &CHEMBERTA[..]),
        ("molformer", "molformer", "model.safetensors", &["config.json", "vocab.json"]),
    ] {
        let Some(drugs) = Drugs::open(name, model) else { return };
        let folder = folder_with(&drugs.checkpoint(), files);
        let tensors = saved::tensors(&drugs.checkpoint().join(weights));
        let plain = |name: &str| {
            let name = name.strip_prefix("roberta.").or(name.strip_prefix("molformer.")).unwrap_or(name);
            name.to_owned()
        };
        let renamed = tensors.into_iter().map(|(name, tensor)| (plain(&name), tensor)).collect();
        saved::save(&folder.path().join("model.safetensors"), &renamed);
        let device = Device::cpu(2).unwrap();
        let ids = &drugs.ids()[..4];
        let other = load(model, folder.path(), &device, json!({})).unwrap();
        assert_eq!(embed(other.as_ref(), ids), embed(drugs.encoder(&device, json!({})).as_ref(), ids));
    }
}

#[test]
fn the_original_molformer_has_its_own_names_and_constants() {
    let Some(drugs) = Drugs::open("molformer", "molformer") else { return };
    let folder = drugs.checkpoint().join("original_ibm");
    let model = drug_model("molformer").unwrap();
    let tokenizer = model.tokenizer(&folder, &options(json!({}))).unwrap();
    let ids: Vec<CellTokens> = drugs.smiles.iter().map(|smiles| tokenizer.tokenize(smiles).tokens).collect();
    assert_eq!(ids, drugs.ids());
    for device in devices() {
        let encoder = load("molformer", &folder, &device, json!({})).unwrap();
        let ids = if device.info().software { &ids[..SHORT] } else { &ids[..] };
        let want = &drugs.array("pooled_original_ibm")[..ids.len() * encoder.info().dim];
        let what = format!("pooled_original_ibm on {}", device.info().backend);
        assert_close(&embed(encoder.as_ref(), ids), want, VECTORS, &what);
    }
    let names: Vec<String> = model
        .files(&folder)
        .unwrap()
        .iter()
        .map(|file| file.file_name().unwrap().to_string_lossy().into_owned())
        .collect();
    assert_eq!(names, ["N-Step-Checkpoint_3_30000.ckpt", "bert_vocab.txt"]);
}

#[test]
fn mistakes_are_explained() {
    let Some([_, zinc, molformer]) = Drugs::all() else { return };
    let device = Device::cpu(1).unwrap();
    let refused = |model: &str, folder: &Path, chosen: Value| match load(model, folder, &device, chosen) {
        Ok(_) => panic!("accepted"),
        Err(error) => error.to_string(),
    };
    let message = refused("chemberta", &zinc.checkpoint(), json!({"pooling": "pooler"}));
    assert!(message.contains("cls") && message.contains("mean"), "{message}");
    let message = refused("molformer", &molformer.checkpoint(), json!({"layer": -5}));
    assert!(message.contains("layer -5") && message.contains("3 layers"), "{message}");
    let message = refused("chemberta", &molformer.checkpoint(), json!({}));
    assert!(message.contains("molformer") && message.contains("roberta"), "{message}");
    let message = refused("molformer", &zinc.checkpoint(), json!({}));
    assert!(message.contains("config.json"), "{message}");
    let folder = folder_with(&zinc.checkpoint(), &CHEMBERTA);
    let message = refused("chemberta", folder.path(), json!({}));
    assert!(message.contains("pytorch_model.bin"), "{message}");
    // All that is missing and left over is told at once.
    let mut tensors = saved::tensors(&zinc.checkpoint().join("pytorch_model.bin"));
    tensors.remove("roberta.encoder.layer.1.attention.self.query.weight").unwrap();
    tensors.remove("roberta.embeddings.LayerNorm.bias").unwrap();
    tensors.insert("roberta.surprise".to_owned(), (vec![1], vec![0.0]));
    saved::save(&folder.path().join("model.safetensors"), &tensors);
    let message = refused("chemberta", folder.path(), json!({}));
    for part in ["encoder.layer.1.attention.self.query.weight", "embeddings.LayerNorm.bias", "surprise"] {
        assert!(message.contains(part), "{part}: {message}");
    }
    // A vocabulary of another model.
    fs_err::write(folder.path().join("vocab.json"), r#"{"<s>": 0, "</s>": 2, "C": 344}"#).unwrap();
    let message = refused("chemberta", folder.path(), json!({}));
    assert!(message.contains("344") && message.contains("does not fit"), "{message}");
}

#[test]
fn adapters_by_the_names_of_peft_change_vectors() {
    let Some([_, zinc, molformer]) = Drugs::all() else { return };
    let device = Device::cpu(2).unwrap();
    let original = molformer.checkpoint().join("original_ibm");
    let cases: [(&Drugs, PathBuf, &[&str]); 3] = [
        (
            &zinc,
            zinc.checkpoint(),
            &[
                "roberta.encoder.layer.0.attention.self.query",
                "base_model.model.roberta.encoder.layer.2.output.dense",
            ],
        ),
        (
            &molformer,
            molformer.checkpoint(),
            &[
                "molformer.encoder.layer.1.attention.self.value",
                "base_model.model.molformer.encoder.layer.0.intermediate.dense",
            ],
        ),
        (&molformer, original, &["blocks.layers.2.attention.key_projection", "blocks.layers.0.linear2"]),
    ];
    for (drugs, folder, layers) in cases {
        let model = drug_model(drugs.model).unwrap();
        let ids = &drugs.ids()[..4];
        let plain = load(drugs.model, &folder, &device, json!({})).unwrap();
        let before = embed(plain.as_ref(), ids);
        for layer in layers {
            // A layer's width is the model's, but for the inner side of the feed-forward part.
            let width = plain.info().dim;
            let inner = if drugs.model == "chemberta" { 144 } else { width };
            let (inputs, outputs) =
                if layer.ends_with("output.dense") { (inner, width) } else { (width, width) };
            let slot = |shape: &[usize]| {
                let values: Vec<f32> = (0..shape[0] * shape[1]).map(|i| (i % 7) as f32 * 0.05).collect();
                Slot::new(device.upload(shape, &values).unwrap())
            };
            let lora = Lora::new(slot(&[2, inputs]), slot(&[outputs, 2]), 1.0);
            let adapters = Adapters::new([((*layer).to_owned(), lora)].into());
            let load = |adapters: &Adapters| {
                let options = options(json!({}));
                model.encoder(LoadEncoder {
                    checkpoint: &folder,
                    device: &device,
                    options: &options,
                    adapters,
                })
            };
            assert_ne!(embed(load(&adapters).unwrap().as_ref(), ids), before, "{layer}");
            let misplaced = adapters.renamed(|name| name.replace("layer", "player")).unwrap();
            let Err(error) = load(&misplaced) else { panic!("{layer}: accepted") };
            assert!(error.to_string().contains("no linear layer called"), "{error}");
        }
    }
}

#[test]
fn models_are_listed_by_name_with_their_options() {
    let names: Vec<&str> = drug_models().iter().map(|model| model.name()).collect();
    assert_eq!(names, ["chemberta", "molformer"]);
    for model in drug_models() {
        assert!(!model.about().is_empty());
        assert!(model.options().iter().any(|option| option.name == "pooling"));
    }
}
