//! Every operation on both backends against a plain f64 reference, on odd shapes: 1, primes, tails of every tile,
//! empty segments, more rows than one axis of a grid holds; and not-a-number comes out where it went in.

mod attention;
mod batched;
mod columns;
mod dropout;
mod elementwise;
mod embed;
mod half;
mod limits;
mod linear_attention;
mod loss;
mod norms;
mod pool;
mod product;
mod properties;
mod properties_of_segments;
mod reduce;
mod rotary;
mod shapes;
mod sparse;
mod windows;

use crate::common::{devices, noise, upload};
use celldag_shaders::Segments;
use celldag_shaders::ops::{self, Activation, Pool};

#[test]
fn not_a_number_comes_out_where_it_went_in() {
    for device in devices() {
        let (rows, columns) = (70, 32);
        let mut x = noise(24, rows * columns);
        x[40 * columns + 3] = f32::NAN;
        let tensor = upload(&device, &[rows, columns], &x);
        let ones = upload(&device, &[columns], &vec![1.0; columns]);
        let weight = upload(&device, &[48, columns], &noise(25, 48 * columns));
        let segments = Segments::new(&device, &[20, 30, 20]).unwrap();
        let spoilt = |values: Vec<f32>, width: usize| -> Vec<usize> {
            let rows = values.chunks(width).enumerate().filter(|(_, row)| row.iter().any(|v| v.is_nan()));
            rows.map(|(row, _)| row).collect()
        };
        let linear = ops::linear(&tensor, &weight, None, Activation::Gelu).unwrap();
        assert_eq!(spoilt(linear.read().unwrap(), 48), [40], "linear {device:?}");
        let normed = ops::layer_norm(&tensor, None, &ones, &ones, 1e-5).unwrap();
        assert_eq!(spoilt(normed.read().unwrap(), columns), [40], "layer_norm {device:?}");
        for kind in [Pool::Mean { skip_first: 0, skip_last: 0 }, Pool::Max { skip_first: 0, skip_last: 0 }] {
            let pooled = ops::pool(&tensor, &segments, kind).unwrap();
            assert_eq!(spoilt(pooled.read().unwrap(), columns), [1], "{kind:?} {device:?}");
        }
        assert!(ops::sum(&tensor).unwrap().read().unwrap()[0].is_nan());
    }
}
