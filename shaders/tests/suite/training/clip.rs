//! Clipping by the global norm.

use celldag_shaders::Tensor;
use celldag_shaders::ops;

use crate::common::{assert_close, bits, cpu, devices, noise, upload};

/// Numbers of torch 2.15, `clip_grad_norm_` on the CPU.
#[test]
fn clipping_agrees_with_torch() {
    for device in devices() {
        for (most, first, second) in [(6.5, [1.49999988, -1.99999988], 5.99999952), (20.0, [3.0, -4.0], 12.0)]
        {
            let mut gradients = [upload(&device, &[2], &[3.0, -4.0]), upload(&device, &[1, 1], &[12.0])];
            let norm = ops::clip_gradients(&mut gradients, most).unwrap();
            assert_close("norm", &norm.read().unwrap(), &[13.0], 1e-7);
            assert_close(&format!("first {device:?}"), &gradients[0].read().unwrap(), &first, 1e-7);
            assert_close("second", &gradients[1].read().unwrap(), &[second], 1e-7);
            assert_eq!(gradients[1].shape(), [1, 1]);
        }
    }
}

#[test]
fn norms_of_many_gradients() {
    let shapes = [vec![70_001], vec![3, 5], vec![0, 4], vec![300, 301]];
    let values: Vec<Vec<f32>> =
        shapes.iter().zip(0..).map(|(shape, seed)| noise(80 + seed, shape.iter().product())).collect();
    let norm = values.iter().flatten().map(|&value| f64::from(value).powi(2)).sum::<f64>().sqrt();
    let run = |device: &celldag_shaders::Device| {
        let mut gradients: Vec<Tensor> =
            shapes.iter().zip(&values).map(|(shape, values)| upload(device, shape, values)).collect();
        let norm = ops::clip_gradients(&mut gradients, 2.0).unwrap().read().unwrap();
        (norm, gradients.iter().flat_map(|gradient| gradient.read().unwrap()).collect::<Vec<f32>>())
    };
    for device in devices() {
        let (got, clipped) = run(&device);
        assert_close(&format!("norm {device:?}"), &got, &[norm], 1e-6);
        let want: Vec<f64> = values.iter().flatten().map(|&v| f64::from(v) * 2.0 / norm).collect();
        assert_close("clipped", &clipped, &want, 1e-7);
    }
    assert_eq!(bits(&run(&cpu(1)).1), bits(&run(&cpu(3)).1));
}

#[test]
fn what_is_not_finite_stays_so() {
    for device in devices() {
        let mut gradients = [upload(&device, &[2], &[f32::NAN, 1.0])];
        let norm = ops::clip_gradients(&mut gradients, 1.0).unwrap();
        assert!(norm.read().unwrap()[0].is_nan());
        assert!(gradients[0].read().unwrap().iter().all(|value| value.is_nan()), "{device:?}");
        assert!(ops::clip_gradients(&mut gradients, -1.0).is_err());
        assert!(ops::clip_gradients(&mut [], 1.0).is_err());
    }
}
