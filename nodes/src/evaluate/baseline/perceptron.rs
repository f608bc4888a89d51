//! The multilayer perceptron among the baselines: trained with the code of `mlp-head`, on the CPU.

use celldag_models::training::{LossKind, Network, Objective, Optimizer, shuffled_epochs};
use celldag_shaders::Device;
use celldag_shaders::ops::Adam;

use super::features::{BaselineError, Features};
use crate::learn::mlp::{Embedding, TrainSettings, TrainingData, train};
use crate::learn::split::{Role, SplitRow};

const HIDDEN: [usize; 2] = [512, 512];
const EPOCHS: usize = 20;
const BATCH: usize = 128;
const RATE: f64 = 1e-3;

/// Probabilities of the classes for each row of `test`.
///
/// # Errors
/// A loss that is no number, or a device that fails.
pub(super) fn perceptron(
    features: &Features,
    class: &[usize],
    classes: usize,
    test: &Features,
    seed: u64,
) -> Result<Vec<Vec<f64>>, BaselineError> {
    let failed = |e: String| BaselineError::Training(e);
    // One thread: folds run beside each other.
    let device = Device::cpu(1).map_err(|e| failed(e.to_string()))?;
    let kind = if classes == 2 { LossKind::Bce } else { LossKind::CrossEntropy };
    let widths: Vec<usize> =
        std::iter::once(features.dim).chain(HIDDEN).chain([kind.outputs(classes)]).collect();
    let data = training_data(features, class).map_err(|e| failed(e.message))?;
    let objective = Objective::new(kind, classes);
    let settings = TrainSettings {
        epochs: EPOCHS,
        batch_size: BATCH,
        optimizer: Optimizer::Adam(Adam { lr: RATE, weight_decay: 0.0, ..Adam::default() }),
        patience: None,
    };
    let drawn = |what: &str| {
        blake3::derive_key(&format!("celldag baseline perceptron 1 {what}"), &seed.to_le_bytes())
    };
    let mut network = Network::new(&device, &widths, drawn("weights")).map_err(|e| failed(e.to_string()))?;
    let order = shuffled_epochs(class.len(), drawn("order"));
    let trained = train(&device, &mut network, &data, &objective, &settings, order, |_| true)
        .map_err(|e| failed(e.to_string()))?;
    if let Some(divergence) = trained.divergence {
        return Err(failed(divergence.to_string()));
    }
    let values: Vec<f32> = test.values.iter().map(|&v| v as f32).collect();
    let logits = network.logits(&device, &values).map_err(|e| failed(e.to_string()))?;
    Ok(logits.iter().map(|logits| objective.scores(logits)).collect())
}

/// All rows train; there is nothing to choose an epoch with.
fn training_data(features: &Features, class: &[usize]) -> Result<TrainingData, celldag_engine::NodeError> {
    // Names sort like positions, since training takes cells in the order of their names.
    let ids: Vec<String> = (0..class.len()).map(|i| format!("{i:09}")).collect();
    let rows: Vec<SplitRow> = ids
        .iter()
        .zip(class)
        .map(|(id, &class)| SplitRow {
            cell_id: id.clone(),
            repeat: 0,
            fold: 0,
            role: Role::Train,
            label: String::new(),
            class,
            group: String::new(),
        })
        .collect();
    let values = features.values.iter().map(|&v| v as f32).collect();
    let embedding = Embedding::new("pca".to_owned(), ids, features.dim, values);
    TrainingData::of_fold(&embedding, &rows.iter().collect::<Vec<_>>())
}
