//! Optimiser steps and the state they keep.

use celldag_shaders::ops::{self, Adagrad, Adam, OptimiserState, Parameter, Sgd};
use celldag_shaders::{Result, Tensor};

use crate::common::{assert_close, bits, cpu, devices, noise, upload};

#[test]
fn optimisers_follow_their_formulas() {
    let start = noise(60, 777);
    for device in devices() {
        for decoupled in [false, true] {
            let settings = Adam { lr: 0.01, weight_decay: 0.1, ..Adam::default() };
            let mut parameter = Parameter::new(upload(&device, &[777], &start)).unwrap();
            let mut state: Vec<[f64; 3]> = start.iter().map(|&v| [f64::from(v), 0.0, 0.0]).collect();
            for step in 1..=5 {
                let gradient = noise(60 + step as u64, 777);
                let tensor = upload(&device, &[777], &gradient);
                let take = if decoupled { ops::adamw } else { ops::adam };
                take(&mut parameter, &tensor, &settings).unwrap();
                for ([value, m, v], &g) in state.iter_mut().zip(&gradient) {
                    let mut g = f64::from(g);
                    if decoupled {
                        *value *= 1.0 - settings.lr * settings.weight_decay;
                    } else {
                        g += settings.weight_decay * *value;
                    }
                    *m = 0.9 * *m + 0.1 * g;
                    *v = 0.999 * *v + 0.001 * g * g;
                    let corrected = (*v / (1.0 - 0.999f64.powi(step))).sqrt() + settings.eps;
                    *value -= settings.lr / (1.0 - 0.9f64.powi(step)) * *m / corrected;
                }
            }
            let want: Vec<f64> = state.iter().map(|s| s[0]).collect();
            let got = parameter.value().read().unwrap();
            assert_close(&format!("adam {decoupled} {device:?}"), &got, &want, 1e-6);
            assert_eq!(parameter.steps(), 5);
        }
        let settings = Sgd { lr: 0.05, momentum: 0.9, weight_decay: 0.001 };
        let mut parameter = Parameter::new(upload(&device, &[777], &start)).unwrap();
        let mut state: Vec<[f64; 2]> = start.iter().map(|&v| [f64::from(v), 0.0]).collect();
        for step in 1..=5 {
            let gradient = noise(70 + step, 777);
            ops::sgd_momentum(&mut parameter, &upload(&device, &[777], &gradient), &settings).unwrap();
            for ([value, velocity], &g) in state.iter_mut().zip(&gradient) {
                *velocity = settings.momentum * *velocity + f64::from(g) + settings.weight_decay * *value;
                *value -= settings.lr * *velocity;
            }
        }
        let want: Vec<f64> = state.iter().map(|s| s[0]).collect();
        assert_close(&format!("sgd {device:?}"), &parameter.value().read().unwrap(), &want, 1e-6);
    }
}

#[test]
fn a_snapshot_keeps_its_values() {
    for device in devices() {
        let start = noise(61, 100);
        let mut parameter = Parameter::new(upload(&device, &[100], &start)).unwrap();
        let gradient = upload(&device, &[100], &noise(62, 100));
        let snapshot = parameter.value().clone();
        for _ in 0..3 {
            ops::adam(&mut parameter, &gradient, &Adam::default()).unwrap();
        }
        assert_eq!(bits(&snapshot.read().unwrap()), bits(&start), "{device:?}");
        let trained = parameter.value().read().unwrap();
        assert_ne!(bits(&trained), bits(&start), "{device:?}");
        parameter.set(snapshot).unwrap();
        assert_eq!(bits(&parameter.value().read().unwrap()), bits(&start));
    }
}

#[test]
fn a_step_refuses_a_gradient_of_another_shape_or_device() {
    let device = cpu(1);
    let mut parameter = Parameter::new(upload(&device, &[4], &[0.0; 4])).unwrap();
    let wrong = upload(&device, &[5], &[0.0; 5]);
    assert!(ops::adam(&mut parameter, &wrong, &Adam::default()).unwrap_err().to_string().contains("[4]"));
    let elsewhere = upload(&cpu(1), &[4], &[0.0; 4]);
    assert!(ops::adam(&mut parameter, &elsewhere, &Adam::default()).is_err());
    assert_eq!(parameter.steps(), 0);
}

/// Values of torch 2.15 after three steps with `AdamW`, `Adam`, `Adagrad` and `SGD` on the CPU.
#[test]
fn optimisers_agree_with_torch() {
    const START: [f32; 4] = [0.5, -1.25, 2.0, 0.03];
    const GRADIENTS: [[f32; 4]; 3] = [[0.1, -0.2, 0.3, 0.0], [-0.4, 0.05, 0.6, 1e-3], [2.0, -3.0, 0.25, 0.0]];
    let decayed = Adam { lr: 0.05, beta1: 0.8, beta2: 0.95, eps: 1e-6, weight_decay: 0.1 };
    let slowed = Adagrad { lr: 0.1, lr_decay: 0.2, weight_decay: 0.01, initial_accumulator: 0.5, eps: 1e-8 };
    let descent = Sgd { lr: 0.1, momentum: 0.9, weight_decay: 0.01 };
    type Step<'a> = &'a dyn Fn(&mut Parameter, &Tensor) -> Result<()>;
    let cases: [(&str, Step<'_>, [f64; 4]); 5] = [
        ("adamw", &|p, g| ops::adamw(p, g, &decayed), [0.443445712, -1.12519813, 1.82629061, -0.0373471342]),
        ("adam", &|p, g| ops::adam(p, g, &decayed), [0.442824066, -1.12319303, 1.85244322, -0.0186333079]),
        (
            "adagrad",
            &|p, g| ops::adagrad(p, g, &slowed),
            [0.459475011, -1.15610909, 1.88810182, 0.0297743082],
        ),
        (
            "adagrad by default",
            &|p, g| ops::adagrad(p, g, &Adagrad::default()),
            [0.489907384, -1.23244882, 1.97756362, 0.0199999996],
        ),
        (
            "sgd",
            &|p, g| ops::sgd_momentum(p, g, &descent),
            [0.346095413, -0.898364425, 1.76866364, 0.0296419431],
        ),
    ];
    for device in devices() {
        for (name, step, want) in &cases {
            let mut parameter = Parameter::new(upload(&device, &[4], &START)).unwrap();
            for gradient in &GRADIENTS {
                step(&mut parameter, &upload(&device, &[4], gradient)).unwrap();
            }
            assert_close(&format!("{name} {device:?}"), &parameter.value().read().unwrap(), want, 3e-7);
        }
    }
}

#[test]
fn threads_do_not_change_steps() {
    let run = |threads| {
        let device = cpu(threads);
        let mut parameter = Parameter::new(upload(&device, &[101, 997], &noise(63, 101 * 997))).unwrap();
        for seed in 0..2 {
            let gradient = upload(&device, &[101, 997], &noise(64 + seed, 101 * 997));
            ops::adamw(&mut parameter, &gradient, &Adam::default()).unwrap();
        }
        bits(&parameter.value().read().unwrap())
    };
    assert_eq!(run(1), run(3));
}

#[test]
fn a_restored_state_goes_on_with_the_same_bits() {
    type Step = fn(&mut Parameter, &Tensor) -> Result<()>;
    let steps: [Step; 3] = [
        |p, g| ops::adamw(p, g, &Adam::default()),
        |p, g| ops::adagrad(p, g, &Adagrad::default()),
        |p, g| ops::sgd_momentum(p, g, &Sgd { lr: 0.1, momentum: 0.9, weight_decay: 0.0 }),
    ];
    for device in devices() {
        let gradient = |seed| upload(&device, &[30], &noise(seed, 30));
        for step in steps {
            let mut parameter = Parameter::new(upload(&device, &[30], &noise(65, 30))).unwrap();
            step(&mut parameter, &gradient(66)).unwrap();
            step(&mut parameter, &gradient(67)).unwrap();
            // As a checkpoint does it: everything by way of the host.
            let (value, state) = (parameter.value().clone(), parameter.state());
            let through_host = |tensor: &Tensor| upload(&device, tensor.shape(), &tensor.read().unwrap());
            step(&mut parameter, &gradient(68)).unwrap();
            let mut again = Parameter::new(through_host(&value)).unwrap();
            again
                .restore(OptimiserState {
                    steps: state.steps,
                    first: state.first.as_ref().map(through_host),
                    second: state.second.as_ref().map(through_host),
                })
                .unwrap();
            step(&mut again, &gradient(68)).unwrap();
            assert_eq!(again.steps(), 3);
            let (want, got) = (parameter.value().read().unwrap(), again.value().read().unwrap());
            assert_eq!(bits(&got), bits(&want), "{device:?}");
        }
    }
    let device = cpu(1);
    let mut parameter = Parameter::new(upload(&device, &[2], &[0.0; 2])).unwrap();
    let wrong = upload(&device, &[3], &[0.0; 3]);
    assert!(parameter.restore(OptimiserState { steps: 1, first: Some(wrong), second: None }).is_err());
    assert!(parameter.restore(OptimiserState { steps: 1, first: None, second: None }).is_err());
    assert!(parameter.restore(OptimiserState::default()).is_ok());
}
