//! The fine-tuning run of a fixture (arrays `ft.*`): adapters and a head of three layers against the gradients, losses and
//! weights of PyTorch and peft.

use std::collections::BTreeMap;

use celldag_models::{Adapters, Batch, CellEncoder, CellTokens, Lora, Slot};
use celldag_shaders::ops::{self, Activation, Adam, Parameter};
use celldag_shaders::{Device, Tape, Tensor};

use super::{Golden, assert_close};

const PREFIX: &str = "base_model.model.";
/// Rank and alpha of all runs are 8.
const SCALE: f32 = 1.0;

/// One trained tensor: its name in the fixture, and its place in the model.
struct Trained {
    name: String,
    parameter: Parameter,
    slot: Slot,
}

/// The trained tensors of a fixture: adapters, then `fc1`, `fc2`, `fc3` with weight and bias each.
pub(crate) struct Learning<'a> {
    /// What the names of its arrays begin with.
    run: &'a str,
    /// Cells of each neighbourhood; each cell alone if empty.
    neighbourhoods: Vec<usize>,
    golden: &'a Golden,
    device: &'a Device,
    all: Vec<Trained>,
    adapters: BTreeMap<String, Lora>,
}

impl<'a> Learning<'a> {
    pub(crate) fn new(golden: &'a Golden, device: &'a Device) -> Self {
        Self::of_run(golden, device, "ft", &[])
    }

    /// The run whose arrays are called `run`.*, with the cells of each neighbourhood.
    pub(crate) fn of_run(
        golden: &'a Golden,
        device: &'a Device,
        run: &'a str,
        neighbourhoods: &[usize],
    ) -> Self {
        let neighbourhoods = neighbourhoods.to_vec();
        let (all, adapters) = (Vec::new(), BTreeMap::new());
        let mut learning = Self { run, neighbourhoods, golden, device, all, adapters };
        let wrapped = format!("{run}.init.{PREFIX}");
        // Where peft itself does nothing, the run has the layers' own names.
        let has_prefix = golden.expected.names().iter().any(|name| name.starts_with(&wrapped));
        let prefix = if has_prefix { PREFIX } else { "" };
        let start = format!("{run}.init.{prefix}");
        let layer = |name: &str| name.strip_prefix(&start)?.strip_suffix(".lora_A.weight").map(str::to_owned);
        let layers: Vec<String> = golden.expected.names().iter().filter_map(|name| layer(name)).collect();
        for path in layers {
            let a = learning.add(format!("{prefix}{path}.lora_A.weight"));
            let b = learning.add(format!("{prefix}{path}.lora_B.weight"));
            learning.adapters.insert(path, Lora { a, b, scale: SCALE });
        }
        for layer in ["fc1", "fc2", "fc3"] {
            learning.add(format!("head.{layer}.weight"));
            learning.add(format!("head.{layer}.bias"));
        }
        learning
    }

    fn add(&mut self, name: String) -> Slot {
        let array = format!("{}.init.{name}", self.run);
        let shape = &self.golden.expected.info(&array).unwrap().shape;
        let values = self.device.upload(shape, &self.golden.f32s(&array)).unwrap();
        let slot = Slot::new(values.clone());
        self.all.push(Trained { name, slot: slot.clone(), parameter: Parameter::new(values).unwrap() });
        slot
    }

    /// The initial adapters, under the names of peft without its prefix.
    pub(crate) fn adapters(&self) -> Adapters {
        Adapters::new(self.adapters.clone())
    }

    /// The cells of the run among all `tokens` of the fixture.
    pub(crate) fn cells(&self, tokens: &[CellTokens]) -> Vec<CellTokens> {
        let old = self.golden.expected.info("ft.cells").is_some();
        let cells = self.golden.i32s(if old { "ft.cells" } else { "ft.cell_index" });
        cells.iter().map(|&cell| tokens[usize::try_from(cell).unwrap()].clone()).collect()
    }

    /// Trains the adapters of `encoder`, which must have been loaded with [`Learning::adapters`], for up to five steps.
    pub(crate) fn agrees(
        mut self,
        encoder: &dyn CellEncoder,
        cells: &[CellTokens],
        steps: usize,
        recompute: bool,
    ) {
        let backend = self.device.info().backend;
        let what = |array: &str| format!("{array} on {backend}, recompute {recompute}");
        let name = |array: &str| format!("{}.{array}", self.run);
        let labels: Vec<f32> = if self.golden.expected.info("ft.labels").is_some() {
            self.golden.i32s("ft.labels").iter().map(|&label| label as f32).collect()
        } else {
            self.golden.i64s("ft.label").iter().map(|&label| label as f32).collect()
        };
        let labels = self.device.upload(&[labels.len(), 1], &labels).unwrap();
        let settings = Adam { lr: 1e-3, ..Adam::default() };
        for (step, &want) in self.golden.f32s(&name("loss")).iter().take(steps).enumerate() {
            let tape = Tape::with_recompute(recompute);
            let watched: Vec<Tensor> =
                self.all.iter().map(|trained| tape.watch(trained.parameter.value())).collect();
            for (trained, watched) in self.all.iter().zip(&watched) {
                trained.slot.set(watched.clone());
            }
            let (embeddings, logits) = self.forward(encoder, cells);
            let loss = ops::bce_with_logits(&logits, &labels, None).unwrap();
            assert_close(
                &[loss.mean().unwrap()],
                &[want],
                1e-5,
                &what(&format!("loss before update {step}")),
            );
            if step == 0 {
                let want = self.golden.f32s(&name("emb_step1"));
                assert_close(&embeddings.read().unwrap(), &want, 2e-5, &what(&name("emb_step1")));
            }
            let gradients = tape.gradients(&logits, &loss.gradient).unwrap();
            for (trained, watched) in self.all.iter_mut().zip(&watched) {
                let gradient = gradients.of(watched).unwrap();
                if step == 0 {
                    let array = name(&format!("grad1.{}", trained.name));
                    assert_close(&gradient.read().unwrap(), &self.golden.f32s(&array), 1e-6, &what(&array));
                }
                ops::adam(&mut trained.parameter, gradient, &settings).unwrap();
            }
        }
        if steps < 5 {
            return;
        }
        for trained in &self.all {
            trained.slot.set(trained.parameter.value().clone());
            let array = name(&format!("after5.{}", trained.name));
            let got = trained.parameter.value().read().unwrap();
            assert_close(&got, &self.golden.f32s(&array), 2e-4, &what(&array));
        }
        let (_, logits) = self.forward(encoder, cells);
        let probabilities = ops::activate(&logits, Activation::Sigmoid).unwrap().read().unwrap();
        assert_close(
            &probabilities,
            &self.golden.f32s(&name("prob_after5")),
            1e-5,
            &what(&name("prob_after5")),
        );
    }

    /// Embeddings and logits of the batch.
    fn forward(&self, encoder: &dyn CellEncoder, cells: &[CellTokens]) -> (Tensor, Tensor) {
        let alone = vec![1; cells.len()];
        let neighbourhoods = if self.neighbourhoods.is_empty() { &alone } else { &self.neighbourhoods };
        let embeddings = encoder.pooled(Batch { cells, neighbourhoods }).unwrap();
        let mut x = embeddings.clone();
        for (number, pair) in self.all[self.all.len() - 6..].chunks_exact(2).enumerate() {
            let activation = if number < 2 { Activation::Relu } else { Activation::None };
            x = ops::linear(&x, &pair[0].slot.get(), Some(&pair[1].slot.get()), activation).unwrap();
        }
        (embeddings, x)
    }
}
