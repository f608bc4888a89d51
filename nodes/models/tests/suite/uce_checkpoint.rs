//! Folders of UCE as people have them: several models, added species, missing and damaged files.

use std::collections::BTreeMap;
use std::path::Path;

use crate::common::saved::{save, tensors};
use crate::common::uce::{encoder, golden_tokens, plain};
use crate::common::{Golden, embed, options};
use celldag_models::{Adapters, CellEncoder, LoadEncoder, Options, Purpose, cell_model};
use celldag_shaders::Device;
use serde_json::{Value, json};

/// A copy of the checkpoint, in which one can break things.
fn copy(golden: &Golden) -> tempfile::TempDir {
    let folder = tempfile::tempdir().unwrap();
    for entry in fs_err::read_dir(golden.checkpoint()).unwrap() {
        let from = entry.unwrap().path();
        let to = folder.path().join(from.file_name().unwrap());
        if from.is_dir() {
            fs_err::create_dir(&to).unwrap();
            for file in fs_err::read_dir(from).unwrap() {
                let file = file.unwrap().path();
                fs_err::copy(&file, to.join(file.file_name().unwrap())).unwrap();
            }
        } else {
            fs_err::copy(&from, &to).unwrap();
        }
    }
    folder
}

#[test]
fn folders_are_read_as_they_are_published() {
    let Some(golden) = Golden::open("uce") else { return };
    let model = cell_model("uce").unwrap();
    let names = |folder: &Path, purpose| -> Vec<String> {
        let files = model.files(folder, purpose, &Options::default()).unwrap();
        files.iter().map(|f| f.file_name().unwrap().to_string_lossy().into_owned()).collect()
    };
    let folder = copy(&golden);
    let root = folder.path();
    let embeds = ["4layer_model.torch", "all_tokens.torch", "species_chrom.csv", "species_offsets.pkl"];
    assert_eq!(names(root, Purpose::Embed), embeds);
    let of_species = |given: Value| -> Vec<String> {
        let files = model.files(root, Purpose::Tokenize, &options(given)).unwrap();
        files.iter().map(|f| f.file_name().unwrap().to_string_lossy().into_owned()).collect()
    };
    let human = names(root, Purpose::Tokenize);
    assert_eq!(human.len(), 5, "{human:?}");
    assert!(
        human.iter().any(|name| name.starts_with("Homo_sapiens"))
            && human.contains(&"all_tokens.torch".into())
    );
    let mouse = of_species(json!({"species": "mouse", "chrom_token_offset": 3131}));
    assert_eq!(mouse.len(), 4, "where chromosomes begin need not be read: {mouse:?}");
    assert!(mouse.iter().any(|name| name.starts_with("Mus_musculus")));
    let unknown = model.files(root, Purpose::Tokenize, &options(json!({"species": "yeast"}))).unwrap_err();
    assert!(unknown.to_string().contains("there are those of frog, human"), "{unknown}");
    // Both models in one folder.
    let thirty_three = root.join("33l_8ep_1024t_1280.torch");
    fs_err::copy(root.join("4layer_model.torch"), &thirty_three).unwrap();
    assert_eq!(names(root, Purpose::Embed), embeds, "one of both");
    let device = Device::cpu(1).unwrap();
    let encoder =
        encoder(root, &device, &json!({"version": "33l_8ep_1024t_1280"}), &Adapters::default()).unwrap();
    assert_eq!(encoder.info().options["version"], "33l_8ep_1024t_1280");
    fs_err::remove_file(root.join("4layer_model.torch")).unwrap();
    assert_eq!(names(root, Purpose::Embed)[0], "33l_8ep_1024t_1280.torch");
    // Without all_tokens.torch the chromosomes are the last rows of the weights' own table.
    let vocabulary = |root: &Path| {
        let made = model.tokenizer(root, &golden.genes, &Options::default()).unwrap();
        made.info().vocabulary.clone()
    };
    let before = vocabulary(root);
    assert_eq!(before, encoder.info().vocabulary);
    fs_err::remove_file(root.join("all_tokens.torch")).unwrap();
    assert_eq!(before, vocabulary(root));
    // Other chromosomes make another vocabulary, which embedding refuses, and may not fit the weights.
    let table = root.join("species_chrom.csv");
    let mut text = fs_err::read_to_string(&table).unwrap();
    text.push_str("ACTB,99,1,human\n");
    fs_err::write(&table, text).unwrap();
    fs_err::copy(golden.checkpoint().join("all_tokens.torch"), root.join("all_tokens.torch")).unwrap();
    assert_ne!(before, vocabulary(root));
    let load = LoadEncoder {
        checkpoint: root,
        device: &device,
        options: &Options::default(),
        adapters: &Adapters::default(),
    };
    let message = model.encoder(load).map(drop).unwrap_err().to_string();
    assert!(message.contains("3162 rows"), "{message}");
    fs_err::remove_file(thirty_three).unwrap();
    assert!(
        model
            .files(root, Purpose::Embed, &Options::default())
            .unwrap_err()
            .to_string()
            .contains("4layer_model.torch")
    );
}

#[test]
fn weights_are_complete_or_refused() {
    let Some(golden) = Golden::open("uce") else { return };
    let device = Device::cpu(2).unwrap();
    let folder = copy(&golden);
    let root = folder.path();
    let cells = &golden_tokens(&golden)[9..10];
    let published = tensors(&root.join("4layer_model.torch"));
    fs_err::remove_file(root.join("4layer_model.torch")).unwrap();
    let file = root.join("mine.safetensors");
    let load = || encoder(root, &device, &json!({}), &Adapters::default());
    // As parallel training saves them, and with one layer more.
    let mut changed = published.clone();
    for (name, tensor) in &published {
        if let Some(rest) = name.strip_prefix("transformer_encoder.layers.0.") {
            changed.insert(format!("transformer_encoder.layers.4.{rest}"), tensor.clone());
        }
    }
    let wrapped = changed.into_iter().map(|(name, tensor)| (format!("module.{name}"), tensor)).collect();
    save(&file, &wrapped);
    let deeper = load().unwrap();
    assert_eq!((deeper.info().variant.as_str(), deeper.info().layers), ("5 layers", 5));
    let shallow = encoder(root, &device, &json!({"layer": -2}), &Adapters::default()).unwrap();
    let want = embed(&plain(&golden, &device), cells);
    assert!(embed(&shallow, cells) == want && embed(&deeper, cells) != want);
    // Everything that is wrong is said at once.
    let mut changed = published.clone();
    changed.remove("transformer_encoder.layers.1.norm1.weight").unwrap();
    changed.insert("decoder.1.1.bias".to_owned(), (vec![3], vec![0.0; 3]));
    changed.insert("surprise".to_owned(), (vec![1], vec![0.0]));
    save(&file, &changed);
    let message = load().unwrap_err().to_string();
    for name in ["layers.1.norm1.weight", "decoder.1.1.bias", "surprise"] {
        assert!(message.contains(name), "{name}: {message}");
    }
    changed.remove("pos_encoder.pe").unwrap();
    save(&file, &changed);
    assert!(load().unwrap_err().to_string().contains("pos_encoder.pe"));
}

#[test]
fn the_table_of_added_species_replaces_that_of_the_weights() {
    let Some(golden) = Golden::open("uce") else { return };
    let device = Device::cpu(2).unwrap();
    let folder = copy(&golden);
    let root = folder.path();
    let cells = &golden_tokens(&golden)[9..10];
    let want = embed(&plain(&golden, &device), cells);
    let (shape, own) = tensors(&root.join("4layer_model.torch")).remove("pe_embedding.weight").unwrap();
    let with = |factor: f32| {
        let mut values: Vec<f32> = own.iter().map(|value| factor * value).collect();
        values.resize(own.len() + shape[1], 1.0);
        let table = (vec![shape[0] + 1, shape[1]], values);
        save(&root.join("all_tokens.torch"), &BTreeMap::from([("tensor".to_owned(), table)]));
        let values = json!({"chrom_token_offset": 3131});
        embed(&encoder(root, &device, &values, &Adapters::default()).unwrap(), cells)
    };
    // Rows are brought to length 1, so twice the table is the same table.
    assert!(with(2.0) == want && with(-1.0) != want);
    let message = encoder(root, &device, &json!({}), &Adapters::default()).unwrap_err().to_string();
    assert!(message.contains("chrom_token_offset"), "{message}");
}
