//! Configurations with other numbers and weights of other shapes: an error or a model, never a panic, and never much memory.

#![allow(
    clippy::unwrap_used,
    clippy::print_stdout,
    clippy::expect_used,
    reason = "a test says what it skips and stops at what fails"
)]

#[allow(dead_code, reason = "this program uses a part")]
#[path = "suite/common/mod.rs"]
mod common;

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::{Path, PathBuf};

use celldag_data::checkpoint::Weights;
use celldag_models::Adapters;
use celldag_models::drug::drug_model;
use celldag_shaders::Device;
use common::drugs::{CHEMBERTA, Drugs, folder_with, load};
use common::options;
use common::saved::{save, tensors};
use common::specimen::{Specimen, embedding};
use proptest::prelude::*;
use proptest::sample::Index;
use serde_json::{Value, json};

/// More memory than any of these files may cost, in bytes.
const MOST: u64 = 4 << 30;

/// What stands in a damaged file in place of a number.
fn strange() -> Vec<Value> {
    let whole =
        [0, 1, 3, 1 << 20, 1 << 31, (1 << 32) - 1, 1 << 63, u64::MAX].map(|number: u64| json!(number));
    [whole.to_vec(), vec![json!(-1), json!(3.5), json!(-1e300), Value::Null, json!("7")]].concat()
}

/// Opens tokenizer and encoder, and embeds; errors are answers as good as vectors. What panics is told.
fn opens(specimen: &Specimen, what: &str) {
    let device = Device::cpu(1).unwrap();
    let open = || {
        let tokens = specimen.tokenizer().map(|tokenizer| specimen.tokens(tokenizer.as_ref()));
        let encoder = specimen.encoder(&device, &Adapters::default());
        if let (Ok(tokens), Ok(encoder)) = (tokens, encoder) {
            drop(embedding(encoder.as_ref(), &tokens));
        }
    };
    assert!(catch_unwind(AssertUnwindSafe(open)).is_ok(), "{}: {what} panics", specimen.model.name());
}

/// The most memory that this process had, where the system tells.
fn bounded() {
    let status = fs_err::read_to_string("/proc/self/status").unwrap_or_default();
    let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:"));
    let Some(kilobytes) = line.and_then(|line| line.split_whitespace().next()?.parse::<u64>().ok()) else {
        return;
    };
    assert!(kilobytes << 10 < MOST, "{kilobytes} kB of memory");
}

/// Places of all numbers in a value, as JSON pointers.
fn numbers(value: &Value, at: &str, out: &mut Vec<String>) {
    match value {
        Value::Number(_) => out.push(at.to_owned()),
        Value::Object(fields) => {
            fields.iter().for_each(|(name, value)| numbers(value, &format!("{at}/{name}"), out));
        }
        _ => {}
    }
}

/// A copy of a checkpoint, with its configuration where the model has one as JSON.
struct Copied {
    specimen: Specimen,
    config: PathBuf,
    published: Value,
    numbers: Vec<String>,
}

impl Copied {
    fn all() -> Vec<Self> {
        Specimen::all().into_iter().filter_map(|specimen| Self::of(specimen.copied())).collect()
    }

    fn of(specimen: Specimen) -> Option<Self> {
        if specimen.model.name() == "scfoundation" {
            as_safetensors(&specimen.folder);
        }
        let config = specimen
            .file(|name| name == "config.json" || name == "args.json" || name.ends_with(".config.json"))?;
        let published: Value = serde_json::from_slice(&fs_err::read(&config).unwrap()).unwrap();
        let mut places = Vec::new();
        numbers(&published, "", &mut places);
        assert!(places.len() > 3, "{}", specimen.name());
        Some(Self { specimen, config, published, numbers: places })
    }

    fn opens_with(&self, changes: &[(&str, &Value)]) {
        let mut changed = self.published.clone();
        for (place, value) in changes {
            *changed.pointer_mut(place).unwrap() = (*value).clone();
        }
        fs_err::write(&self.config, changed.to_string()).unwrap();
        opens(&self.specimen, &format!("{changes:?}"));
    }
}

/// The model for cells of a scFoundation in the format that has its configuration beside it.
fn as_safetensors(folder: &Path) {
    let file = folder.join("models/models.ckpt");
    let config = Weights::open(&[&file]).unwrap().data(&["cell", "config"]).unwrap();
    let cell = tensors(&file).into_iter().filter(|(name, _)| name.starts_with("cell.")).collect();
    fs_err::remove_dir_all(folder.join("models")).unwrap();
    save(&folder.join("cell.safetensors"), &cell);
    fs_err::write(folder.join("config.json"), config.to_string()).unwrap();
}

#[test]
fn any_number_of_a_configuration_may_be_another() {
    let every = |copied: &Copied| {
        for place in &copied.numbers {
            for value in &strange() {
                copied.opens_with(&[(place, value)]);
            }
        }
        copied.specimen.model.name()
    };
    let copies = Copied::all();
    // Two at a time, as memory is counted for all: one after another they are the longest test of this repository.
    let models: Vec<_> = std::thread::scope(|scope| {
        let halves = copies.chunks(copies.len().div_ceil(2));
        let started: Vec<_> =
            halves.map(|half| scope.spawn(move || half.iter().map(every).collect::<Vec<_>>())).collect();
        started.into_iter().flat_map(|half| half.join().unwrap()).collect()
    });
    println!("{models:?}");
    bounded();
}

#[test]
fn any_number_of_a_drug_model_may_be_another() {
    let device = Device::cpu(1).unwrap();
    for (name, model, files) in [
        ("chemberta_77m", "chemberta", &[&CHEMBERTA[..], &["pytorch_model.bin"]].concat()[..]),
        ("molformer", "molformer", &["config.json", "vocab.json", "model.safetensors"]),
    ] {
        let Some(drugs) = Drugs::open(name, model) else { continue };
        let folder = folder_with(&drugs.checkpoint(), files);
        let published: Value =
            serde_json::from_slice(&fs_err::read(folder.path().join("config.json")).unwrap()).unwrap();
        let mut places = Vec::new();
        numbers(&published, "", &mut places);
        let file = folder.path().join("config.json");
        fs_err::remove_file(&file).unwrap();
        for (place, value) in
            places.iter().flat_map(|place| strange().into_iter().map(move |value| (place, value)))
        {
            let mut changed = published.clone();
            *changed.pointer_mut(place).unwrap() = value.clone();
            fs_err::write(&file, changed.to_string()).unwrap();
            let open = || {
                let tokenizer = drug_model(model).unwrap().tokenizer(folder.path(), &options(json!({})));
                let encoder = load(model, folder.path(), &device, json!({}));
                if let (Ok(tokenizer), Ok(encoder)) = (tokenizer, encoder) {
                    drop(embedding(encoder.as_ref(), &[tokenizer.tokenize("CC(=O)O").tokens]));
                }
            };
            assert!(catch_unwind(AssertUnwindSafe(open)).is_ok(), "{model}: {place} {value} panics");
        }
    }
    bounded();
}

#[test]
fn any_two_numbers_of_a_configuration_may_be_others() {
    let (all, values) = (Copied::all(), strange());
    let of_value = 0..values.len();
    let case = (any::<Index>(), [any::<Index>(), any::<Index>()], [of_value.clone(), of_value]);
    proptest!(ProptestConfig { failure_persistence: None, ..ProptestConfig::with_cases(128) }, |((model, places, changes) in case)| {
        let copied = model.get(&all);
        let [one, two] = places.map(|place| place.get(&copied.numbers).as_str());
        copied.opens_with(&[(one, &values[changes[0]]), (two, &values[changes[1]])]);
    });
    bounded();
}

#[test]
fn any_extent_of_a_tensor_may_be_another() {
    for specimen in Specimen::all() {
        // Those that know their sizes from their weights alone.
        if !["uce", "scbert", "celllm"].contains(&specimen.model.name()) {
            continue;
        }
        let specimen = specimen.copied();
        let file = specimen.file(|name| name.ends_with(".pth") || name == "4layer_model.torch").unwrap();
        let published = tensors(&file);
        fs_err::remove_file(&file).unwrap();
        let file = file.with_extension("safetensors");
        for (name, (shape, _)) in &published {
            for axis in 0..shape.len() {
                for extent in [0, 1] {
                    let mut changed = published.clone();
                    let mut shape = shape.clone();
                    shape[axis] = extent;
                    let values = vec![0.5; shape.iter().product()];
                    changed.insert(name.clone(), (shape.clone(), values));
                    save(&file, &changed);
                    opens(&specimen, &format!("{name} {shape:?}"));
                }
            }
        }
        let empty =
            published.iter().map(|(name, (shape, _))| (name.clone(), (vec![0; shape.len()], Vec::new())));
        save(&file, &empty.collect());
        opens(&specimen, "all extents 0");
    }
    bounded();
}
