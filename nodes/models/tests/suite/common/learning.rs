//! The fine-tuning run of a fixture (arrays `ft.*`): adapters and a head of three layers against the gradients, losses and
//! weights of PyTorch and peft.

use std::collections::BTreeMap;

use celldag_models::training::{
    FineTuning, LabelledTokens, LossKind, Network, Objective, Optimizer, TunedLayer, TuningSettings,
};
use celldag_models::{Adapters, Batch, CellEncoder, CellTokens, InputDropout, Lora, Slot};
use celldag_shaders::ops::Adam;
use celldag_shaders::{Device, Tensor};

use super::{Golden, assert_close};

const PREFIX: &str = "base_model.model.";
/// Rank and alpha of all runs are 8.
const SCALE: f32 = 1.0;

/// One trained tensor: its name in the fixture, and its initial values.
struct Trained {
    name: String,
    initial: Tensor,
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
    dropout: InputDropout,
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
        let (all, adapters, dropout) = (Vec::new(), BTreeMap::new(), InputDropout::default());
        let mut learning = Self { run, neighbourhoods, golden, device, all, adapters, dropout };
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
            let lora = Lora::new(a, b, SCALE).with_dropout(learning.dropout.of_layer(&path));
            learning.adapters.insert(path, lora);
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
        self.all.push(Trained { name, initial: values.clone() });
        Slot::new(values)
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
        self,
        encoder: &dyn CellEncoder,
        cells: &[CellTokens],
        steps: usize,
        recompute: bool,
    ) {
        let backend = self.device.info().backend;
        let what = |array: &str| format!("{array} on {backend}, recompute {recompute}");
        let name = |array: &str| format!("{}.{array}", self.run);
        let alone = vec![1; cells.len()];
        let neighbourhoods = if self.neighbourhoods.is_empty() { &alone } else { &self.neighbourhoods };
        let keys: Vec<u32> = (0..cells.len()).map(|cell| u32::try_from(cell).unwrap()).collect();
        let labels = self.labels();
        let batch = LabelledTokens { tokens: cells, keys: &keys, class: &labels, neighbourhoods };
        let embed = || encoder.embed(Batch { cells, neighbourhoods }).unwrap();
        let mut tuning = self.tuning(recompute);
        assert_close(&embed(), &self.golden.f32s(&name("emb_step1")), 2e-5, &what(&name("emb_step1")));
        let (_, gradients) = tuning.gradients(encoder, batch).unwrap();
        assert_eq!(gradients.len(), self.all.len());
        for (trained, gradient) in self.all.iter().zip(&gradients) {
            let array = name(&format!("grad1.{}", trained.name));
            assert_close(&gradient.read().unwrap(), &self.golden.f32s(&array), 1e-6, &what(&array));
        }
        for (step, &want) in self.golden.f32s(&name("loss")).iter().take(steps).enumerate() {
            let loss = tuning.learn(encoder, batch, 1.0).unwrap().loss as f32;
            assert_close(&[loss], &[want], 1e-5, &what(&format!("loss before update {step}")));
        }
        assert_eq!(tuning.recomputed(), recompute);
        if steps < 5 {
            return;
        }
        for (trained, values) in self.all.iter().zip(tuning.snapshot()) {
            let array = name(&format!("after5.{}", trained.name));
            assert_close(&values.read().unwrap(), &self.golden.f32s(&array), 2e-4, &what(&array));
        }
        let logits = tuning.head().logits(self.device, &embed()).unwrap();
        let scores: Vec<f32> = logits.iter().map(|l| tuning.objective().scores(l)[1] as f32).collect();
        let array = name("prob_after5");
        assert_close(&scores, &self.golden.f32s(&array), 1e-5, &what(&array));
    }

    /// The run's optimiser is Adam with torch's defaults.
    fn tuning(&self, recompute: bool) -> FineTuning {
        let layers: Vec<TunedLayer> = self
            .adapters
            .iter()
            .map(|(layer, lora)| TunedLayer::adapter(layer.clone(), lora).unwrap())
            .collect();
        let head = &self.all[2 * layers.len()..];
        let read = |trained: &Trained| trained.initial.read().unwrap();
        let values: Vec<_> = head.chunks_exact(2).map(|pair| (read(&pair[0]), read(&pair[1]))).collect();
        let inputs = head[0].initial.shape()[1];
        let widths: Vec<usize> =
            [inputs].into_iter().chain(values.iter().map(|(_, bias)| bias.len())).collect();
        let head = Network::from_values(self.device, &widths, &values).unwrap();
        let optimizer = Optimizer::Adam(Adam { lr: 1e-3, ..Adam::default() });
        let settings = TuningSettings {
            optimizer,
            clip: None,
            parts: 1,
            dropout: 0.0,
            seed: 0,
            memory: None,
            recompute,
        };
        let objective = Objective::new(LossKind::Bce, 2);
        FineTuning::new(self.device, (layers, self.dropout.clone()), head, objective, settings)
    }

    fn labels(&self) -> Vec<usize> {
        let class = |label: i64| usize::try_from(label).unwrap();
        if self.golden.expected.info("ft.labels").is_some() {
            self.golden.i32s("ft.labels").into_iter().map(|label| class(label.into())).collect()
        } else {
            self.golden.i64s("ft.label").into_iter().map(class).collect()
        }
    }
}
