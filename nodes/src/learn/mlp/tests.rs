use celldag_models::training::Divergence;
use celldag_shaders::Device;
use celldag_shaders::ops::{Adam, Sgd};

use super::*;
use crate::learn::split::{Role, SplitRow};

/// Two clouds, one a class, with every fifth cell for validation and every seventh for the test.
fn clouds(n: usize) -> (Embedding, Vec<SplitRow>) {
    let ids: Vec<String> = (0..n).map(|i| format!("c{i:03}")).collect();
    let class = |i: usize| i % 2;
    let values = (0..n).flat_map(|i| {
        let noise = |k: usize| ((i * 31 + k * 17) % 23) as f32 / 23.0 - 0.5;
        let centre = if class(i) == 1 { 1.0 } else { -1.0 };
        [centre + noise(1), noise(2), centre * 0.5 + noise(3)]
    });
    let rows = (0..n).map(|i| SplitRow {
        cell_id: ids[i].clone(),
        repeat: 0,
        fold: 0,
        role: if i % 7 == 0 {
            Role::Test
        } else if i % 5 == 0 {
            Role::Validation
        } else {
            Role::Train
        },
        label: ["resistant", "sensitive"][class(i)].into(),
        class: class(i),
        group: String::new(),
    });
    let rows = rows.collect();
    (Embedding::new("X_toy".into(), ids, 3, values.collect()), rows)
}

fn adamw(lr: f64) -> Optimizer {
    Optimizer::AdamW(Adam { lr, weight_decay: 0.01, ..Adam::default() })
}

#[test]
fn every_objective_learns_two_clouds() {
    let device = Device::cpu(1).expect("cpu");
    let (embedding, rows) = clouds(140);
    let members: Vec<&SplitRow> = rows.iter().collect();
    let data = TrainingData::of_fold(&embedding, &members).expect("data");
    let test = FeatureRows::test_of_fold(&embedding, &members).expect("test");
    let truth: Vec<usize> = members.iter().filter(|r| r.role == Role::Test).map(|r| r.class).collect();
    for kind in [LossKind::Bce, LossKind::CrossEntropy, LossKind::TwoLogit] {
        for objective in [Objective::new(kind, 2), Objective::balanced(kind, 2, &data.train().class)] {
            let mut network = Network::new(&device, &[3, 8, kind.outputs(2)], [3; 32]).expect("network");
            let settings =
                TrainSettings { epochs: 40, batch_size: 16, optimizer: adamw(0.01), patience: Some(5) };
            let order = shuffled_epochs(data.train().class.len(), [4; 32]);
            let trained = train(&device, &mut network, &data, &objective, &settings, order, |_| true)
                .expect("training");
            let best = trained.history[trained.best_epoch - 1].validation_loss.expect("validation");
            assert!(trained.history.iter().all(|e| e.validation_loss.expect("validation") >= best));
            let logits = network.logits(&device, &test.values).expect("logits");
            let right = logits
                .iter()
                .zip(&truth)
                .filter(|(l, t)| (objective.scores(l)[1] >= 0.5) == (**t == 1))
                .count();
            assert_eq!(right, truth.len(), "{kind:?}");
        }
    }
}

#[test]
fn balanced_cross_entropy_has_the_gradient_of_its_loss() {
    let device = Device::cpu(1).expect("cpu");
    let labels = [0, 0, 0, 1, 2, 2];
    let objective = Objective::balanced(LossKind::CrossEntropy, 3, &labels);
    let logits: Vec<f32> = (0..18).map(|i| ((i * 7) % 11) as f32 / 5.0 - 1.0).collect();
    let loss = |values: &[f32]| {
        let tensor = device.upload(&[6, 3], values).expect("upload");
        objective.evaluate(&device, &tensor, &labels).expect("loss")
    };
    let gradient = loss(&logits).1.read().expect("read");
    for i in 0..18 {
        let moved = |by: f32| {
            let mut values = logits.clone();
            values[i] += by;
            loss(&values).0
        };
        let slope = (moved(1e-2) - moved(-1e-2)) / 2e-2;
        assert!((slope - f64::from(gradient[i])).abs() < 1e-4, "{i}: {slope} {}", gradient[i]);
    }
}

#[test]
fn a_loss_that_is_no_number_stops_before_the_weights_are_spoiled() {
    let device = Device::cpu(1).expect("cpu");
    let (embedding, rows) = clouds(70);
    let members: Vec<&SplitRow> = rows.iter().collect();
    let data = TrainingData::of_fold(&embedding, &members).expect("data");
    let mut network = Network::new(&device, &[3, 8, 1], [3; 32]).expect("network");
    let settings = TrainSettings {
        epochs: 50,
        batch_size: 16,
        optimizer: Optimizer::Sgd(Sgd { lr: 1e30, momentum: 0.9, weight_decay: 0.0 }),
        patience: None,
    };
    let order = shuffled_epochs(data.train().class.len(), [4; 32]);
    let objective = Objective::new(LossKind::Bce, 2);
    let error =
        train(&device, &mut network, &data, &objective, &settings, order, |_| true).expect_err("diverges");
    let TrainError::Diverged(Divergence { epoch: 1, batch, .. }) = &error else { panic!("{error}") };
    assert!(*batch > 1 && error.to_string().contains(&format!("batch {batch}")), "{error}");
}

#[test]
fn good_epochs_outlive_a_later_loss_that_is_no_number() {
    let device = Device::cpu(1).expect("cpu");
    let (embedding, rows) = clouds(70);
    let members: Vec<&SplitRow> = rows.iter().collect();
    let data = TrainingData::of_fold(&embedding, &members).expect("data");
    let objective = Objective::new(LossKind::Bce, 2);
    let run = |epochs: usize| {
        let mut network = Network::new(&device, &[3, 8, 1], [3; 32]).expect("network");
        let settings = TrainSettings {
            epochs,
            batch_size: 16,
            // Each step turns the weights over and makes them ten times as large.
            optimizer: Optimizer::Sgd(Sgd { lr: 1e-3, momentum: 0.0, weight_decay: 1.1e4 }),
            patience: None,
        };
        let order = shuffled_epochs(data.train().class.len(), [4; 32]);
        let trained =
            train(&device, &mut network, &data, &objective, &settings, order, |_| true).expect("kept");
        (trained, network.values().expect("values"))
    };
    let (trained, values) = run(50);
    let divergence = trained.divergence.expect("weights that grow without end");
    assert!(divergence.epoch > 2 && trained.history.len() == divergence.epoch - 1, "{divergence}");
    let losses: Vec<f64> = trained.history.iter().map(|epoch| epoch.validation_loss.expect("loss")).collect();
    let least = losses.iter().copied().fold(f64::INFINITY, f64::min);
    assert_eq!(losses[trained.best_epoch - 1], least);
    // What was kept is what a training has that stops there.
    let (short, expected) = run(trained.best_epoch);
    assert_eq!((short.best_epoch, short.divergence), (trained.best_epoch, None));
    assert_eq!(values, expected);
}

#[test]
fn training_does_not_depend_on_threads_or_on_the_order_of_rows() {
    let (embedding, rows) = clouds(140);
    let result = |threads: usize, rows: &[SplitRow]| {
        let device = Device::cpu(threads).expect("cpu");
        let data = TrainingData::of_fold(&embedding, &rows.iter().collect::<Vec<_>>()).expect("data");
        let mut network = Network::new(&device, &[3, 64, 1], [3; 32]).expect("network");
        let settings = TrainSettings { epochs: 3, batch_size: 16, optimizer: adamw(0.01), patience: None };
        let order = shuffled_epochs(data.train().class.len(), [4; 32]);
        let objective = Objective::new(LossKind::Bce, 2);
        train(&device, &mut network, &data, &objective, &settings, order, |_| true).expect("training");
        network.values().expect("values")
    };
    let expected = result(1, &rows);
    let mut turned = rows.clone();
    turned.rotate_left(37);
    assert_eq!(result(2, &rows), expected);
    assert_eq!(result(1, &turned), expected);
}

#[test]
fn training_data_holds_no_test_cell_and_standardisation_is_fitted_without_it() {
    let (mut embedding, rows) = clouds(70);
    let members: Vec<&SplitRow> = rows.iter().collect();
    let before = Standardizer::fit(&TrainingData::of_fold(&embedding, &members).expect("data").train().rows);
    for row in rows.iter().filter(|r| r.role == Role::Test) {
        let at = embedding.row_of(&row.cell_id).expect("row");
        embedding.values[at * 3..at * 3 + 3].fill(1e6);
    }
    let data = TrainingData::of_fold(&embedding, &members).expect("data");
    assert_eq!(Standardizer::fit(&data.train().rows), before);
    let seen = data.train().rows.ids.iter().chain(&data.validation().expect("validation").rows.ids);
    let tested: Vec<&String> = rows.iter().filter(|r| r.role == Role::Test).map(|r| &r.cell_id).collect();
    assert!(seen.clone().all(|id| !tested.contains(&id)));
    assert_eq!(seen.count() + tested.len(), 70);
    let mut scaled = data.train().rows.clone();
    before.apply(&mut scaled);
    let again = Standardizer::fit(&scaled);
    assert!(again.mean.iter().all(|m| m.abs() < 1e-6) && again.sd.iter().all(|s| (s - 1.0).abs() < 1e-5));
}
