//! Gradients of every weight of a BERT (Geneformer) and a GPT-2 (tGPT) against PyTorch's in double precision
//! (`tests/python/make_base_gradients.py`).

use std::path::{Path, PathBuf};

use celldag_data::checkpoint::{SafetensorsFile, Weights};
use celldag_models::blocks::{BertEncoder, BertShape, BertSizes};
use celldag_models::tgpt::{Config, Decoder};
use celldag_models::{Adapters, CellTokens, ModelError, Params, TrainedWeight, assemble};
use celldag_shaders::ops::Activation;
use celldag_shaders::{Device, Tape, Tensor};
use serde_json::json;

const WORDS: usize = 23;
const WIDTH: usize = 16;
const PLACES: usize = 8;
const LAYERS: usize = 2;

/// Token states of cells.
type States = Box<dyn Fn(&[CellTokens]) -> Result<Tensor, ModelError>>;

struct Fixture {
    path: PathBuf,
    file: SafetensorsFile,
}

impl Fixture {
    fn open(name: &str) -> Self {
        let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/files").join(name);
        Self { file: SafetensorsFile::open(&path).unwrap(), path }
    }

    fn floats(&self, name: &str) -> Vec<f32> {
        self.file.read(name).unwrap().as_chunks().0.iter().map(|&b| f32::from_le_bytes(b)).collect()
    }

    fn cells(&self) -> Vec<CellTokens> {
        let integers = |name: &str| -> Vec<u32> {
            self.file.read(name).unwrap().as_chunks().0.iter().map(|&b| u32::from_le_bytes(b)).collect()
        };
        let tokens = integers("cells.tokens");
        let mut left = tokens.as_slice();
        let cell = |length: u32| {
            let (cell, rest) = left.split_at(length as usize);
            left = rest;
            CellTokens::of_ids(cell.to_vec())
        };
        integers("cells.lengths").into_iter().map(cell).collect()
    }

    /// Fails unless the gradients of all weights of the model that `load` takes are those of the file.
    fn agrees(&self, load: impl FnOnce(&Params<'_>) -> Result<States, ModelError>) {
        let device = Device::cpu(2).unwrap();
        let weights = Weights::open(&[&self.path]).unwrap();
        let adapters = Adapters::default().training(&["*".to_owned()]).unwrap();
        let states = load(&Params::new(&weights, &device).adapted(&adapters)).unwrap();
        let tape = Tape::new();
        let watch = |weight: &TrainedWeight| {
            let watched = tape.watch(&weight.slot.get());
            weight.slot.set(watched.clone());
            watched
        };
        let trained = adapters.trained();
        let watched: Vec<Tensor> = trained.iter().map(watch).collect();
        let output = states(&self.cells()).unwrap();
        let factors = device.upload(output.shape(), &self.floats("factors")).unwrap();
        let gradients = tape.gradients(&output, &factors).unwrap();
        let of = |tensor: &Tensor| match gradients.of(tensor) {
            Some(gradient) => gradient.read().unwrap(),
            None => panic!("a weight has no gradient"),
        };
        let got =
            assemble(trained.iter().zip(&watched).map(|(weight, watched)| (weight, of(watched)))).unwrap();
        let wanted: Vec<String> = self
            .file
            .names()
            .iter()
            .filter_map(|name| name.strip_prefix("grad."))
            .map(str::to_owned)
            .collect();
        assert_eq!(got.keys().collect::<Vec<_>>(), wanted.iter().collect::<Vec<_>>());
        let largest = |values: &[f32]| values.iter().fold(0.0, |most: f32, value| most.max(value.abs()));
        let all =
            wanted.iter().map(|name| largest(&self.floats(&format!("grad.{name}")))).fold(0.0, f32::max);
        for (name, (_, got)) in &got {
            let want = self.floats(&format!("grad.{name}"));
            let difference: Vec<f32> = got.iter().zip(&want).map(|(a, b)| a - b).collect();
            // The bias of keys changes nothing: its gradient is rounding, and measured by the others'.
            let scale = largest(&want).max(1e-3 * all);
            let error = largest(&difference) / scale;
            println!("{name}: {error:.1e} of {scale:.1e}");
            assert!(got.len() == want.len() && error < 1e-5, "{name}: {error}");
        }
    }
}

#[test]
fn bert_learns_as_in_torch() {
    Fixture::open("bert_gradients.safetensors").agrees(|params| {
        let layer =
            BertShape { hidden: WIDTH, heads: 4, intermediate: 24, activation: Activation::Gelu, eps: 1e-12 };
        let sizes = BertSizes { vocabulary: WORDS, context: PLACES, types: 2, layers: LAYERS, layer };
        let model = BertEncoder::load(&params.at("bert"), &sizes)?;
        Ok(Box::new(move |cells| Ok(model.states(cells, LAYERS)?.0)))
    });
}

#[test]
fn gpt2_learns_as_in_torch() {
    let config =
        json!({"vocab_size": WORDS, "n_embd": WIDTH, "n_layer": LAYERS, "n_head": 4, "n_positions": PLACES});
    let config: Config = serde_json::from_value(config).unwrap();
    Fixture::open("gpt2_gradients.safetensors").agrees(|params| {
        let model = Decoder::load(params, &config, true)?;
        Ok(Box::new(move |cells| Ok(model.states(cells, LAYERS)?.0)))
    });
}
