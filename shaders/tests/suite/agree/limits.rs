//! Lists, batches and sums larger than what kernels can bind at once (64 KiB here): the same bits as with the adapter's
//! limit; and what can never be cut is refused with its size.

use celldag_shaders::ops::{
    self, Csr, Denominator, Dropout, KeyMaximum, Layout, PerformerSettings, Pool, Rotary,
};
use celldag_shaders::{Device, DeviceError, Element, Error, Ids, Segments};

use crate::agree::windows::{assert_same, both};
use crate::common::{assert_close, bits, gpu, noise, small_bindings, upload};

/// More words than 64 KiB hold.
const MANY: usize = 20_011;

fn numbers(count: usize, below: usize) -> Vec<u32> {
    (0..count as u32).map(|i| i.wrapping_mul(2_654_435_761) % below as u32).collect()
}

#[test]
fn lists_of_rows() {
    let ids = numbers(MANY, 50);
    for columns in [1, 3] {
        assert_same("embed", &[&[50, columns]], |device, x| ops::embed(&x[0], &Ids::new(device, &ids)?));
    }
    // More lists of ids than fit, most of them empty; and the lists themselves.
    for count in [300, MANY] {
        let ids = numbers(count, MANY);
        assert_same("embed", &[&[MANY, 1]], |device, x| ops::embed(&x[0], &Ids::new(device, &ids)?));
    }
    let dropout = Dropout { probability: 0.3, seed: 1, stream: 2 };
    assert_same("dropout", &[&[MANY, 1]], |device, x| {
        ops::dropout(&x[0], dropout, Some(&Ids::new(device, &numbers(MANY, 1 << 20))?))
    });
    assert_same("rotary", &[&[MANY, 2]], |device, x| {
        let table = Rotary::new(device, &[0.1], 50)?;
        ops::rotary(&x[0], &table, &Ids::new(device, &ids)?)
    });
    assert_same("cross entropy", &[&[MANY, 1]], |device, x| {
        ops::softmax_cross_entropy(&x[0], &Ids::new(device, &vec![0; MANY])?)?.value()
    });
}

#[test]
fn lists_of_segments() {
    let mut lengths = vec![1; MANY - 900];
    lengths.splice(7..9, [0, 902]);
    let x: &[usize] = &[MANY, 1];
    for kind in [Pool::Mean { skip_first: 0, skip_last: 0 }, Pool::Max { skip_first: 0, skip_last: 0 }] {
        assert_same(&format!("{kind:?}"), &[x], |device, x| {
            ops::pool(&x[0], &Segments::new(device, &lengths)?, kind)
        });
    }
    let weighted = |device: &Device, x: &[celldag_shaders::Tensor]| {
        ops::weighted_pool(&x[0], &x[1], &Segments::new(device, &lengths)?)
    };
    let Some([small, large]) = both("weighted_pool", &[x, &[MANY]], weighted) else { return };
    for (small, large) in small.iter().zip(&large) {
        let want: Vec<f64> = large.iter().map(|&value| f64::from(value)).collect();
        assert_close("weighted_pool", small, &want, 1e-5);
    }
}

/// One row of the matrix alone is more than fits; the table is not.
#[test]
fn sparse_patterns() {
    let (genes, width, rows) = (400, 5, 60_000);
    let mut offsets = vec![0, 17_000];
    offsets.extend((1..rows).map(|row| 17_000 + row / 2));
    let count = offsets[rows];
    let columns = numbers(count, genes);
    let operation = |device: &Device, x: &[celldag_shaders::Tensor]| {
        ops::csr_matmul(&x[0], &Csr::new(device, &offsets, &columns, genes)?, &x[1])
    };
    let Some([small, large]) = both("csr", &[&[count], &[genes, width]], operation) else { return };
    assert!(bits(&small[0]) == bits(&large[0]) && bits(&small[1]) == bits(&large[1]), "product and values");
    // The gradient of the table adds up windows of the rows.
    let want: Vec<f64> = large[2].iter().map(|&value| f64::from(value)).collect();
    assert_close("table", &small[2], &want, 1e-4);
}

#[test]
fn linear_attentions() {
    let mut lengths = vec![700, 0, 1];
    lengths.extend([9; 150]);
    let rows: usize = lengths.iter().sum();
    let x: &[usize] = &[rows, 8];
    let projection = noise(7, 6 * 4);
    for key_maximum in [KeyMaximum::PerSegment, KeyMaximum::WholeBatch] {
        assert_same(&format!("{key_maximum:?}"), &[x; 3], |device, x| {
            let (projection, segments) =
                (upload(device, &[6, 4], &projection), Segments::new(device, &lengths)?);
            let settings = PerformerSettings { eps: 1e-4, key_maximum };
            ops::performer_attention(&x[0], &x[1], &x[2], &projection, &segments, 2, settings)
        });
    }
    assert_same("features", &[x; 3], |device, x| {
        let (omega, segments) = (upload(device, &[4, 6], &projection), Segments::new(device, &lengths)?);
        ops::feature_attention(&x[0], &x[1], &x[2], &omega, &segments, 2, Denominator::Plus(1e-6))
    });
    // Sums over segments go window by window of the rows.
    let flow = |device: &Device, x: &[celldag_shaders::Tensor]| {
        ops::flow_attention(&x[0], &x[1], &x[2], &Segments::new(device, &lengths)?, 2)
    };
    let Some([small, large]) = both("flow", &[x; 3], flow) else { return };
    for (small, large) in small.iter().zip(&large) {
        let want: Vec<f64> = large.iter().map(|&value| f64::from(value)).collect();
        assert_close("flow", small, &want, 1e-5);
    }
}

/// Batches whose matrices fit by the few, or not at all, or whose shared operand does not; rows of which fewer fit than
/// the alignment of windows.
#[test]
fn products() {
    let of = |layout, [m, n, k]: [usize; 3]| match layout {
        Layout::NN => [[m, k], [k, n]],
        Layout::NT => [[m, k], [n, k]],
        Layout::TN => [[k, m], [k, n]],
    };
    for size in [[30, 50, 60], [130, 36, 140], [7, 21, 2400]] {
        for layout in [Layout::NN, Layout::NT, Layout::TN] {
            let [a, b] = of(layout, size);
            let batch = |shape: [usize; 2]| vec![5, shape[0], shape[1]];
            for (a, b) in [
                (batch(a), batch(b)),
                (a.to_vec(), batch(b)),
                (batch(a), b.to_vec()),
                (a.to_vec(), b.to_vec()),
            ] {
                let label = format!("{layout:?} {a:?} {b:?}");
                assert_same(&label, &[&a, &b], |_, x| ops::matmul(&x[0], &x[1], layout));
            }
        }
    }
}

/// Blocks of rows, and rows, that are larger than a binding are added up in the same order.
#[test]
fn sums_of_wide_rows() {
    let (Some(small), Some(large)) = (small_bindings(), gpu()) else { return };
    for shape in [[300, 700], [259, MANY]] {
        let x = noise(9, shape[0] * shape[1]);
        let sums = [&small, &large]
            .map(|device| bits(&ops::column_sum(&upload(device, &shape, &x)).unwrap().read().unwrap()));
        assert!(sums[0] == sums[1], "{shape:?}");
    }
}

/// More workgroups than an axis of a grid holds: a product, a row and head each.
#[test]
fn long_grids() {
    let Some(device) = gpu() else { return };
    let count = 65_537;
    let (a, b) = (noise(1, 2 * count), noise(2, 2 * count));
    let (ta, tb) = (upload(&device, &[count, 1, 2], &a), upload(&device, &[count, 2, 1], &b));
    let got = ops::matmul(&ta, &tb, Layout::NN).unwrap().read().unwrap();
    let pairs = a.chunks_exact(2).zip(b.chunks_exact(2));
    let want: Vec<f64> =
        pairs.map(|(a, b)| f64::from(a[0]) * f64::from(b[0]) + f64::from(a[1]) * f64::from(b[1])).collect();
    assert_close("batch", &got, &want, 1e-6);
    let rows = 65_537;
    let values = [3, 4, 5].map(|seed| noise(seed, rows * 2));
    let on = |device: &Device| {
        let [q, k, v] = values.each_ref().map(|values| upload(device, &[rows, 2], values));
        let (projection, segments) =
            (upload(device, &[3, 2], &noise(6, 6)), Segments::new(device, &[rows - 3, 3]).unwrap());
        let settings = PerformerSettings::default();
        ops::performer_attention(&q, &k, &v, &projection, &segments, 1, settings).unwrap().read().unwrap()
    };
    let want: Vec<f64> = on(&crate::common::cpu(2)).iter().map(|&value| f64::from(value)).collect();
    assert_close("performer", &on(&device), &want, 1e-5);
}

/// A row of values, a block of the keys of a linear attention, and the numbers of all its blocks are never cut.
#[test]
fn what_cannot_be_cut_is_refused() {
    let Some(device) = small_bindings() else { return };
    let zeros = |shape: &[usize]| device.zeros(shape).unwrap();
    let wide = zeros(&[2, MANY]);
    let (row, ids) = (zeros(&[MANY]), Ids::new(&device, &[0, 1]).unwrap());
    let segments = Segments::new(&device, &[2]).unwrap();
    let stored = Element::F16.round(&vec![0.0; 2 * MANY]);
    let half = device.upload_half(&[2, MANY], Element::F16, &stored).unwrap();
    let performer = |width: usize, features: usize, lengths: &[usize]| {
        let x = zeros(&[lengths.iter().sum(), width]);
        let segments = Segments::new(&device, lengths).unwrap();
        let settings = PerformerSettings::default();
        ops::performer_attention(&x, &x, &x, &zeros(&[features, 1]), &segments, width, settings)
    };
    let results = [
        ("NN", ops::matmul(&wide, &zeros(&[MANY, 2]), Layout::NN)),
        ("NT", ops::matmul(&wide, &wide, Layout::NT)),
        ("TN", ops::matmul(&zeros(&[2, 1]), &wide, Layout::TN)),
        ("stored weight", ops::matmul(&zeros(&[2, 2]), &half, Layout::NN)),
        ("embed", ops::embed(&wide, &ids)),
        ("softmax", ops::softmax(&wide)),
        ("norm", ops::layer_norm(&wide, None, &row, &row, 1e-5)),
        ("pool", ops::pool(&wide, &segments, Pool::First)),
        ("slice", ops::slice_columns(&wide, 0..MANY - 1)),
        ("loss", ops::mean_squared_error(&wide, &wide).map(|loss| loss.rows)),
        ("performer features", performer(8, 70, &[300])),
        ("performer blocks", performer(8, 2, &[1; 1100])),
    ];
    for (name, result) in results {
        let refused = matches!(result, Err(Error::Device(DeviceError::TooLarge { bytes, limit, .. }))
            if bytes > limit && limit == 64 << 10);
        assert!(refused, "{name}: {result:?}");
    }
}
