//! Rows of attention.

use celldag_shaders::Result;
use celldag_shaders::ops::{self, Denominator, PerformerSettings, Rotary};

use super::{HEADS, Operands, Row, Set, WIDTH, Work};
use crate::common::step;

/// Random features of FAVOR+, and ReLU features.
const FEATURES: usize = 266;
const FEW: usize = 32;

pub(super) fn rows() -> Vec<Row> {
    vec![
        Row {
            files: &["attention_tile"],
            computes: "softmax(q kᵀ) v inside each segment, online softmax, never stores scores; keys and values in \
                       tiles of workgroup memory",
            moves: "16 n w, k and v once for every 64 queries",
            intensity: "l / 4 for cells of l tokens",
            set: Set::Attention("tile-32"),
            make: forward,
        },
        Row {
            files: &["attention_direct"],
            computes: "the same without workgroup memory, for software drivers",
            moves: "the same",
            intensity: "the same",
            set: Set::Attention("direct-4"),
            make: forward,
        },
        Row {
            files: &["attention_stats", "attention_backward_q", "attention_backward_kv"],
            computes: "per row and head what the backward pass needs (log-sum-exp, output · gradient); the gradients \
                       at q; those at k and v; weights are computed again",
            moves: "8 n w, 20 n w, 24 n w",
            intensity: "0.25, l / 3, l / 3",
            set: Set::Any,
            make: |on| {
                let (x, segments) = (on.x.clone(), on.segments.clone());
                Work::new(3.5 * scores(on), 8.0 * on.values(), move || {
                    step(&[&x, &x, &x], |t| ops::attention(&t[0], &t[1], &t[2], &segments, HEADS, false))
                })
            },
        },
        Row {
            files: &["linear_attention_product", "linear_attention_join"],
            computes: "the products of attention by feature maps; features are made while they are loaded; sums of \
                       blocks to sums of segments",
            moves: "4 n (w + features)",
            intensity: "features / 4",
            set: Set::Any,
            make: |on| {
                let (x, segments) = (on.x.clone(), on.segments.clone());
                let omega = on.tensor(&[WIDTH / HEADS, FEW])?;
                Work::new(8.0 * on.values() * FEW as f64, 4.0 * on.values(), move || {
                    ops::feature_attention(&x, &x, &x, &omega, &segments, HEADS, Denominator::AtLeast(1e-6))
                })
            },
        },
        Row {
            files: &["performer_maxima", "performer_offsets", "performer_statistics", "performer_finish"],
            computes: "FAVOR+: maxima of projections, offsets of exponents, the constant part",
            moves: "4 n features",
            intensity: "about 0.5",
            set: Set::Any,
            make: |on| {
                let (x, segments) = (on.x.clone(), on.segments.clone());
                let projection = on.tensor(&[FEATURES, WIDTH / HEADS])?;
                let settings = PerformerSettings::default();
                Work::new(8.0 * on.values() * FEATURES as f64, 4.0 * on.values(), move || {
                    ops::performer_attention(&x, &x, &x, &projection, &segments, HEADS, settings)
                })
            },
        },
        Row {
            files: &["linear_attention_features", "linear_attention_slopes", "performer_maximum_slopes"],
            computes: "gradients at feature maps, at quotients, and through the maxima of FAVOR+",
            moves: "8 n features",
            intensity: "about 1",
            set: Set::Any,
            make: |on| {
                let (x, segments) = (on.x.clone(), on.segments.clone());
                let projection = on.tensor(&[FEATURES, WIDTH / HEADS])?;
                let settings = PerformerSettings::default();
                Work::new(24.0 * on.values() * FEATURES as f64, 8.0 * on.values(), move || {
                    step(&[&x, &x, &x], |t| {
                        ops::performer_attention(&t[0], &t[1], &t[2], &projection, &segments, HEADS, settings)
                    })
                })
            },
        },
        Row {
            files: &["segment_shares", "flow_curve"],
            computes: "the normalisers of flow attention: values of rows relative to values of their segments",
            moves: "12 n",
            intensity: "below 1",
            set: Set::Any,
            make: |on| {
                let (x, segments) = (on.x.clone(), on.segments.clone());
                let flops = 8.0 * on.values() * (WIDTH / HEADS) as f64;
                Work::new(flops, 4.0 * on.values(), move || ops::flow_attention(&x, &x, &x, &segments, HEADS))
            },
        },
        Row {
            files: &["rotary"],
            computes: "pairs of columns turned by the angle of the row's position",
            moves: "8 n w + table",
            intensity: "0.75",
            set: Set::Any,
            make: |on| {
                let frequencies = Rotary::frequencies(1e4, WIDTH / HEADS);
                let table = Rotary::new(&on.device, &frequencies, on.rows)?;
                let (x, positions) = (on.x.clone(), ops::row_positions(&on.segments)?);
                Work::new(3.0 * on.values(), 2.0 * on.values(), move || ops::rotary(&x, &table, &positions))
            },
        },
    ]
}

/// Operations of the two products of the forward pass.
fn scores(on: &Operands) -> f64 {
    let pairs: usize = on.segments.ranges().map(|range| range.len() * range.len()).sum();
    (4 * pairs * WIDTH) as f64
}

fn forward(on: &Operands) -> Result<Work> {
    let (x, segments) = (on.x.clone(), on.segments.clone());
    Work::new(scores(on), 4.0 * on.values(), move || ops::attention(&x, &x, &x, &segments, HEADS, false))
}
