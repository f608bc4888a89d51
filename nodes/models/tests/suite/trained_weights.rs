//! Weights that are trained as a whole, in every model: each tensor that vectors are computed with is found or is a constant by
//! name, each slot is what the model computes with, gradients are those of the vectors, and what was trained replaces the published
//! weights to the bit.

use crate::common::trainee::{Trainee, trainees};
use celldag_models::{Adapters, CellEncoder, Lora, ModelError, Slot, Tensors, TrainedWeight, assemble};
use celldag_shaders::{Device, Tape, Tensor};

/// What the `index`-th slot is changed by at its `at`-th value.
fn change(index: usize, at: usize) -> f32 {
    ((at * 37 + index * 11) % 101) as f32 / 500.0 - 0.1
}

/// Values of a slot, changed.
fn changed(index: usize, slot: &Slot) -> Vec<f32> {
    let values = slot.get().read().unwrap();
    values.iter().enumerate().map(|(at, value)| value + change(index, at)).collect()
}

fn put(slot: &Slot, values: &[f32]) {
    slot.set(slot.device().upload(slot.shape(), values).unwrap());
}

struct Loaded {
    encoder: Box<dyn CellEncoder>,
    adapters: Adapters,
    weights: Vec<TrainedWeight>,
}

/// The model with all its weights trained.
fn loaded(trainee: &Trainee, device: &Device) -> Loaded {
    let adapters = Adapters::default().training(&["*".to_owned()]).unwrap();
    let encoder = trainee.encoder(device, &adapters).unwrap();
    let weights = adapters.trained();
    Loaded { encoder, adapters, weights }
}

#[test]
fn every_tensor_is_trained_or_a_constant() {
    let device = Device::cpu(2).unwrap();
    for trainee in trainees() {
        let Loaded { encoder, adapters, weights } = loaded(&trainee, &device);
        let name = &trainee.name;
        let trained: usize = weights.iter().map(|weight| weight.slot.shape().iter().product::<usize>()).sum();
        let constants: usize =
            adapters.passed_over().iter().map(|(tensor, _)| trainee.counted_size(tensor)).sum();
        assert_eq!(trained + constants, encoder.info().parameters, "{name}: values that are trained");
        let plain = trainee.encoder(&device, &Adapters::default()).unwrap();
        assert_eq!(plain.info().parameters, encoder.info().parameters, "{name}");
        let (plain, with) = (trainee.vectors(plain.as_ref()), trainee.vectors(encoder.as_ref()));
        // Weights of 16 bits are widened when they are trained, and multiplied in another order.
        let tolerance = if trainee.is_half() { 1e-4 } else { 0.0 };
        crate::common::assert_close(
            &with,
            &plain,
            tolerance,
            &format!("{name}: weights that nothing changed"),
        );
    }
}

#[test]
fn every_slot_is_what_the_model_computes_with() {
    let device = Device::cpu(2).unwrap();
    for trainee in trainees() {
        let Loaded { encoder, weights, .. } = loaded(&trainee, &device);
        let before = trainee.vectors(encoder.as_ref());
        for (index, weight) in weights.iter().enumerate() {
            let kept = weight.slot.get();
            let values = kept.read().unwrap();
            // The softmax takes away what the bias of keys adds to all of them: only rounding is seen, of a large one.
            let seen = [1.0, 100.0].iter().any(|factor| {
                let of = |(at, value): (usize, &f32)| value + factor * change(index, at);
                put(&weight.slot, &values.iter().enumerate().map(of).collect::<Vec<_>>());
                trainee.vectors(encoder.as_ref()) != before
            });
            assert!(seen, "{}: {} changes nothing", trainee.name, weight.name);
            weight.slot.set(kept);
        }
        assert!(trainee.vectors(encoder.as_ref()) == before, "{}: put back", trainee.name);
        println!("{}: {} slots", trainee.name, weights.len());
    }
}

#[test]
fn what_was_trained_replaces_the_published_weights() {
    let device = Device::cpu(2).unwrap();
    for trainee in trainees() {
        let Loaded { encoder, weights, .. } = loaded(&trainee, &device);
        for (index, weight) in weights.iter().enumerate() {
            put(&weight.slot, &changed(index, &weight.slot));
        }
        let values = weights.iter().map(|weight| (weight, weight.slot.get().read().unwrap()));
        let saved: Tensors = assemble(values).unwrap();
        let names: usize = saved.len();
        let again = Adapters::default().with_saved(saved);
        let again = trainee.encoder(&device, &again).unwrap();
        let (with, want) = (trainee.vectors(again.as_ref()), trainee.vectors(encoder.as_ref()));
        assert!(want.iter().all(|value| value.is_finite()), "{}", trainee.name);
        assert!(with == want, "{}: {names} tensors that were saved", trainee.name);
    }
}

/// Σ c · vectors with fixed numbers c.
fn weighted(vectors: &[f32]) -> f64 {
    vectors.iter().enumerate().map(|(at, &value)| f64::from(value) * f64::from(factor(at))).sum()
}

fn factor(at: usize) -> f32 {
    ((at * 29) % 17) as f32 / 8.0 - 1.0
}

/// Gradients of [`weighted`] at all weights.
fn gradients(trainee: &Trainee, encoder: &dyn CellEncoder, weights: &[TrainedWeight]) -> Vec<Vec<f32>> {
    let tape = Tape::new();
    let watched: Vec<Tensor> = weights.iter().map(|weight| tape.watch(&weight.slot.get())).collect();
    for (weight, watched) in weights.iter().zip(&watched) {
        weight.slot.set(watched.clone());
    }
    let vectors = encoder.pooled(trainee.batch()).unwrap();
    let slope: Vec<f32> = (0..vectors.len()).map(factor).collect();
    let slope = vectors.device().upload(vectors.shape(), &slope).unwrap();
    let found = tape.gradients(&vectors, &slope).unwrap();
    for weight in weights {
        weight.slot.set(weight.slot.get().detach());
    }
    let of = |(weight, watched): (&TrainedWeight, &Tensor)| match found.of(watched) {
        Some(gradient) => gradient.read().unwrap(),
        None => panic!("{}: {} has no gradient", trainee.name, weight.name),
    };
    weights.iter().zip(&watched).map(of).collect()
}

/// Lengths of steps along the gradient itself, each a quarter of the one before. How long a step may be differs from weight to
/// weight by orders of magnitude: long ones see the curvature (the gene table of scGPT, which is normalised behind: 67 % off at the
/// first length, 7 % at the fourth, 0.02 % at the sixth), short ones the rounding of single precision.
const STEPS: [f32; 8] =
    [1e-1, 2.5e-2, 6.25e-3, 1.562_5e-3, 3.906_25e-4, 9.765_625e-5, 2.441_406e-5, 6.103_516e-6];
/// Weights of a model that are looked at.
const LOOKED_AT: usize = 3;

#[test]
fn gradients_are_those_of_the_vectors() {
    let device = Device::cpu(2).unwrap();
    for trainee in trainees() {
        let Loaded { encoder, weights, .. } = loaded(&trainee, &device);
        let gradients = gradients(&trainee, encoder.as_ref(), &weights);
        let norm = |gradient: &[f32]| gradient.iter().map(|g| f64::from(g * g)).sum::<f64>().sqrt();
        let norms: Vec<f64> = gradients.iter().map(|gradient| norm(gradient)).collect();
        let largest = norms.iter().copied().fold(0.0, f64::max);
        // A few of each model, and of those a difference of single precision can be seen of.
        let seen: Vec<usize> = (0..weights.len()).filter(|&at| norms[at] > 1e-2 * largest).collect();
        assert!(seen.len() * 4 > weights.len(), "{}: {} of {}", trainee.name, seen.len(), weights.len());
        let stride = seen.len().div_ceil(LOOKED_AT);
        for &at in seen.iter().step_by(stride) {
            let (weight, gradient) = (&weights[at], &gradients[at]);
            let values = weight.slot.get().read().unwrap();
            // Of a table, the rows that the cells have.
            let used =
                values.iter().zip(gradient).filter(|(_, slope)| **slope != 0.0).map(|(value, _)| *value);
            let scale = (norm(&used.collect::<Vec<_>>()) + 0.1) / norms[at];
            let value_at = |step: f32| {
                let step = step * scale as f32;
                let moved: Vec<f32> = values.iter().zip(gradient).map(|(v, g)| v + step * g).collect();
                put(&weight.slot, &moved);
                weighted(&trainee.vectors(encoder.as_ref()))
            };
            let central = |step: f32| (value_at(step) - value_at(-step)) / (2.0 * f64::from(step) * scale);
            let slopes = STEPS.map(central);
            // What is left of curvature cancels between a step and a quarter of it.
            let error =
                |pair: &[f64]| ((16.0 * pair[1] - pair[0]) / (15.0 * norms[at] * norms[at]) - 1.0).abs();
            let errors: Vec<f64> = slopes.windows(2).map(error).collect();
            // Two lengths beside each other, so that no crossing of zero passes for agreement.
            let best = errors.windows(2).map(|two| two[0].max(two[1])).fold(f64::INFINITY, f64::min);
            put(&weight.slot, &values);
            println!("{}: {}: {best:.1e}", trainee.name, weight.name);
            assert!(best < 1e-2, "{}: the gradient of {} is off by {best}", trainee.name, weight.name);
        }
    }
}

/// The message of a model that cannot be loaded so.
fn refusal(trainee: &Trainee, adapters: Result<Adapters, ModelError>) -> String {
    let device = Device::cpu(1).unwrap();
    let loaded = adapters.and_then(|adapters| trainee.encoder(&device, &adapters).map(drop));
    loaded.unwrap_err().to_string()
}

fn training(patterns: &[&str]) -> Result<Adapters, ModelError> {
    let patterns: Vec<String> = patterns.iter().map(|&pattern| pattern.to_owned()).collect();
    Adapters::default().training(&patterns)
}

#[test]
fn modules_are_named_like_layers_of_adapters() {
    let Some(trainee) = trainees().into_iter().find(|t| t.name.contains("geneformer-v1")) else { return };
    let device = Device::cpu(1).unwrap();
    let names = |patterns: &[&str]| -> Vec<String> {
        let adapters = training(patterns).unwrap();
        trainee.encoder(&device, &adapters).unwrap();
        adapters.trained().into_iter().map(|weight| weight.name).collect()
    };
    let query = ["bias", "weight"].map(|end| format!("bert.encoder.layer.0.attention.self.query.{end}"));
    assert_eq!(names(&["layer.0.attention.self.query"]), query);
    assert_eq!(names(&["*.layer.0.attention.*.query", "query"]).len() % 2, 0);
    assert_eq!(
        names(&["embeddings.token_type_embeddings"]),
        ["bert.embeddings.token_type_embeddings.weight"]
    );
    assert!(names(&[]).is_empty());

    let message = refusal(&trainee, training(&["query", "qury"]));
    assert!(message.contains("`qury` is no module") && message.contains("query"), "{message}");
    let message = refusal(&trainee, training(&["*.pooler.*"]));
    assert!(message.contains("`*.pooler.*` is no module"), "{message}");

    // One layer cannot be both.
    let slot = |shape: &[usize]| Slot::new(device.zeros(shape).unwrap());
    let layer = "bert.encoder.layer.0.attention.self.query";
    let lora = Lora::new(slot(&[2, 32]), slot(&[32, 2]), 1.0);
    let both = Adapters::new([(layer.to_owned(), lora)].into()).training(&["query".to_owned()]);
    let message = refusal(&trainee, both);
    assert!(message.contains(layer) && message.contains("one of both"), "{message}");
}

#[test]
fn constants_are_refused_by_name_and_told_of_in_patterns() {
    let mut seen = 0;
    for trainee in trainees() {
        let device = Device::cpu(1).unwrap();
        let adapters = training(&["*"]).unwrap();
        trainee.encoder(&device, &adapters).unwrap();
        for (tensor, why) in adapters.passed_over() {
            let module = tensor.rsplit_once('.').unwrap().0;
            let message = refusal(&trainee, training(&[module]));
            assert!(message.contains(&tensor) && message.contains(why), "{message}");
            seen += 1;
        }
    }
    println!("{seen} constants");
}

#[test]
fn full_weights_that_do_not_fit_are_refused() {
    let Some(trainee) = trainees().into_iter().find(|t| t.name.contains("geneformer-v1")) else { return };
    let with = |name: &str, shape: &[usize]| {
        let tensor = (shape.to_vec(), vec![0.5; shape.iter().product()]);
        Ok(Adapters::default().with_saved([(name.to_owned(), tensor)].into()))
    };
    let message = refusal(&trainee, with("bert.classifier.weight", &[2, 32]));
    assert!(message.contains("bert.classifier.weight"), "{message}");
    let message = refusal(&trainee, with("encoder.layer.0.output.LayerNorm.weight", &[31]));
    assert!(message.contains("[31]") && message.contains("[32]"), "{message}");
    // Under the name without the model's prefix, as other tools save it.
    let device = Device::cpu(1).unwrap();
    let adapters = with("encoder.layer.0.output.LayerNorm.weight", &[32]).unwrap();
    let changed = trainee.encoder(&device, &adapters).unwrap();
    let plain = trainee.encoder(&device, &Adapters::default()).unwrap();
    assert!(trainee.vectors(changed.as_ref()) != trainee.vectors(plain.as_ref()));
}
