//! The cases of the `ops` bench. tests/python/torch_ops.py has the same families in PyTorch: a case is known by its family
//! and sizes there.

use celldag_shaders::measure::pattern;
use celldag_shaders::ops::{self, Activation, Layout, PerformerSettings};
use celldag_shaders::{Device, DeviceInfo, Result, Segments, Tensor};

use crate::common::step;

type Run = Box<dyn Fn() -> Result<Tensor>>;

/// A case with its operands on a device.
pub(crate) struct Case {
    pub(crate) family: &'static str,
    pub(crate) what: String,
    pub(crate) sizes: Vec<usize>,
    /// Floating-point operations; 0 where only memory counts.
    pub(crate) flops: f64,
    /// Bytes that must be read and written; 0 where only arithmetic counts.
    pub(crate) bytes: f64,
    /// Rows (tokens) of the result.
    pub(crate) rows: f64,
    pub(crate) run: Run,
}

/// A case without operands.
pub(crate) struct Plan {
    pub(crate) family: &'static str,
    pub(crate) sizes: Vec<usize>,
}

/// How large the cases are: `CELLDAG_BENCH_SIZES`, or by default small for software drivers, standard for the CPU
/// backend, large for hardware GPUs.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Sizes {
    Small,
    Standard,
    Large,
}

impl Sizes {
    pub(crate) fn chosen(info: &DeviceInfo) -> Sizes {
        match std::env::var("CELLDAG_BENCH_SIZES").as_deref() {
            Ok("small") => Sizes::Small,
            Ok("standard") => Sizes::Standard,
            Ok("large") => Sizes::Large,
            Ok(other) => panic!("CELLDAG_BENCH_SIZES is small, standard or large, not {other}"),
            Err(_) if info.backend == "cpu" => Sizes::Standard,
            Err(_) if info.software => Sizes::Small,
            Err(_) => Sizes::Large,
        }
    }
}

/// All cases of a size.
pub(crate) fn all(sizes: Sizes) -> Vec<Plan> {
    let (rows, tokens, copies) = match sizes {
        Sizes::Small => (256, &[128, 300][..], 1),
        Sizes::Standard => (2048, &[1200, 2048][..], 1),
        Sizes::Large => (16_384, &[1200, 2048, 4096][..], 16),
    };
    let mut plans = Vec::new();
    let mut add = |family, sizes: &[usize]| plans.push(Plan { family, sizes: sizes.to_vec() });
    for [outputs, inputs] in [[256, 256], [512, 512], [1536, 512], [2048, 512], [512, 2048]] {
        add("linear", &[rows, outputs, inputs]);
    }
    add("linear", &[64, 512, 512]);
    let cubes: &[usize] = match sizes {
        Sizes::Small => &[],
        Sizes::Standard => &[512, 1024],
        Sizes::Large => &[1024, 4096, 8192],
    };
    cubes.iter().for_each(|&side| add("linear", &[side; 3]));
    add("linear_gelu", &[rows, 2048, 512]);
    // NN and TN: gradients at operands and at weights.
    let backward: &[[usize; 3]] = match sizes {
        Sizes::Standard => &[[512; 3], [1024; 3], [2048, 1536, 512], [2048, 512, 2048], [2048, 2048, 512]],
        Sizes::Small | Sizes::Large => &[[rows, 512, 512]],
    };
    for product in backward {
        add("product_nn", product);
    }
    add("product_tn", &[512, 512, rows]);
    add("product_tn", &[1024; 3]);
    for &tokens in tokens {
        for heads in [4, 8] {
            add("attention", &[copies, tokens, heads, 64]);
        }
    }
    for &tokens in tokens {
        add("attention_backward", &[copies, tokens, 8, 64]);
    }
    let ragged: &[usize] = match sizes {
        Sizes::Small => &[4, 64, 20, 60, 150, 250, 40],
        Sizes::Standard => &[4, 64, 100, 400, 900, 1700, 300],
        Sizes::Large => {
            &[8, 64, 100, 400, 900, 1700, 300, 1200, 2000, 700, 500, 1500, 800, 1100, 600, 1300, 200, 1000]
        }
    };
    add("ragged", ragged);
    let long = match sizes {
        Sizes::Small => 400,
        Sizes::Standard => 2002,
        Sizes::Large => 16_384,
    };
    add("performer", &[1, long, 8, 64, 266]);
    add("performer_backward", &[1, long, 8, 64, 266]);
    for family in ["rows_add", "rows_gelu", "rows_layer_norm", "rows_softmax"] {
        add(family, &[4 * rows, 512]);
    }
    plans
}

impl Plan {
    /// The case with operands.
    pub(crate) fn on(&self, device: &Device) -> Case {
        let tensor = |shape: &[usize]| pattern(device, shape).unwrap();
        let (what, flops, bytes, rows, run): (String, f64, f64, usize, Run);
        match (self.family, &self.sizes[..]) {
            ("linear" | "linear_gelu", &[m, n, k]) => {
                let (x, w, bias) = (tensor(&[m, k]), tensor(&[n, k]), tensor(&[n]));
                let gelu = self.family == "linear_gelu";
                let kind = if gelu { Activation::Gelu } else { Activation::None };
                what = format!("linear{} {m} x {n} x {k}", if gelu { " and GELU" } else { "" });
                (flops, bytes, rows) = (2.0 * (m * n * k) as f64, 0.0, m);
                run = Box::new(move || ops::linear(&x, &w, Some(&bias), kind));
            }
            ("product_nn" | "product_tn", &[m, n, k]) => {
                let (layout, a) = match self.family {
                    "product_nn" => (Layout::NN, [m, k]),
                    _ => (Layout::TN, [k, m]),
                };
                let (a, b) = (tensor(&a), tensor(&[k, n]));
                what = format!("product {layout:?} {m} x {n} x {k}");
                (flops, bytes, rows) = (2.0 * (m * n * k) as f64, 0.0, m);
                run = Box::new(move || ops::matmul(&a, &b, layout));
            }
            ("attention" | "attention_backward", &[copies, tokens, heads, width]) => {
                let [q, k, v] = [(); 3].map(|()| tensor(&[copies * tokens, heads * width]));
                let segments = Segments::new(device, &vec![tokens; copies]).unwrap();
                let forward = 4.0 * (copies * tokens * tokens * heads * width) as f64;
                (bytes, rows) = (0.0, copies * tokens);
                let sizes = format!("{copies} x {tokens} tokens, {heads} heads x {width}");
                if self.family == "attention" {
                    (what, flops) = (format!("attention {sizes}"), forward);
                    run = Box::new(move || ops::attention(&q, &k, &v, &segments, heads, false));
                } else {
                    // Scores are computed again: five products where the forward pass has two.
                    (what, flops) = (format!("attention with backward pass {sizes}"), 3.5 * forward);
                    run = Box::new(move || {
                        step(&[&q, &k, &v], |t| ops::attention(&t[0], &t[1], &t[2], &segments, heads, false))
                    });
                }
            }
            ("ragged", &[heads, width, ref lengths @ ..]) => {
                rows = lengths.iter().sum();
                let [q, k, v] = [(); 3].map(|()| tensor(&[rows, heads * width]));
                let segments = Segments::new(device, lengths).unwrap();
                let squares: usize = lengths.iter().map(|length| length * length).sum();
                (flops, bytes) = (4.0 * (squares * heads * width) as f64, 0.0);
                what =
                    format!("attention, {} cells of {rows} tokens, {heads} heads x {width}", lengths.len());
                run = Box::new(move || ops::attention(&q, &k, &v, &segments, heads, false));
            }
            ("performer" | "performer_backward", &[copies, tokens, heads, width, features]) => {
                let [q, k, v] = [(); 3].map(|()| tensor(&[copies * tokens, heads * width]));
                let projection = tensor(&[features, width]);
                let segments = Segments::new(device, &vec![tokens; copies]).unwrap();
                // Projections of queries and keys, the sums over the keys, and the results.
                let forward = 8.0 * (copies * tokens * heads * width * features) as f64;
                (bytes, rows) = (0.0, copies * tokens);
                let sizes =
                    format!("{copies} x {tokens} tokens, {heads} heads x {width}, {features} features");
                let settings = PerformerSettings::default();
                let once = move |q: &Tensor, k: &Tensor, v: &Tensor| {
                    ops::performer_attention(q, k, v, &projection, &segments, heads, settings)
                };
                if self.family == "performer" {
                    (what, flops) = (format!("FAVOR+ {sizes}"), forward);
                    run = Box::new(move || once(&q, &k, &v));
                } else {
                    (what, flops) = (format!("FAVOR+ with backward pass {sizes}"), 3.0 * forward);
                    run = Box::new(move || step(&[&q, &k, &v], |t| once(&t[0], &t[1], &t[2])));
                }
            }
            (family, &[all, columns]) => {
                rows = all;
                let (x, row) = (tensor(&[rows, columns]), tensor(&[columns]));
                let values = (4 * rows * columns) as f64;
                flops = 0.0;
                what =
                    format!("{} [{rows}, {columns}]", family.trim_start_matches("rows_").replace('_', " "));
                let y = (family == "rows_add").then(|| tensor(&[rows, columns]));
                bytes = if y.is_some() { 3.0 * values } else { 2.0 * values };
                run = match (family, y) {
                    (_, Some(y)) => Box::new(move || ops::add(&x, &y)),
                    ("rows_gelu", _) => Box::new(move || ops::activate(&x, Activation::Gelu)),
                    ("rows_softmax", _) => Box::new(move || ops::softmax(&x)),
                    _ => Box::new(move || ops::layer_norm(&x, None, &row, &row, 1e-5)),
                };
            }
            (family, sizes) => panic!("no case {family} {sizes:?}"),
        }
        Case { family: self.family, what, sizes: self.sizes.clone(), flops, bytes, rows: rows as f64, run }
    }
}
