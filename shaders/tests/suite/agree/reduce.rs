//! Sums and means.

use celldag_shaders::{Tape, ops};

use crate::common::{assert_close, bits, cpu, devices, gpu, noise, upload};

#[test]
fn sums() {
    for device in devices() {
        for (rows, columns) in [(1, 1), (255, 3), (257, 33), (66_000, 2), (1, 70_000)] {
            let x = noise(20, rows * columns);
            let tensor = upload(&device, &[rows, columns], &x);
            let want: Vec<f64> = (0..columns)
                .map(|c| x.iter().skip(c).step_by(columns).map(|&v| f64::from(v)).sum())
                .collect();
            let got = ops::column_sum(&tensor).unwrap().read().unwrap();
            assert_close(&format!("column_sum {rows} {device:?}"), &got, &want, 1e-5);
            let total: f64 = want.iter().sum();
            assert_close("sum", &ops::sum(&tensor).unwrap().read().unwrap(), &[total], 2e-5);
            let mean = total / (rows * columns) as f64;
            assert_close("mean", &ops::mean(&tensor).unwrap().read().unwrap(), &[mean], 1e-6);
        }
        let nothing = upload(&device, &[0, 3], &[]);
        assert_eq!(ops::column_sum(&nothing).unwrap().read().unwrap(), [0.0; 3]);
        assert_eq!(ops::sum(&nothing).unwrap().read().unwrap(), [0.0]);
        assert!(ops::mean(&nothing).is_err());
        let thin = upload(&device, &[3, 0], &[]);
        assert!(ops::column_sum(&thin).unwrap().read().unwrap().is_empty());
        let scalar = upload(&device, &[], &[2.5]);
        assert_eq!(ops::sum(&scalar).unwrap().read().unwrap(), [2.5]);
    }
}

#[test]
fn threads_do_not_change_sums_and_infinities_stay() {
    let (rows, columns) = (3001, 77);
    let mut x = noise(21, rows * columns);
    let run = |device, x: &[f32]| {
        let tensor = upload(&device, &[rows, columns], x);
        let columns = ops::column_sum(&tensor).unwrap().read().unwrap();
        [columns, ops::sum(&tensor).unwrap().read().unwrap()].concat()
    };
    assert_eq!(bits(&run(cpu(1), &x)), bits(&run(cpu(3), &x)));
    x[500] = f32::INFINITY;
    x[1001] = f32::NAN;
    for device in [Some(cpu(3)), gpu()].into_iter().flatten() {
        let sums = run(device, &x);
        let odd: Vec<usize> = (0..columns).filter(|&column| !sums[column].is_finite()).collect();
        assert_eq!(odd, [1001 % 77, 500 % 77]);
        assert!(sums[500 % 77] == f32::INFINITY && sums[1001 % 77].is_nan() && sums[columns].is_nan());
    }
}

#[test]
fn gradients_are_spread_over_everything() {
    for device in devices() {
        let tape = Tape::new();
        let x = tape.watch(&upload(&device, &[300, 5], &noise(22, 1500)));
        let out = ops::column_sum(&x).unwrap();
        let slope = noise(23, 5);
        let gradients = tape.gradients(&out, &upload(&device, &[5], &slope)).unwrap();
        assert_eq!(gradients.of(&x).unwrap().read().unwrap(), slope.repeat(300), "{device:?}");
        // No rows: the gradient has none either.
        let tape = Tape::new();
        let x = tape.watch(&upload(&device, &[0, 5], &[]));
        let out = ops::column_sum(&x).unwrap();
        let gradients = tape.gradients(&out, &upload(&device, &[5], &slope)).unwrap();
        assert_eq!(gradients.of(&x).unwrap().shape(), [0, 5]);
    }
}
