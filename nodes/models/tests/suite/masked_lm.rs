//! Masked-gene training against transformers and PyTorch (`tests/python/masked_lm.py` wrote the numbers), and as a training:
//! it learns what gene frequencies cannot say, in parts and in little memory, and goes on where it was stopped.

use std::path::Path;

use crate::common::{assert_close, devices};
use celldag_data::checkpoint::{SafetensorsFile, Weights};
use celldag_models::pretraining::{
    FIRST_GENE, Frequencies, MASK, MaskEpoch, MaskedCell, MaskedLm, Masking, ModelShape, PretrainSettings,
    Pretraining, initial_tensors, mask_seed, serialized,
};
use celldag_models::{Adapters, Tensors};
use celldag_shaders::Device;
use celldag_shaders::ops::Adam;

/// Sizes of the fixture's model.
fn shape() -> ModelShape {
    ModelShape {
        layers: 2,
        hidden: 16,
        heads: 2,
        feedforward: 24,
        context: 20,
        activation: "relu".to_owned(),
    }
}

const VOCABULARY: usize = 37;

fn settings(lr: f64, weight_decay: f64) -> PretrainSettings {
    let adam = Adam { lr, weight_decay, ..Adam::default() };
    PretrainSettings { adam, clip: None, parts: 1, memory: None, recompute: false }
}

fn model(device: &Device, tensors: &Tensors, vocabulary: usize, settings: PretrainSettings) -> Pretraining {
    model_of(&shape(), device, tensors, vocabulary, settings)
}

fn model_of(
    shape: &ModelShape,
    device: &Device,
    tensors: &Tensors,
    vocabulary: usize,
    settings: PretrainSettings,
) -> Pretraining {
    let weights = Weights::from_bytes(Path::new("made"), serialized(tensors).unwrap()).unwrap();
    let adapters = Adapters::default().training(&["*".to_owned()]).unwrap();
    let model = MaskedLm::load(&weights, &shape.config(vocabulary).unwrap(), device, &adapters).unwrap();
    let count: usize = tensors.values().map(|(_, values)| values.len()).sum();
    assert_eq!(model.parameters(), count);
    let trained = adapters.trained();
    assert_eq!(trained.len(), tensors.len(), "every tensor is trained");
    Pretraining::new(device, model, trained, settings).unwrap()
}

struct Fixture(SafetensorsFile);

impl Fixture {
    fn open() -> Self {
        let file = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/files/masked_lm.safetensors");
        Self(SafetensorsFile::open(&file).unwrap())
    }

    fn f32s(&self, name: &str) -> Vec<f32> {
        self.0.read(name).unwrap().as_chunks().0.iter().map(|&b| f32::from_le_bytes(b)).collect()
    }

    fn u32s(&self, name: &str) -> Vec<u32> {
        self.0.read(name).unwrap().as_chunks().0.iter().map(|&b| u32::from_le_bytes(b)).collect()
    }

    fn cells(&self) -> Vec<MaskedCell> {
        let cell = |number: usize| MaskedCell {
            tokens: self.u32s(&format!("cell{number}.ids")).into(),
            places: self.u32s(&format!("cell{number}.places")),
            labels: self.u32s(&format!("cell{number}.labels")),
        };
        (0..2).map(cell).collect()
    }

    fn initial(&self) -> Tensors {
        let own = |name: &str| name.strip_prefix("init.").map(str::to_owned);
        let names: Vec<String> = self.0.names().iter().filter_map(|name| own(name)).collect();
        let tensor = |name: String| {
            let array = format!("init.{name}");
            let shape = self.0.info(&array).unwrap().shape.clone();
            (name, (shape, self.f32s(&array)))
        };
        names.into_iter().map(tensor).collect()
    }
}

#[test]
fn loss_gradients_and_steps_are_those_of_transformers() {
    let fixture = Fixture::open();
    let (cells, initial) = (fixture.cells(), fixture.initial());
    let text = |key| fixture.0.text(key).unwrap().parse::<f64>().unwrap();
    for device in devices() {
        let on = device.info().backend;
        let mut training = model(&device, &initial, VOCABULARY, settings(text("lr"), text("weight_decay")));
        let losses = fixture.f32s("losses");
        let (loss, gradients) = training.gradients(&cells).unwrap();
        assert_close(&[loss as f32], &losses[..1], 1e-5, &format!("loss on {on}"));
        let names: Vec<String> = training.names().map(str::to_owned).collect();
        for (name, gradient) in names.iter().zip(&gradients) {
            let want = fixture.f32s(&format!("grad.{name}"));
            assert_close(&gradient.read().unwrap(), &want, 1e-5, &format!("gradient of {name} on {on}"));
        }
        let steps = if on == "cpu" { 5 } else { 1 };
        for (step, &want) in losses.iter().take(steps).enumerate() {
            let learned = training.learn(&cells, 1.0).unwrap();
            assert_close(&[learned.loss as f32], &[want], 1e-5, &format!("loss before step {step} on {on}"));
        }
        if on == "cpu" {
            let hidden: usize = cells.iter().map(|cell| cell.labels.len()).sum();
            let last = sum(&training, &cells) / hidden as f64;
            assert_close(&[last as f32], &losses[5..], 1e-5, "loss after all steps");
            let tensors = training.tensors().unwrap();
            // A softmax does not see what is added to all keys: their gradient is rounding, which Adam makes a step of.
            for (name, (_, values)) in tensors.into_iter().filter(|(name, _)| !name.ends_with("key.bias")) {
                let want = fixture.f32s(&format!("after.{name}"));
                assert_close(&values, &want, 2e-4, &format!("{name} after all steps"));
            }
        }
    }
}

#[test]
fn gradients_are_the_slopes_of_the_loss() {
    let fixture = Fixture::open();
    let (cells, initial) = (fixture.cells(), fixture.initial());
    let device = Device::cpu(1).unwrap();
    let loss =
        |tensors: &Tensors| sum(&model(&device, tensors, VOCABULARY, settings(1.0, 0.0)), &cells) / 7.0;
    let mut training = model(&device, &initial, VOCABULARY, settings(1.0, 0.0));
    let (_, gradients) = training.gradients(&cells).unwrap();
    let names: Vec<String> = training.names().map(str::to_owned).collect();
    for part in [
        "word_embeddings",
        "position_embeddings",
        "predictions.bias",
        "transform.dense.weight",
        "1.output.LayerNorm",
    ] {
        let at = names.iter().position(|name| name.contains(part)).unwrap();
        let gradient = gradients[at].read().unwrap();
        let steepest =
            (0..gradient.len()).max_by(|&a, &b| gradient[a].abs().total_cmp(&gradient[b].abs())).unwrap();
        let moved = |by: f32| {
            let mut tensors = initial.clone();
            tensors.get_mut(&names[at]).unwrap().1[steepest] += by;
            loss(&tensors)
        };
        let slope = ((moved(1e-2) - moved(-1e-2)) / 2e-2) as f32;
        assert_close(&[gradient[steepest]], &[slope], 2e-3, &names[at]);
    }
}

/// Cells of two kinds, each with genes of its own in any order.
fn two_kinds(count: usize) -> Vec<Vec<u32>> {
    let cell = |number: usize| {
        let first = FIRST_GENE + 15 * (number % 2) as u32;
        let mut ids: Vec<u32> = (first..first + 15).collect();
        ids.rotate_left(number % 15);
        ids.swap(number % 7, 7 + number % 8);
        ids
    };
    (0..count).map(cell).collect()
}

const RULE: Masking = Masking { probability: 0.15, mask: MASK, first_gene: FIRST_GENE, vocabulary: 32 };

fn hidden(cells: &[Vec<u32>], epoch: MaskEpoch) -> Vec<MaskedCell> {
    let hide = |(number, cell): (usize, &Vec<u32>)| RULE.hide(cell, mask_seed(5, epoch, &number.to_string()));
    cells.iter().enumerate().map(hide).collect()
}

fn fresh(device: &Device, settings: PretrainSettings) -> Pretraining {
    let sizes = shape().config(32).unwrap().sizes().unwrap();
    model(device, &initial_tensors(&sizes, &[3; 32]).unwrap(), 32, settings)
}

#[test]
fn a_model_learns_what_frequencies_cannot_say() {
    let cells = two_kinds(64);
    let mut frequencies = Frequencies::new(32);
    cells.iter().for_each(|cell| frequencies.add(cell));
    let unseen = hidden(&two_kinds(40), MaskEpoch::Validation);
    let labels: Vec<u32> = unseen.iter().flat_map(|cell| cell.labels.clone()).collect();
    let baseline = frequencies.cross_entropy(labels.iter().copied()).unwrap();
    let device = Device::cpu(2).unwrap();
    let mut training = fresh(&device, settings(5e-3, 0.01));
    let loss = |training: &Pretraining| sum(training, &unseen) / labels.len() as f64;
    let before = loss(&training);
    // Nothing is known: all genes are alike.
    assert!((before - 32.0_f64.ln()).abs() < 0.1, "{before}");
    for epoch in 0..30 {
        for batch in hidden(&cells, MaskEpoch::Training(epoch)).chunks(16) {
            training.learn(batch, 1.0).unwrap();
        }
    }
    // The genes of one kind are half of all: a model that tells kinds apart is ln 2 better, and each gene occurs once.
    let after = loss(&training);
    println!("loss {before} -> {after}, frequencies {baseline}");
    assert!(after < baseline - 0.6, "{after}, frequencies {baseline}");
    assert_eq!(training.steps(), 120);
}

/// Sum of the losses of all hidden tokens.
fn sum(training: &Pretraining, cells: &[MaskedCell]) -> f64 {
    training.losses(cells).unwrap().into_iter().map(f64::from).sum()
}

/// All values of gradients, one after the other.
fn flat(training: &mut Pretraining, cells: &[MaskedCell]) -> (f64, Vec<f32>) {
    let (loss, gradients) = training.gradients(cells).unwrap();
    (loss, gradients.iter().flat_map(|gradient| gradient.read().unwrap()).collect())
}

#[test]
fn a_batch_in_parts_and_in_little_memory_has_the_gradient_of_the_whole() {
    let device = Device::cpu(2).unwrap();
    let cells = hidden(&two_kinds(12), MaskEpoch::Training(0));
    let with = |parts, memory| {
        let mut training = fresh(&device, PretrainSettings { parts, memory, ..settings(1e-3, 0.0) });
        let (loss, gradient) = flat(&mut training, &cells);
        (loss, gradient, training.peak())
    };
    let (loss, whole, peak) = with(1, None);
    for parts in [2, 5, 12, 100] {
        let (in_parts, gradient, ..) = with(parts, None);
        assert!((in_parts - loss).abs() < 1e-6, "{parts} parts: {in_parts}, not {loss}");
        assert_close(&gradient, &whole, 1e-6, &format!("{parts} parts"));
    }
    let (again, gradient, twice) = with(1, Some(peak - 1));
    assert_eq!((again, &gradient), (loss, &whole), "layers computed twice change no bit");
    let little = PretrainSettings { memory: Some(twice - 1), ..settings(1e-3, 0.0) };
    let error = fresh(&device, little).gradients(&cells).unwrap_err();
    assert!(error.is_out_of_memory(), "a batch is never cut on its own: {error}");
    let mut one = fresh(&Device::cpu(1).unwrap(), settings(1e-3, 0.0));
    assert_eq!(flat(&mut one, &cells).1, whole, "threads change no bit");
}

#[test]
fn losses_of_cells_that_do_not_fit_together_have_the_same_bits() {
    let cells = hidden(&two_kinds(12), MaskEpoch::Validation);
    let with = |memory| {
        let device = Device::cpu(2).unwrap();
        (fresh(&device, PretrainSettings { memory, ..settings(1e-3, 0.0) }), device)
    };
    let (training, device) = with(None);
    let peak = |cells: &[MaskedCell]| {
        training.losses(cells).unwrap();
        device.memory().peak
    };
    let (whole, all, three, one) =
        (training.losses(&cells).unwrap(), peak(&cells), peak(&cells[..3]), peak(&cells[..1]));
    assert!(one < three && three < all, "{one}, {three}, {all}");
    let (little, device) = with(Some(three));
    assert_eq!(little.losses(&cells).unwrap(), whole);
    assert!(device.memory().peak <= three);
    let error = with(Some(one - 1)).0.losses(&cells).unwrap_err();
    assert!(error.is_out_of_memory(), "{error}");
}

/// Beside the weights there are their gradients and two moments; another copy of all weights would be a quarter more.
#[test]
fn a_step_of_the_optimiser_holds_no_second_copy_of_the_weights() {
    let device = Device::cpu(1).unwrap();
    // Many weights and two tokens: what a pass keeps for the way back is small beside them.
    let shape = ModelShape { layers: 6, hidden: 64, feedforward: 64, ..shape() };
    let tensors = initial_tensors(&shape.config(32).unwrap().sizes().unwrap(), &[3; 32]).unwrap();
    let bytes = 4 * tensors.values().map(|(_, values)| values.len() as u64).sum::<u64>();
    let mut training = model_of(&shape, &device, &tensors, 32, settings(1e-3, 0.0));
    let cell = MaskedCell { tokens: vec![2, 3].into(), places: vec![0], labels: vec![2] };
    // The first step makes the moments.
    for _ in 0..2 {
        training.learn(std::slice::from_ref(&cell), 1.0).unwrap();
    }
    let peak = device.memory().peak;
    println!("{peak} bytes with weights of {bytes}");
    assert!(peak > 4 * bytes && peak < 4 * bytes + bytes / 2, "{peak} with weights of {bytes}");
}

#[test]
fn a_training_goes_on_from_its_saved_state_to_the_same_bits() {
    let device = Device::cpu(2).unwrap();
    let cells = two_kinds(8);
    let learn = |training: &mut Pretraining, epochs: std::ops::Range<u64>| {
        for epoch in epochs {
            training.learn(&hidden(&cells, MaskEpoch::Training(epoch)), 1.0).unwrap();
        }
    };
    let mut whole = fresh(&device, settings(1e-2, 0.1));
    learn(&mut whole, 0..3);
    let saved = whole.save().unwrap();
    let kept = whole.save_kept(&whole.snapshot()).unwrap();
    let middle = whole.tensors().unwrap();
    learn(&mut whole, 3..6);
    let mut other = fresh(&device, settings(1e-2, 0.1));
    assert!(other.load(&saved).unwrap());
    assert_eq!(other.steps(), 3);
    learn(&mut other, 3..6);
    assert_eq!(other.tensors().unwrap(), whole.tensors().unwrap());
    let snapshot = other.load_kept(&kept).unwrap().unwrap();
    other.restore(&snapshot).unwrap();
    assert_eq!(other.tensors().unwrap(), middle);
    // Of another model nothing is taken.
    let mut bigger = model(&device, &Fixture::open().initial(), VOCABULARY, settings(1e-2, 0.1));
    let before = bigger.tensors().unwrap();
    assert!(!bigger.load(&saved).unwrap() && bigger.load_kept(&kept).unwrap().is_none());
    assert_eq!(bigger.tensors().unwrap(), before);
}

#[test]
fn what_does_not_fit_the_model_is_refused() {
    let device = Device::cpu(1).unwrap();
    let mut training = fresh(&device, settings(1e-3, 0.0));
    let cell =
        |ids: Vec<u32>, place: u32| MaskedCell { tokens: ids.into(), places: vec![place], labels: vec![2] };
    for (cell, what) in [
        (cell(vec![2, 99], 0), "token 99"),
        (cell(vec![2, 3], 2), "place 2"),
        (cell(vec![2; 21], 0), "21 tokens"),
    ] {
        let error = training.learn(&[cell], 1.0).unwrap_err().to_string();
        assert!(error.contains(what), "{error}");
    }
    let error = training.learn(&[], 1.0).unwrap_err().to_string();
    assert!(error.contains("hides no token"), "{error}");
}
