//! Fine-tuning in parts, with noise and in little memory, from a folder of peft. That its numbers are those of PyTorch and
//! peft is tested model by model (`crate::common::learning`).

use std::collections::BTreeMap;

use crate::common::{Golden, assert_close, devices, options};
use celldag_models::training::{
    FineTuning, LabelledTokens, LossKind, Network, Objective, Optimizer, TunedLayer, TuningSettings,
};
use celldag_models::{
    Adapters, Batch, CellEncoder, CellTokens, InputDropout, LoadEncoder, Lora, ModelError, PeftAdapter, Slot,
    cell_model, chosen_layers,
};
use celldag_shaders::ops::Adam;
use celldag_shaders::{Device, Tensor};
use serde_json::{Value, json};

const FIXTURE: &str = "geneformer-v1";

fn mean(layer: i32) -> Value {
    json!({"layer": layer, "pooling": "mean"})
}

/// What a run starts from, as a model that was loaded with its adapters.
struct Start {
    encoder: Box<dyn CellEncoder>,
    tuning: FineTuning,
    cells: Vec<CellTokens>,
    labels: Vec<usize>,
    names: Vec<String>,
}

fn adam(lr: f64) -> Optimizer {
    Optimizer::Adam(Adam { lr, ..Adam::default() })
}

fn settings(parts: usize) -> TuningSettings {
    TuningSettings {
        optimizer: adam(1e-3),
        clip: None,
        parts,
        dropout: 0.0,
        seed: 0,
        memory: None,
        recompute: false,
    }
}

impl Start {
    fn new(golden: &Golden, readout: &Value, device: &Device, settings: TuningSettings) -> Self {
        let peft = PeftAdapter::read(&golden.folder.join("adapter")).unwrap();
        let dropout = InputDropout::default();
        let mut layers = BTreeMap::new();
        for (name, layer) in &peft.layers {
            let slot = |shape: [usize; 2], values: &[f32]| Slot::new(device.upload(&shape, values).unwrap());
            let (a, b) =
                (slot([layer.rank, layer.inputs], &layer.a), slot([layer.outputs, layer.rank], &layer.b));
            layers.insert(name.clone(), Lora::new(a, b, layer.scale).with_dropout(dropout.of_layer(name)));
        }
        let adapters = Adapters::new(layers.clone());
        let options = options(readout.clone());
        let checkpoint = golden.checkpoint();
        let load = LoadEncoder { checkpoint: &checkpoint, device, options: &options, adapters: &adapters };
        let encoder = cell_model("geneformer").unwrap().encoder(load).unwrap();
        let names = layers.keys().cloned().collect();
        let layers = layers.into_iter().map(|(name, lora)| TunedLayer::adapter(name, &lora).unwrap());
        let (mut widths, mut values) = (vec![encoder.info().dim], Vec::new());
        for layer in ["fc1", "fc2", "fc3"] {
            let bias = golden.f32s(&format!("ft.init.head.{layer}.bias"));
            widths.push(bias.len());
            values.push((golden.f32s(&format!("ft.init.head.{layer}.weight")), bias));
        }
        let head = Network::from_values(device, &widths, &values).unwrap();
        let objective = Objective::new(LossKind::Bce, 2);
        let tuning = FineTuning::new(device, (layers.collect(), dropout), head, objective, settings);
        let all = golden.tokens();
        let cells = golden.i32s("ft.cell_index");
        let cells = cells.iter().map(|&cell| all[usize::try_from(cell).unwrap()].clone()).collect();
        let labels = golden.i64s("ft.label").iter().map(|&label| usize::try_from(label).unwrap()).collect();
        Self { encoder, tuning, cells, labels, names }
    }

    /// Loss and gradients of all cells.
    fn gradients(&mut self) -> Result<(f64, Vec<Tensor>), ModelError> {
        let (keys, alone) = alone(self.cells.len());
        let (tokens, class) = (&self.cells, &self.labels);
        let batch = LabelledTokens { tokens, keys: &keys, class, neighbourhoods: &alone };
        self.tuning.gradients(self.encoder.as_ref(), batch)
    }

    /// Learns from all cells.
    fn learn(&mut self) -> f64 {
        let (keys, alone) = alone(self.cells.len());
        let (tokens, class) = (&self.cells, &self.labels);
        let batch = LabelledTokens { tokens, keys: &keys, class, neighbourhoods: &alone };
        self.tuning.learn(self.encoder.as_ref(), batch, 1.0).unwrap().loss
    }
}

/// Numbers of the cells, and that each is alone.
fn alone(cells: usize) -> (Vec<u32>, Vec<usize>) {
    ((0..cells).map(|cell| u32::try_from(cell).unwrap()).collect(), vec![1; cells])
}

#[test]
fn a_folder_of_peft_is_where_the_reference_run_starts() {
    let Some(golden) = Golden::open(FIXTURE) else { return };
    let device = Device::cpu(2).unwrap();
    let mut start = Start::new(&golden, &mean(-1), &device, settings(1));
    for &want in &golden.f32s("ft.loss") {
        assert_close(&[start.learn() as f32], &[want], 1e-5, "loss");
    }
}

/// All values of gradients, one after the other.
fn flat(gradients: &[Tensor]) -> Vec<f32> {
    gradients.iter().flat_map(|gradient| gradient.read().unwrap()).collect()
}

#[test]
fn a_batch_in_parts_has_the_gradient_of_the_whole() {
    let Some(golden) = Golden::open(FIXTURE) else { return };
    let device = Device::cpu(2).unwrap();
    let gradients = |settings: TuningSettings, device: &Device| {
        let mut start = Start::new(&golden, &mean(-1), device, settings);
        let (loss, gradients) = start.gradients().unwrap();
        (loss, flat(&gradients), start.tuning)
    };
    let noisy = |parts| TuningSettings { dropout: 0.3, seed: 5, ..settings(parts) };
    let (loss, whole, tuning) = gradients(noisy(1), &device);
    assert!(!tuning.recomputed() && tuning.peak() > 0);
    for parts in [2, 3, 8, 100] {
        // Also the noise is that of the whole batch.
        let (in_parts, gradient, _) = gradients(noisy(parts), &device);
        assert!((in_parts - loss).abs() < 1e-6, "{parts} parts: {in_parts}, not {loss}");
        assert_close(&gradient, &whole, 1e-6, &format!("{parts} parts"));
    }
    let (other, _, _) = gradients(TuningSettings { seed: 6, ..noisy(1) }, &device);
    assert!((other - loss).abs() > 1e-6, "another seed is other noise");

    // Little memory: layers are computed twice, to the same bits; with less, it is an
    // error: a batch in parts has other last bits, and results must not depend on the memory that was free.
    let peak = tuning.peak();
    let limited = |memory: u64| gradients(TuningSettings { memory: Some(memory), ..noisy(1) }, &device);
    let (again, gradient, tuning) = limited(peak - 1);
    assert!(tuning.recomputed());
    assert_eq!((again, gradient), (loss, whole.clone()), "recomputation changes no bit");
    let twice = tuning.peak();
    assert!(twice < peak, "{twice} < {peak}");
    let less = TuningSettings { memory: Some(twice - 1), ..noisy(1) };
    let mut start = Start::new(&golden, &mean(-1), &device, less);
    let error = start.gradients().unwrap_err();
    assert!(error.is_out_of_memory(), "{error}");
    let parts = TuningSettings { memory: Some(twice - 1), ..noisy(2) };
    Start::new(&golden, &mean(-1), &device, parts).gradients().unwrap();

    // Threads change nothing.
    assert_eq!(gradients(noisy(1), &Device::cpu(1).unwrap()).1, whole);
}

#[test]
fn adapters_behind_the_layer_that_is_read_are_left_out() {
    let Some(golden) = Golden::open(FIXTURE) else { return };
    let device = Device::cpu(2).unwrap();
    let mut start = Start::new(&golden, &mean(-2), &device, settings(1));
    let (_, alone) = alone(start.cells.len());
    let batch = Batch { cells: &start.cells, neighbourhoods: &alone };
    let left = start.tuning.drop_unreached(start.encoder.as_ref(), batch).unwrap();
    let last: Vec<&String> = start.names.iter().filter(|name| name.contains("layer.2.")).collect();
    assert_eq!(left.iter().collect::<Vec<_>>(), last);
    assert_eq!(start.tuning.adapters().unwrap().len(), start.names.len() - last.len());
}

#[test]
fn every_model_shows_the_layers_of_its_targets_without_memory() {
    let fixtures = ["cellplm", "geneformer-v2", "scbert", "scfoundation", "scgpt", "tgpt", "uce"];
    for fixture in fixtures {
        let Some(golden) = Golden::open(fixture) else { return };
        let model = cell_model(fixture.split('-').next().unwrap()).unwrap();
        let version = if fixture == "cellplm" { json!({"version": "20230926_85M"}) } else { json!({}) };
        for device in devices() {
            let (options, seen, checkpoint) =
                (options(version.clone()), Adapters::default(), golden.checkpoint());
            let load =
                LoadEncoder { checkpoint: &checkpoint, device: &device, options: &options, adapters: &seen };
            device.rehearse(|| model.encoder(load).map(drop)).unwrap();
            let targets: Vec<String> = model.lora_targets().iter().map(|&target| target.to_owned()).collect();
            let chosen = chosen_layers(&seen.layers_seen(), &targets).unwrap();
            assert!(chosen.len() > 1, "{fixture}: {chosen:?}");
        }
    }
}

#[test]
fn what_was_saved_learns_on_to_the_same_bits() {
    let Some(golden) = Golden::open(FIXTURE) else { return };
    let device = Device::cpu(2).unwrap();
    let noisy = || TuningSettings {
        dropout: 0.3,
        seed: 5,
        clip: Some(0.1),
        optimizer: Optimizer::AdamW(Adam { lr: 1e-2, weight_decay: 0.1, ..Adam::default() }),
        ..settings(2)
    };
    let start = || Start::new(&golden, &mean(-1), &device, noisy());
    let bits =
        |start: &Start| flat(&start.tuning.snapshot()).into_iter().map(f32::to_bits).collect::<Vec<_>>();
    let mut undisturbed = start();
    let losses: Vec<f64> = (0..4).map(|_| undisturbed.learn()).collect();
    let mut first = start();
    assert_eq!([first.learn(), first.learn()], losses[..2]);
    let saved = first.tuning.save().unwrap();
    let mut second = start();
    assert!(second.tuning.load(&saved).unwrap());
    assert_eq!(second.tuning.save().unwrap(), saved);
    assert_eq!(bits(&second), bits(&first));
    assert_eq!([second.learn(), second.learn()], losses[2..]);
    assert_eq!(bits(&second), bits(&undisturbed));

    // The state of a moment, without what the optimiser remembers.
    let kept = first.tuning.snapshot();
    let saved_kept = first.tuning.save_kept(&kept).unwrap();
    let again = second.tuning.load_kept(&saved_kept).unwrap().expect("the same layers");
    second.tuning.restore(&again).unwrap();
    assert_eq!(bits(&second), bits(&first));

    // Of other layers: nothing changes.
    let mut fewer = Start::new(&golden, &mean(-2), &device, noisy());
    let (_, alone) = alone(fewer.cells.len());
    let batch = Batch { cells: &fewer.cells, neighbourhoods: &alone };
    fewer.tuning.drop_unreached(fewer.encoder.as_ref(), batch).unwrap();
    let other = fewer.tuning.save().unwrap();
    let before = bits(&second);
    assert!(!second.tuning.load(&other).unwrap());
    assert_eq!(bits(&second), before);
}
