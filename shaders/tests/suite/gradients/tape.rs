//! The tape: what is recorded, and recomputed segments.

use celldag_shaders::ops::{self, Activation};
use celldag_shaders::{Tape, Tensor, segment};

use crate::common::{bits, cpu, devices, noise, upload};

#[test]
fn only_what_depends_on_watched_tensors_is_recorded() {
    let device = cpu(1);
    let tape = Tape::new();
    let frozen = upload(&device, &[2, 2], &noise(1, 4));
    assert!(!ops::add(&frozen, &frozen).unwrap().is_traced());
    let watched = tape.watch(&frozen);
    let unused = tape.watch(&frozen);
    let out = ops::add(&frozen, &watched).unwrap();
    assert!(out.is_traced() && !frozen.is_traced() && !out.detach().is_traced());
    let ones = upload(&device, &[2, 2], &[1.0; 4]);
    let gradients = tape.gradients(&out, &ones).unwrap();
    assert_eq!(gradients.of(&watched).unwrap().read().unwrap(), [1.0; 4]);
    assert!(gradients.of(&unused).is_none() && gradients.of(&frozen).is_none());
    // The tape is gone: nothing is recorded any more.
    assert!(!ops::add(&watched, &frozen).unwrap().is_traced());
}

#[test]
fn mistakes_are_errors() {
    let device = cpu(1);
    let x = upload(&device, &[2], &[1.0, 2.0]);
    let tape = Tape::new();
    let watched = tape.watch(&x);
    let out = ops::scale(&watched, 2.0).unwrap();
    assert!(tape.gradients(&out, &upload(&device, &[1], &[1.0])).is_err());
    assert!(Tape::new().gradients(&out, &x).is_err());
    assert!(Tape::new().gradients(&x, &x).is_err());
}

#[test]
fn what_another_tape_traced_is_constant() {
    let device = cpu(1);
    let [a, b] = [1, 2].map(|seed| upload(&device, &[3], &noise(seed, 3)));
    let ones = upload(&device, &[3], &[1.0; 3]);
    let gone = Tape::new();
    let old = gone.watch(&a);
    drop(gone);
    let other = Tape::new();
    let foreign = other.watch(&a);
    for constant in [&old, &foreign] {
        let tape = Tape::new();
        let unused = tape.watch(&a);
        let watched = tape.watch(&b);
        let out = ops::mul(&watched, constant).unwrap();
        let gradients = tape.gradients(&out, &ones).unwrap();
        assert_eq!(gradients.of(&watched).unwrap().read().unwrap(), a.read().unwrap());
        assert!(gradients.of(&unused).is_none() && gradients.of(constant).is_none());
    }
    // A finished tape in front does not hide the one that lives.
    let tape = Tape::new();
    let watched = tape.watch(&b);
    let out = ops::mul(&old, &watched).unwrap();
    assert!(tape.gradients(&out, &ones).unwrap().of(&watched).is_some());
}

/// Two layers that share a weight, as a segment each.
fn two_layers(x: &Tensor, weight: &Tensor) -> celldag_shaders::Result<Tensor> {
    let layer = |x: &Tensor| {
        segment([x, weight], |[x, weight]| {
            let inner = ops::linear(x, weight, None, Activation::None)?;
            ops::add(&ops::scale(&inner, 0.5)?, x)
        })
    };
    layer(&layer(x)?)
}

#[test]
fn recomputed_segments_give_the_same_bits() {
    for device in devices() {
        let (x, weight) = (upload(&device, &[5, 3], &noise(1, 15)), upload(&device, &[3, 3], &noise(2, 9)));
        let seed = upload(&device, &[5, 3], &noise(3, 15));
        let run = |recompute| {
            let tape = Tape::with_recompute(recompute);
            let (x, weight) = (tape.watch(&x), tape.watch(&weight));
            let out = two_layers(&x, &weight).unwrap();
            let values = bits(&out.read().unwrap());
            let gradients = tape.gradients(&out, &seed).unwrap();
            let slopes = [&x, &weight].map(|tensor| bits(&gradients.of(tensor).unwrap().read().unwrap()));
            (values, slopes)
        };
        assert_eq!(run(false), run(true), "{device:?}");
    }
}
