//! The linear head gives the logits of scikit-learn's `LogisticRegression` on the same standardised features.

use celldag_nodes::learn::linear::fit_probe;
use celldag_nodes::learn::mlp::{Embedding, FeatureRows, Standardizer, TrainingData};
use celldag_nodes::learn::split::{Role, SplitRow};
use safetensors::SafeTensors;

/// Features are standardised and weights kept in single precision.
const TOLERANCE: f64 = 2e-4;

struct Features {
    embedding: Embedding,
    class: Vec<usize>,
    train: Vec<usize>,
    test: Vec<usize>,
}

/// The features of the reference trainings of the MLP head: 300 cells, 20 dimensions.
fn features() -> Option<Features> {
    let path = crate::common::fixtures()?.join("golden/mlp_head/expected.safetensors");
    let bytes = fs_err::read(path).expect("fixture");
    let tensors = SafeTensors::deserialize(&bytes).expect("safetensors");
    let index = |name: &str| -> Vec<usize> {
        let view = tensors.tensor(name).expect("tensor");
        assert_eq!(view.dtype(), safetensors::Dtype::I64, "{name}");
        view.data().chunks(8).map(|b| i64::from_le_bytes(b.try_into().expect("8")) as usize).collect()
    };
    let x = tensors.tensor("X").expect("X");
    let values = match x.dtype() {
        safetensors::Dtype::F32 => {
            x.data().chunks(4).map(|b| f32::from_le_bytes(b.try_into().expect("4"))).collect::<Vec<f32>>()
        }
        _ => x.data().chunks(8).map(|b| f64::from_le_bytes(b.try_into().expect("8")) as f32).collect(),
    };
    let class = index("y");
    let ids = (0..class.len()).map(|i| format!("c{i:04}")).collect();
    let embedding = Embedding::new("X".into(), ids, x.shape()[1], values);
    Some(Features { embedding, class, train: index("train_index"), test: index("test_index") })
}

/// Logits of the test cells, in the order of the reference.
fn logits(f: &Features, class: &[usize], train: &[usize], c: f64, balanced: bool) -> Vec<Vec<f64>> {
    let row = |&i: &usize, role| SplitRow {
        cell_id: f.embedding.ids[i].clone(),
        repeat: 0,
        fold: 0,
        role,
        label: class[i].to_string(),
        class: class[i],
        group: String::new(),
    };
    let rows: Vec<SplitRow> =
        train.iter().map(|i| row(i, Role::Train)).chain(f.test.iter().map(|i| row(i, Role::Test))).collect();
    let members: Vec<&SplitRow> = rows.iter().collect();
    let data = TrainingData::of_fold(&f.embedding, &members).expect("data");
    let mut test = FeatureRows::test_of_fold(&f.embedding, &members).expect("test");
    let standardizer = Standardizer::fit(&data.train().rows);
    standardizer.apply(&mut test);
    let classes = class.iter().max().expect("cells") + 1;
    let probe = fit_probe(&data.map(|rows| standardizer.apply(rows)), classes, &[c], balanced).expect("fit");
    assert!(probe.tried[0].converged);
    probe.logits(&test).into_iter().map(|row| row.into_iter().map(f64::from).collect()).collect()
}

fn check(what: &str, found: &[Vec<f64>], first: [f64; 3], sum: f64) {
    for (f, e) in found.iter().zip(first) {
        assert!((f[0] - e).abs() <= TOLERANCE, "{what}: {} instead of {e}", f[0]);
    }
    let total: f64 = found.iter().map(|row| row[0]).sum();
    assert!((total - sum).abs() <= TOLERANCE * found.len() as f64, "{what}: sum {total} instead of {sum}");
}

/// Numbers of scikit-learn 1.9.1: `StandardScaler`, then `LogisticRegression(C=..., class_weight=..., tol=1e-10)`.
#[test]
fn logits_are_those_of_scikit_learn() {
    let Some(f) = features() else { return };
    let plain = logits(&f, &f.class, &f.train, 1.0, false);
    check("plain", &plain, [-4.071_451_8, -0.835_785_1, 2.185_521_6], 68.815_170_2);
    let balanced = logits(&f, &f.class, &f.train, 1.0, true);
    check("balanced", &balanced, [-4.038_589_7, -0.793_806_7, 2.235_476_9], 71.252_460_2);
    // One positive training cell in four by its place.
    let rare: Vec<usize> = f
        .train
        .iter()
        .enumerate()
        .filter(|(at, i)| f.class[**i] == 0 || at % 4 == 0)
        .map(|(_, i)| *i)
        .collect();
    assert_eq!(rare.len(), 153);
    let plain = logits(&f, &f.class, &rare, 0.1, false);
    check("rare", &plain, [-2.144_247_5, -1.414_211_6, -0.921_227_1], -50.905_310_2);
    let balanced = logits(&f, &f.class, &rare, 0.1, true);
    check("rare, balanced", &balanced, [-1.104_227_9, -0.189_865_1, 0.446_639_8], 23.402_766_3);
}

#[test]
fn probabilities_of_three_classes_are_those_of_scikit_learn() {
    let Some(f) = features() else { return };
    let mut first: Vec<f32> = (0..f.class.len()).map(|i| f.embedding.vector(i)[0]).collect();
    let values = first.clone();
    first.sort_by(f32::total_cmp);
    let median = (first[149] + first[150]) / 2.0;
    let class: Vec<usize> = f.class.iter().zip(&values).map(|(c, v)| c + usize::from(*v > median)).collect();
    let found = logits(&f, &class, &f.train, 1.0, false);
    let softmax = |row: &Vec<f64>| -> Vec<f64> {
        let powers: Vec<f64> = row.iter().map(|l| l.exp()).collect();
        let sum: f64 = powers.iter().sum();
        powers.into_iter().map(|p| p / sum).collect()
    };
    let probabilities: Vec<Vec<f64>> = found.iter().map(softmax).collect();
    let expected =
        [[0.018_611_196, 0.960_658_512, 0.020_730_292], [0.569_487_7, 0.361_029_473, 0.069_482_827]];
    for (f, e) in probabilities.iter().flatten().zip(expected.iter().flatten()) {
        assert!((f - e).abs() <= TOLERANCE, "{f} instead of {e}");
    }
    let largest: f64 = probabilities.iter().map(|row| row.iter().copied().fold(0.0, f64::max)).sum();
    assert!((largest - 42.922_434_9).abs() <= TOLERANCE * 60.0, "{largest}");
}
