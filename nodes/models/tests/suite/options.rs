//! What holds for the options of every model: defaults are what they say, the files that are named are those that are read,
//! tensors may be left over only by name, and what changes results has a new epoch.

use std::path::{Path, PathBuf};

use crate::common::saved::{Tensors, save, tensors};
use crate::common::specimen::{Specimen, embedding};
use crate::common::{fixture, options};
use celldag_models::drug::{drug_model, drug_models};
use celldag_models::{
    Adapters, LoadEncoder, ModelError, ModelOption, OptionDefault, Options, Purpose, cell_models,
};
use celldag_shaders::Device;
use serde_json::{Map, Value};

const PURPOSES: [Purpose; 2] = [Purpose::Tokenize, Purpose::Embed];

#[test]
fn defaults_are_values_of_their_options() {
    let cells =
        cell_models().iter().flat_map(|model| PURPOSES.map(|purpose| (model.name(), model.options(purpose))));
    let drugs = drug_models().iter().map(|model| (model.name(), model.options()));
    for (model, options) in cells.chain(drugs) {
        for option in options {
            let value = option.default_value();
            match option.default {
                OptionDefault::Value(text) => assert!(
                    value.is_some_and(|value| option.ty.accepts(&value)),
                    "{model}: `{text}` is no value of `{}`",
                    option.name
                ),
                OptionDefault::Decided(how) => {
                    assert!(value.is_none() && how.len() > 1, "{model}: {}", option.name);
                }
            }
        }
    }
}

/// `given` with the defaults that can be written out.
fn written_out(given: &Value, options: &[ModelOption]) -> Value {
    let mut all: Map<String, Value> = given.as_object().unwrap().clone();
    for option in options {
        if let Some(default) = option.default_value() {
            all.entry(option.name).or_insert(default);
        }
    }
    Value::Object(all)
}

/// Fails unless the options that were used are those that are declared as defaults, where nothing was given.
fn assert_declared(used: &Map<String, Value>, given: &Value, options: &[ModelOption], name: &str) {
    for option in options.iter().filter(|option| given.get(option.name).is_none()) {
        if let Some(default) = option.default_value() {
            assert_eq!(used.get(option.name), Some(&default), "{name}: the default of `{}`", option.name);
        }
    }
}

#[test]
fn writing_a_default_out_changes_nothing() {
    let device = Device::cpu(2).unwrap();
    for specimen in Specimen::all() {
        let (name, model) = (specimen.name(), specimen.model);
        let plain = specimen.tokenizer().unwrap();
        let tokens = specimen.tokens(plain.as_ref());
        let encoder = specimen.encoder(&device, &Adapters::default()).unwrap();
        let vectors = embedding(encoder.as_ref(), &tokens).unwrap();
        let (of_tokens, of_cells) = (model.options(Purpose::Tokenize), model.options(Purpose::Embed));
        assert_declared(&plain.info().options, &specimen.tokenize, of_tokens, &name);
        assert_declared(&encoder.info().options, &specimen.embed, of_cells, &name);
        let mut written = specimen;
        written.tokenize = written_out(&written.tokenize, of_tokens);
        written.embed = written_out(&written.embed, of_cells);
        let again = written.tokenizer().unwrap();
        assert_eq!(again.info(), plain.info(), "{name}");
        assert!(written.tokens(again.as_ref()) == tokens, "{name}");
        let other = written.encoder(&device, &Adapters::default()).unwrap();
        assert_eq!(other.info(), encoder.info(), "{name}");
        assert!(embedding(other.as_ref(), &tokens).unwrap() == vectors, "{name}");
    }
}

/// A folder with the files that a model names for a purpose. Those of the other purpose are there, since a checkpoint may be
/// told by their names, but hold nothing that can be read.
fn only_the_files(specimen: &Specimen, purpose: Purpose) -> tempfile::TempDir {
    let folder = tempfile::tempdir().unwrap();
    let root = fs_err::canonicalize(&specimen.folder).unwrap();
    let named = |purpose| {
        let given = if purpose == Purpose::Embed { &specimen.embed } else { &specimen.tokenize };
        specimen.model.files(&specimen.folder, purpose, &options(given.clone())).unwrap()
    };
    let files = named(purpose);
    for file in PURPOSES.into_iter().flat_map(named) {
        let to = folder.path().join(file.strip_prefix(&root).unwrap());
        fs_err::create_dir_all(to.parent().unwrap()).unwrap();
        let content = if files.contains(&file) { fs_err::read(&file).unwrap() } else { b"?".to_vec() };
        fs_err::write(to, content).unwrap();
    }
    folder
}

#[test]
fn the_files_that_are_named_are_enough() {
    let device = Device::cpu(2).unwrap();
    for specimen in Specimen::all() {
        let name = specimen.name();
        let tokenizer = specimen.tokenizer().unwrap();
        let tokens = specimen.tokens(tokenizer.as_ref());
        let want =
            embedding(specimen.encoder(&device, &Adapters::default()).unwrap().as_ref(), &tokens).unwrap();
        let (for_tokens, for_cells) =
            (only_the_files(&specimen, Purpose::Tokenize), only_the_files(&specimen, Purpose::Embed));
        let mut elsewhere = specimen;
        elsewhere.folder = for_tokens.path().to_path_buf();
        let again = elsewhere.tokenizer().unwrap_or_else(|error| panic!("{name}: {error}"));
        assert_eq!(again.info().vocabulary, tokenizer.info().vocabulary, "{name}");
        assert!(elsewhere.tokens(again.as_ref()) == tokens, "{name}");
        elsewhere.folder = for_cells.path().to_path_buf();
        let encoder = elsewhere.encoder(&device, &Adapters::default());
        let encoder = encoder.unwrap_or_else(|error| panic!("{name}: {error}"));
        assert!(embedding(encoder.as_ref(), &tokens).unwrap() == want, "{name}");
    }
}

#[test]
fn the_files_of_drug_models_are_enough() {
    let device = Device::cpu(2).unwrap();
    for (name, golden) in [
        ("molformer", "molformer/checkpoint"),
        ("molformer", "molformer/checkpoint/original_ibm"),
        ("chemberta", "chemberta_77m/checkpoint"),
        ("chemberta", "chemberta_zinc/checkpoint"),
    ] {
        let Some(folder) = fixture(&format!("golden/{golden}")) else { return };
        let model = drug_model(name).unwrap();
        let alone = tempfile::tempdir().unwrap();
        for file in model.files(&folder).unwrap() {
            fs_err::copy(&file, alone.path().join(file.file_name().unwrap())).unwrap();
        }
        let vectors = |folder: &Path| {
            let (options, adapters) = (Options::default(), Adapters::default());
            let tokenizer = model.tokenizer(folder, &options).unwrap();
            let drugs = ["CCO", "C[C@H](N)Cl"].map(|smiles| tokenizer.tokenize(smiles).tokens);
            let load =
                LoadEncoder { checkpoint: folder, device: &device, options: &options, adapters: &adapters };
            let vectors = embedding(model.encoder(load).unwrap().as_ref(), &drugs).unwrap();
            (drugs, vectors)
        };
        assert!(vectors(&folder) == vectors(alone.path()), "{golden}");
    }
}

/// Where the weights of a specimen are in one file, without whose other content it can be loaded.
fn weights_file(specimen: &Specimen) -> Option<PathBuf> {
    const NAMES: [&str; 8] = [
        "model.safetensors",
        "pytorch_model.bin",
        "best_model.pt",
        "4layer_model.torch",
        "panglao_pretrain.pth",
        "checkpoint4_fixed.pth",
        "20230926_85M.best.ckpt",
        "weights.safetensors",
    ];
    let read = specimen.model.files(&specimen.folder, Purpose::Embed, &Options::default()).unwrap();
    read.into_iter().find(|file| NAMES.iter().any(|name| file.ends_with(name)))
}

/// Loads the encoder of a specimen with tensors that may be left over, and embeds its cells.
fn embedded(specimen: &Specimen, allowed: &[&str]) -> Result<Vec<f32>, ModelError> {
    let device = Device::cpu(2).unwrap();
    let allowed = allowed.iter().map(|&pattern| pattern.to_owned()).collect();
    let (options, adapters) = (options(specimen.embed.clone()).allowing_unused(allowed), Adapters::default());
    let load =
        LoadEncoder { checkpoint: &specimen.folder, device: &device, options: &options, adapters: &adapters };
    let encoder = specimen.model.encoder(load)?;
    embedding(encoder.as_ref(), &specimen.tokens(specimen.tokenizer()?.as_ref()))
}

#[test]
fn tensors_are_left_over_by_name_only() {
    let mut seen = 0;
    for specimen in Specimen::all().into_iter().map(Specimen::copied) {
        let (Some(file), name) = (weights_file(&specimen), specimen.name()) else { continue };
        seen += 1;
        let published: Tensors = tensors(&file);
        let nested = published.keys().all(|name| name.starts_with("model_state_dict."));
        let prefix = if nested { "model_state_dict." } else { "" };
        let with = |more: &[&str]| {
            let mut changed = published.clone();
            for extra in more {
                changed.insert(format!("{prefix}{extra}"), (vec![2], vec![1.0, 2.0]));
            }
            save(&file, &changed);
        };
        with(&[]);
        let want = embedded(&specimen, &[]).unwrap();
        let message = embedded(&specimen, &["zz_*"]).unwrap_err().to_string();
        assert!(message.contains("`zz_*`") && message.contains("no tensor"), "{name}: {message}");
        with(&["zz_extra.bias", "zz_extra.weight"]);
        let message = embedded(&specimen, &[]).unwrap_err().to_string();
        for part in ["`zz_extra.bias`", "`zz_extra.weight`", "2 left over", "allow_unused"] {
            assert!(message.contains(part), "{name}: {message}");
        }
        let message = embedded(&specimen, &["zz_extra.bias"]).unwrap_err().to_string();
        assert!(!message.contains("`zz_extra.bias`") && message.contains("1 left over"), "{name}: {message}");
        for allowed in [["zz_extra.*"].as_slice(), &["zz_extra."], &["zz_extra.bias", "*a.weight"]] {
            assert!(embedded(&specimen, allowed).unwrap() == want, "{name}: {allowed:?}");
        }
        let message = embedded(&specimen, &["zz_extra.*", "zz_extro.*"]).unwrap_err().to_string();
        assert!(message.contains("`zz_extro.*`") && !message.contains("`zz_extra.*`"), "{name}: {message}");
        // What is missing stays an error, whatever may be left over.
        let mut less = published.clone();
        let (lost, _) = less.pop_last().unwrap();
        let (other, _) = less.pop_first().unwrap();
        save(&file, &less);
        if embedded(&specimen, &[]).is_err() {
            let message = embedded(&specimen, &["*"]).unwrap_err().to_string();
            assert!(message.contains("missing"), "{name} without {lost} and {other}: {message}");
        }
    }
    assert!(seen >= 1, "the model that is made here, if no fixture is there");
}

/// What the results of a model follow from besides its files: if a line of these changes, `CellModel::epoch` must be
/// raised, else stored results of before would be taken for those of now. Model, fixture, epoch, BLAKE3 of the options with
/// their defaults, BLAKE3 of the tokens of three cells.
const EPOCHS: &str = include_str!("../files/epochs.tsv");

fn short(hasher: &blake3::Hasher) -> String {
    hasher.finalize().to_hex()[..16].to_owned()
}

/// Names and defaults, not descriptions.
fn digest_of(options: &[&[ModelOption]]) -> String {
    let mut hasher = blake3::Hasher::new();
    for option in options.iter().copied().flatten() {
        hasher.update(format!("{}\t{}\n", option.name, option.default).as_bytes());
    }
    short(&hasher)
}

#[test]
fn what_changes_results_has_a_new_epoch() {
    let recorded = |model: &str, fixture: &str| -> Vec<String> {
        let mut lines = EPOCHS.lines().map(|line| line.split('\t').map(str::to_owned).collect::<Vec<_>>());
        lines.find(|line| line[0] == model && line[1] == fixture).unwrap_or_default()
    };
    let mut wrong = String::new();
    let mut check = |line: [String; 5]| {
        if recorded(&line[0], &line[1]) != line {
            wrong.push_str(&format!("{}\n", line.join("\t")));
        }
    };
    for specimen in Specimen::all() {
        let model = specimen.model;
        let fixture = specimen.folder.parent().and_then(Path::file_name).unwrap().to_string_lossy();
        let fixture = if model.name() == "bert-text" { "made" } else { &*fixture };
        let mut tokens = blake3::Hasher::new();
        for cell in specimen.tokens(specimen.tokenizer().unwrap().as_ref()) {
            // Logarithms may differ in their last digits between machines.
            let values: Vec<String> = cell.values.iter().map(|value| format!("{value:.2}")).collect();
            tokens.update(format!("{:?} {values:?}\n", cell.ids).as_bytes());
        }
        let options = digest_of(&PURPOSES.map(|purpose| model.options(purpose)));
        let (name, epoch) = (model.name().to_owned(), model.epoch().to_string());
        check([name, fixture.to_owned(), epoch, options, short(&tokens)]);
    }
    for (name, fixture_name) in
        [("chemberta", "chemberta_77m"), ("chemberta", "chemberta_zinc"), ("molformer", "molformer")]
    {
        let Some(folder) = fixture(&format!("golden/{fixture_name}/checkpoint")) else { continue };
        let model = drug_model(name).unwrap();
        let tokenizer = model.tokenizer(&folder, &Options::default()).unwrap();
        let mut tokens = blake3::Hasher::new();
        for smiles in ["CCO", "C[C@H](N)C(=O)O", "[Na+].Clc1ccccc1Br"] {
            tokens.update(format!("{:?}\n", tokenizer.tokenize(smiles).tokens.ids).as_bytes());
        }
        let options = digest_of(&[model.options()]);
        check([name.to_owned(), fixture_name.to_owned(), model.epoch().to_string(), options, short(&tokens)]);
    }
    assert!(
        wrong.is_empty(),
        "tokens or defaults changed: raise the epoch of the model, unless its line here is new, and write the lines into \
         nodes/models/tests/files/epochs.tsv:\n{wrong}"
    );
}
