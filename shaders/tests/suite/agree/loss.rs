//! Losses and their gradients.

use celldag_shaders::Ids;
use celldag_shaders::ops::{self, CrossEntropy};

use crate::common::{assert_close, bits, cpu, devices, noise, reference, upload};

#[test]
fn losses_and_their_gradients() {
    for device in devices() {
        for (rows, columns) in [(1, 1), (300, 2), (7, 5)] {
            let mut logits = noise(21, rows * columns);
            logits.iter_mut().for_each(|x| *x *= 20.0);
            let targets: Vec<f32> = noise(22, rows * columns).iter().map(|v| f32::from(*v > 0.0)).collect();
            let weight: Vec<f32> = noise(23, columns).iter().map(|v| 1.5 + v).collect();
            let [x, y] = [&logits, &targets].map(|values| upload(&device, &[rows, columns], values));
            for weighted in [false, true] {
                let (mut loss, mut gradient) = (vec![0.0; rows], Vec::new());
                for i in 0..rows * columns {
                    let (x, y) = (f64::from(logits[i]), f64::from(targets[i]));
                    let w = if weighted { f64::from(weight[i % columns]) } else { 1.0 };
                    loss[i / columns] += (w * y * reference::softplus(-x)
                        + (1.0 - y) * reference::softplus(x))
                        / columns as f64;
                    let slope = (1.0 - y) * reference::sigmoid(x) - w * y * reference::sigmoid(-x);
                    gradient.push(slope / (rows * columns) as f64);
                }
                let tensor = upload(&device, &[columns], &weight);
                let got = ops::bce_with_logits(&x, &y, weighted.then_some(&tensor)).unwrap();
                assert_close(&format!("bce {device:?}"), &got.rows.read().unwrap(), &loss, 6e-7);
                assert_close("bce gradient", &got.gradient.read().unwrap(), &gradient, 3e-7);
                let mean = loss.iter().sum::<f64>() / rows as f64;
                assert_close("bce mean", &[got.mean().unwrap()], &[mean], 1e-6);
            }
            let labels: Vec<u32> = (0..rows as u32).map(|row| row * 7 % columns as u32).collect();
            let (mut loss, mut gradient) = (Vec::new(), Vec::new());
            for (row, &label) in logits.chunks(columns).zip(&labels) {
                let total: f64 = row.iter().map(|&x| f64::from(x).exp()).sum();
                loss.push(total.ln() - f64::from(row[label as usize]));
                gradient.extend(row.iter().enumerate().map(|(class, &x)| {
                    (f64::from(x).exp() / total - f64::from(u8::from(class == label as usize))) / rows as f64
                }));
            }
            let got = ops::softmax_cross_entropy(&x, &Ids::new(&device, &labels).unwrap()).unwrap();
            assert_close(&format!("cross entropy {device:?}"), &got.rows.read().unwrap(), &loss, 1e-6);
            assert_close("cross entropy gradient", &got.gradient.read().unwrap(), &gradient, 3e-7);
        }
    }
}

/// Numbers of torch 2.15 on the CPU: `cross_entropy(x, y, weight=w, label_smoothing=e)` and `mse_loss`, with the gradients
/// that `backward` leaves at x.
#[test]
fn losses_agree_with_torch() {
    const X: [f32; 12] = [0.5, -1.0, 2.0, 0.1, 0.2, -0.3, 3.0, -2.0, 0.7, 0.0, 0.0, 0.0];
    let weights = vec![0.5, 2.0, 1.25];
    let entropies = [
        (
            Some(weights.clone()),
            0.0,
            2.29783988,
            [
                0.0381066091,
                0.00850273296,
                -0.0466093421,
                -0.0556263812,
                0.0346251614,
                0.0210012235,
                0.314206958,
                -0.345708996,
                0.0315020308,
                0.115942024,
                -0.231884062,
                0.115942024,
            ],
        ),
        (
            None,
            0.1,
            1.84143376,
            [
                0.0354892649,
                0.00144480914,
                -0.0369340777,
                -0.143259183,
                0.0912140086,
                0.0520451814,
                0.217502907,
                -0.231811658,
                0.0143087497,
                0.0749999955,
                -0.150000006,
                0.0749999955,
            ],
        ),
        (
            Some(weights),
            0.2,
            2.17634749,
            [
                0.0323095061,
                -0.0146856736,
                -0.0176238436,
                -0.034633141,
                0.0218243077,
                0.012808837,
                0.284844339,
                -0.299490958,
                0.0146466233,
                0.101449274,
                -0.19420293,
                0.092753619,
            ],
        ),
    ];
    for device in devices() {
        let x = upload(&device, &[4, 3], &X);
        let labels = Ids::new(&device, &[2, 0, 1, 1]).unwrap();
        for (class_weights, label_smoothing, loss, gradient) in &entropies {
            let settings =
                CrossEntropy { class_weights: class_weights.clone(), label_smoothing: *label_smoothing };
            let got = ops::softmax_cross_entropy_with(&x, &labels, &settings).unwrap();
            assert_close(&format!("{settings:?} {device:?}"), &[got.mean().unwrap()], &[*loss], 3e-7);
            assert_close("its gradient", &got.gradient.read().unwrap(), gradient, 1e-7);
        }
        let targets =
            upload(&device, &[4, 3], &[1.0, 0.0, 2.5, 0.1, -0.2, 0.3, 0.0, 0.0, 0.0, 1.0, 2.0, 3.0]);
        let got = ops::mean_squared_error(&x, &targets).unwrap();
        assert_close("squared error", &[got.mean().unwrap()], &[2.45916677], 2e-7);
        let gradient = [
            -0.0833333358,
            -0.166666672,
            -0.0833333358,
            0.0,
            0.0666666701,
            -0.100000009,
            0.5,
            -0.333333343,
            0.116666667,
            -0.166666672,
            -0.333333343,
            -0.5,
        ];
        assert_close("its gradient", &got.gradient.read().unwrap(), &gradient, 3e-8);
        assert_close("its value", &got.value().unwrap().read().unwrap(), &[2.45916677], 2e-7);
    }
}

#[test]
fn squared_errors() {
    for (rows, columns) in [(1, 1), (300, 3), (2, 1999)] {
        let [x, y] = [24, 25].map(|seed| noise(seed, rows * columns));
        let errors: Vec<f64> = x.iter().zip(&y).map(|(x, y)| f64::from(*x) - f64::from(*y)).collect();
        let row = |row: &[f64]| row.iter().map(|error| error * error).sum::<f64>() / columns as f64;
        let want: Vec<f64> = errors.chunks(columns).map(row).collect();
        let slopes: Vec<f64> = errors.iter().map(|error| 2.0 * error / errors.len() as f64).collect();
        for device in devices() {
            let [x, y] = [&x, &y].map(|values| upload(&device, &[rows, columns], values));
            let got = ops::mean_squared_error(&x, &y).unwrap();
            assert_close(&format!("squared error {device:?}"), &got.rows.read().unwrap(), &want, 5e-7);
            assert_close("its gradient", &got.gradient.read().unwrap(), &slopes, 2e-7);
        }
    }
}

#[test]
fn threads_do_not_change_losses() {
    let (rows, columns) = (700, 41);
    let labels: Vec<u32> = (0..rows as u32).map(|row| row * 7 % columns as u32).collect();
    let settings = CrossEntropy { class_weights: Some(vec![0.7; columns]), label_smoothing: 0.1 };
    let run = |threads| {
        let device = cpu(threads);
        let [x, y] = [26, 27].map(|seed| upload(&device, &[rows, columns], &noise(seed, rows * columns)));
        let labels = Ids::new(&device, &labels).unwrap();
        [
            ops::bce_with_logits(&x, &y, None),
            ops::mean_squared_error(&x, &y),
            ops::softmax_cross_entropy(&x, &labels),
            ops::softmax_cross_entropy_with(&x, &labels, &settings),
        ]
        .map(|loss| {
            let loss = loss.unwrap();
            (bits(&loss.rows.read().unwrap()), bits(&loss.gradient.read().unwrap()))
        })
    };
    assert_eq!(run(1), run(3));
}

#[test]
fn settings_that_make_no_sense_are_errors() {
    let device = cpu(1);
    let x = upload(&device, &[1, 2], &[0.0, 1.0]);
    let labels = Ids::new(&device, &[1]).unwrap();
    let refused = |class_weights: Option<Vec<f32>>, label_smoothing| {
        let settings = CrossEntropy { class_weights, label_smoothing };
        ops::softmax_cross_entropy_with(&x, &labels, &settings).is_err()
    };
    assert!(refused(None, 1.5) && refused(None, f64::NAN) && refused(Some(vec![1.0]), 0.0));
    assert!(refused(Some(vec![1.0, -1.0]), 0.0) && refused(Some(vec![1.0, f32::INFINITY]), 0.0));
    assert!(ops::mean_squared_error(&x, &upload(&device, &[2, 1], &[0.0; 2])).is_err());
    // Rows whose labels all have weight 0: 0 / 0, as in torch.
    let settings = CrossEntropy { class_weights: Some(vec![1.0, 0.0]), label_smoothing: 0.0 };
    assert!(ops::softmax_cross_entropy_with(&x, &labels, &settings).unwrap().mean().unwrap().is_nan());
}
