//! What must hold for every operation, forward and backward: kernels without index checks give the same bits as with them,
//! and a rehearsal counts exactly the memory that the operation takes.

use crate::common::{bits, noise, upload};
use celldag_shaders::ops::{
    self, Activation, Adagrad, Adam, Attention, CrossEntropy, Csr, Denominator, Dropout, KeyMaximum, Layout,
    Parameter, Performer, PerformerSettings, Pool, Rotary, Sgd,
};
use celldag_shaders::{
    Device, DeviceError, DeviceOptions, Element, Error, Ids, Result, Segments, Tape, Tensor,
    kernel_instances, testing,
};

/// Rows of most operands: four segments, one of them empty.
const LENGTHS: [usize; 4] = [37, 0, 65, 1];
const ROWS: usize = 103;
const WIDTH: usize = 24;

/// A name and what an operation gives.
type Case = (&'static str, fn(&Device) -> Result<Vec<f32>>);

fn matrix(device: &Device, seed: u64, rows: usize, columns: usize) -> Result<Tensor> {
    device.upload(&[rows, columns], &noise(seed, rows * columns))
}

fn vector(device: &Device, seed: u64, length: usize) -> Result<Tensor> {
    device.upload(&[length], &noise(seed, length))
}

/// `op` of `inputs` and all gradients, one after the other.
fn both(inputs: &[Tensor], op: impl Fn(&[Tensor]) -> Result<Tensor>) -> Result<Vec<f32>> {
    let tape = Tape::new();
    let watched: Vec<Tensor> = inputs.iter().map(|input| tape.watch(input)).collect();
    let out = op(&watched)?;
    let mut values = out.read()?;
    let slope = out.device().upload(out.shape(), &noise(99, out.len()))?;
    let gradients = tape.gradients(&out, &slope)?;
    for input in &watched {
        if let Some(gradient) = gradients.of(input) {
            values.extend(gradient.read()?);
        }
    }
    Ok(values)
}

/// One input of [`ROWS`] x [`WIDTH`].
fn of_x(device: &Device, op: impl Fn(&Tensor) -> Result<Tensor>) -> Result<Vec<f32>> {
    both(&[matrix(device, 1, ROWS, WIDTH)?], |x| op(&x[0]))
}

/// As many inputs of [`ROWS`] x [`WIDTH`].
fn of_many(device: &Device, count: u64, op: impl Fn(&[Tensor]) -> Result<Tensor>) -> Result<Vec<f32>> {
    let inputs: Vec<Tensor> =
        (0..count).map(|seed| matrix(device, seed + 1, ROWS, WIDTH)).collect::<Result<_>>()?;
    both(&inputs, op)
}

fn labels(device: &Device) -> Result<Ids> {
    Ids::new(device, &(0..ROWS as u32).map(|i| i * 5 % WIDTH as u32).collect::<Vec<_>>())
}

fn stepped(device: &Device, step: impl Fn(&mut Parameter, &Tensor) -> Result<()>) -> Result<Vec<f32>> {
    let mut parameter = Parameter::new(matrix(device, 1, ROWS, WIDTH)?)?;
    for seed in 2..4 {
        step(&mut parameter, &matrix(device, seed, ROWS, WIDTH)?)?;
    }
    parameter.value().read()
}

/// Cases that a rehearsal may run: all but steps, which change parameters in place.
const CASES: &[Case] = &[
    ("add", |d| of_many(d, 2, |x| ops::add(&x[0], &x[1]))),
    ("add_row", |d| {
        both(&[matrix(d, 1, ROWS, WIDTH)?, vector(d, 2, WIDTH)?], |x| ops::add_row(&x[0], &x[1]))
    }),
    ("activate", |d| {
        let all = [
            Activation::Relu,
            Activation::Gelu,
            Activation::GeluTanh,
            Activation::Sigmoid,
            Activation::Silu,
            Activation::Tanh,
        ];
        all.iter()
            .map(|&kind| of_x(d, |x| ops::activate(x, kind)))
            .collect::<Result<Vec<_>>>()
            .map(|v| v.concat())
    }),
    ("attention", |d| {
        let segments = Segments::new(d, &LENGTHS)?;
        of_many(d, 3, |x| ops::attention(&x[0], &x[1], &x[2], &segments, 2, true))
    }),
    ("grouped attention", |d| {
        let segments = Segments::new(d, &LENGTHS)?;
        let settings = Attention { kv_heads: 1, ..Attention::multi_head(3, false) };
        let [q, k, v] = [(1, 30), (2, 10), (3, 10)].map(|(seed, width)| matrix(d, seed, ROWS, width));
        both(&[q?, k?, v?], |x| ops::attention_with(&x[0], &x[1], &x[2], &segments, &settings))
    }),
    ("columns", |d| {
        of_many(d, 2, |x| {
            let wide = ops::concat_columns([&x[0], &x[1]])?;
            ops::slice_columns(&wide, 3..WIDTH + 7)
        })
    }),
    ("dropout", |d| of_x(d, |x| ops::dropout(x, Dropout { probability: 0.3, seed: 5, stream: 2 }, None))),
    ("embed", |d| both(&[matrix(d, 1, 2 * WIDTH, 5)?], |x| ops::embed(&x[0], &labels(d)?))),
    ("gated", |d| of_many(d, 2, |x| ops::gated(&x[0], &x[1], Activation::Silu))),
    ("layer_norm", |d| {
        let inputs = [
            matrix(d, 1, ROWS, WIDTH)?,
            matrix(d, 2, ROWS, WIDTH)?,
            vector(d, 3, WIDTH)?,
            vector(d, 4, WIDTH)?,
        ];
        both(&inputs, |x| ops::layer_norm(&x[0], Some(&x[1]), &x[2], &x[3], 1e-5))
    }),
    ("group_norm", |d| {
        let inputs = [matrix(d, 1, ROWS, WIDTH)?, vector(d, 3, WIDTH)?, vector(d, 4, WIDTH)?];
        both(&inputs, |x| ops::group_norm(&x[0], 4, &x[1], &x[2], 1e-5))
    }),
    ("rms_norm", |d| {
        both(&[matrix(d, 1, ROWS, WIDTH)?, vector(d, 3, WIDTH)?], |x| ops::rms_norm(&x[0], None, &x[1], 1e-5))
    }),
    ("feature_attention", |d| {
        let segments = Segments::new(d, &LENGTHS)?;
        let omega = matrix(d, 4, 8, 16)?;
        of_many(d, 3, |x| {
            ops::feature_attention(&x[0], &x[1], &x[2], &omega, &segments, 3, Denominator::Plus(1e-6))
        })
    }),
    ("flow_attention", |d| {
        let segments = Segments::new(d, &LENGTHS)?;
        of_many(d, 3, |x| ops::flow_attention(&x[0], &x[1], &x[2], &segments, 3))
    }),
    ("performer_attention", |d| {
        let segments = Segments::new(d, &LENGTHS)?;
        let projection = matrix(d, 4, 16, 8)?;
        let mut values = Vec::new();
        for key_maximum in [KeyMaximum::PerSegment, KeyMaximum::WholeBatch] {
            let settings = PerformerSettings { eps: 1e-4, key_maximum };
            values.extend(of_many(d, 3, |x| {
                ops::performer_attention(&x[0], &x[1], &x[2], &projection, &segments, 3, settings)
            })?);
        }
        let copies = Ids::new(d, &(0..ROWS as u32).map(|i| 1 + i % 3).collect::<Vec<_>>())?;
        let settings = PerformerSettings::default();
        let performer = Performer { projection: &projection, heads: 3, settings, copies: Some(&copies) };
        values.extend(of_many(d, 3, |x| {
            ops::performer_attention_with(&x[0], &x[1], &x[2], &segments, &performer)
        })?);
        Ok(values)
    }),
    ("losses", |d| {
        let (x, y) = (matrix(d, 1, ROWS, WIDTH)?, matrix(d, 2, ROWS, WIDTH)?);
        let weight = vector(d, 3, WIDTH)?;
        let settings = CrossEntropy { class_weights: Some(vec![0.5; WIDTH]), label_smoothing: 0.1 };
        let losses = [
            ops::bce_with_logits(&x, &y, Some(&weight))?,
            ops::mean_squared_error(&x, &y)?,
            ops::softmax_cross_entropy(&x, &labels(d)?)?,
            ops::softmax_cross_entropy_with(&x, &labels(d)?, &settings)?,
        ];
        let mut values = Vec::new();
        for loss in &losses {
            values.extend(loss.rows.read()?);
            values.extend(loss.gradient.read()?);
        }
        Ok(values)
    }),
    ("mask", |d| {
        let keep: Vec<f32> = (0..ROWS * WIDTH).map(|i| (i % 3) as f32).collect();
        let (keep, rows) = (d.upload(&[ROWS, WIDTH], &keep)?, d.upload(&[ROWS], &keep[..ROWS])?);
        of_x(d, |x| ops::mask_rows(&ops::mask(x, &keep, 2.0)?, &rows, -1.0))
    }),
    ("products", |d| {
        let mut values = both(&[matrix(d, 1, ROWS, WIDTH)?, matrix(d, 2, WIDTH, 7)?], |x| {
            ops::matmul(&x[0], &x[1], Layout::NN)
        })?;
        let inputs = [matrix(d, 1, ROWS, WIDTH)?, matrix(d, 2, 70, WIDTH)?, vector(d, 3, 70)?];
        values.extend(both(&inputs, |x| ops::linear(&x[0], &x[1], Some(&x[2]), Activation::Gelu))?);
        let stored = Element::Bf16.round(&noise(4, 70 * WIDTH));
        let half = d.upload_half(&[70, WIDTH], Element::Bf16, &stored)?;
        values.extend(of_x(d, |x| ops::linear(x, &half, None, Activation::None))?);
        Ok(values)
    }),
    ("multiply", |d| {
        let mut values = of_many(d, 2, |x| ops::mul(&x[0], &x[1]))?;
        values.extend(of_many(d, 2, |x| ops::row_dot(&x[0], &x[1]))?);
        let by = |length| Ok::<_, Error>([matrix(d, 1, ROWS, WIDTH)?, vector(d, 2, length)?]);
        values.extend(both(&by(WIDTH)?, |x| ops::mul_row(&x[0], &x[1]))?);
        values.extend(both(&by(ROWS)?, |x| ops::mul_column(&x[0], &x[1]))?);
        Ok(values)
    }),
    ("pool", |d| {
        let segments = Segments::new(d, &LENGTHS)?;
        let mut values = Vec::new();
        for kind in [
            Pool::First,
            Pool::Mean { skip_first: 1, skip_last: 0 },
            Pool::Max { skip_first: 0, skip_last: 1 },
        ] {
            values.extend(of_x(d, |x| ops::pool(x, &segments, kind))?);
        }
        let inputs = [matrix(d, 1, ROWS, WIDTH)?, vector(d, 2, ROWS)?];
        values.extend(both(&inputs, |x| ops::weighted_pool(&x[0], &x[1], &segments))?);
        Ok(values)
    }),
    ("reduce", |d| {
        let mut values = of_x(d, ops::sum)?;
        values.extend(of_x(d, ops::mean)?);
        values.extend(of_x(d, ops::column_sum)?);
        Ok(values)
    }),
    ("rotary", |d| {
        let table = Rotary::new(d, &Rotary::frequencies(1e4, 8), 70)?;
        let positions = ops::row_positions(&Segments::new(d, &LENGTHS)?)?;
        of_x(d, |x| ops::rotary(x, &table, &positions))
    }),
    ("scale", |d| of_x(d, |x| ops::scale(x, 0.7))),
    ("softmax", |d| of_x(d, ops::softmax)),
    ("sparse", |d| {
        let offsets = [0, 3, 3, 8, 10];
        let columns = [0, 4, 8, 1, 2, 5, 7, 8, 0, 3];
        let matrix_ = Csr::new(d, &offsets, &columns, 9)?;
        both(&[vector(d, 1, 10)?, matrix(d, 2, 9, WIDTH)?], |x| ops::csr_matmul(&x[0], &matrix_, &x[1]))
    }),
];

const STEPS: &[Case] = &[
    ("adam", |d| stepped(d, |p, g| ops::adamw(p, g, &Adam { weight_decay: 0.1, ..Adam::default() }))),
    ("adagrad", |d| stepped(d, |p, g| ops::adagrad(p, g, &Adagrad::default()))),
    ("sgd", |d| {
        stepped(d, |p, g| ops::sgd_momentum(p, g, &Sgd { lr: 0.1, momentum: 0.9, weight_decay: 0.1 }))
    }),
    ("clip", |d| {
        let mut gradients = [matrix(d, 1, ROWS, WIDTH)?, matrix(d, 2, 3, WIDTH)?];
        let mut values = ops::clip_gradients(&mut gradients, 0.5)?.read()?;
        for gradient in &gradients {
            values.extend(gradient.read()?);
        }
        Ok(values)
    }),
];

#[test]
fn kernels_without_checks_give_the_bits_of_kernels_with_checks() {
    if crate::common::gpu().is_none() {
        return;
    }
    let choice = std::env::var("CELLDAG_TEST_DEVICE").unwrap_or_else(|_| "software".to_owned());
    let open = |checks| {
        Device::open_with(&DeviceOptions { checks, choice: choice.clone(), ..DeviceOptions::default() })
            .unwrap()
    };
    let (trusted, checked) = (open(false), open(true));
    let compare = |name: &str, case: &dyn Fn(&Device) -> Result<Vec<f32>>| {
        let (a, b) = (case(&trusted).unwrap(), case(&checked).unwrap());
        assert!(bits(&a) == bits(&b), "{name}: other bits with checks");
    };
    for (name, case) in CASES.iter().chain(STEPS) {
        compare(name, case);
    }
    // The other set of products and attention.
    for device in [&trusted, &checked] {
        testing::use_tiled_kernels(device, device.info().software);
    }
    for (name, case) in CASES.iter().filter(|(name, _)| ["attention", "products"].contains(name)) {
        compare(name, case);
    }
    let compiled = testing::compiled_kernels(&checked);
    for instance in kernel_instances() {
        let file = instance.label.split('[').next().unwrap();
        // Only devices opened for a reduced precision have these.
        if !["matmul_cooperative", "product_exponents"].contains(&file) {
            assert!(compiled.contains(&file), "{file} is not among the cases of this test");
        }
    }
}

#[test]
fn rehearsals_count_what_operations_take() {
    let devices = [Some(Device::cpu(1).unwrap()), Some(Device::cpu(3).unwrap()), crate::common::gpu()];
    for device in devices.into_iter().flatten() {
        for (name, case) in CASES {
            let before = device.memory();
            let predicted = device.rehearse(|| case(&device)).unwrap();
            assert_eq!(device.memory(), before, "{name} on {device:?}: a rehearsal takes no memory");
            device.reset_peak();
            case(&device).unwrap();
            assert_eq!(device.memory().peak, predicted, "{name} on {device:?}");
        }
    }
}

#[test]
fn results_of_a_full_memory_are_errors() {
    let options = DeviceOptions { memory_limit: Some(40_000), ..DeviceOptions::new("cpu", 1) };
    let device = Device::open_with(&options).unwrap();
    let x = upload(&device, &[60, 100], &noise(1, 6000));
    // There is no room for the result, and whatever uses it says so.
    let double = ops::scale(&x, 2.0).unwrap();
    for error in [double.read().map(drop), ops::add(&x, &double).map(drop)] {
        let full = matches!(error, Err(Error::Device(DeviceError::OutOfMemory { .. })));
        assert!(full, "{error:?}");
    }
    assert_eq!(bits(&x.read().unwrap()), bits(&noise(1, 6000)));
}
