//! A small encoder of the kind that BERT stacks, for tests of memory.

use celldag_shaders::ops::{self, Activation, Pool};
use celldag_shaders::{Device, Ids, Result, Segments, Tensor};

use super::{noise, upload};

/// Sizes of an encoder.
#[derive(Debug, Clone, Copy)]
pub struct Sizes {
    pub layers: usize,
    pub width: usize,
    pub heads: usize,
    pub inner: usize,
}

/// Two small layers.
pub const SMALL: Sizes = Sizes { layers: 2, width: 40, heads: 4, inner: 160 };

pub struct Stack {
    pub table: Tensor,
    heads: usize,
    layers: Vec<Vec<Tensor>>,
}

impl Stack {
    pub fn new(device: &Device, sizes: Sizes) -> Stack {
        let Sizes { layers, width, heads, inner } = sizes;
        let matrix = |seed, rows, columns| upload(device, &[rows, columns], &noise(seed, rows * columns));
        let layer = |number: usize| {
            let seed = 10 * number as u64 + 10;
            let mut layer: Vec<Tensor> = (0..4).map(|i| matrix(seed + i, width, width)).collect();
            layer.push(matrix(seed + 4, inner, width));
            layer.push(matrix(seed + 5, width, inner));
            layer.extend((6..8).map(|i| upload(device, &[width], &noise(seed + i, width))));
            layer
        };
        Stack { table: matrix(1, 100, width), heads, layers: (0..layers).map(layer).collect() }
    }

    /// First states of cells of the given lengths.
    pub fn embed(&self, lengths: &[usize]) -> Result<Vec<f32>> {
        self.states(lengths)?.read()
    }

    /// As [`Stack::embed`], on the device.
    pub fn states(&self, lengths: &[usize]) -> Result<Tensor> {
        let device = self.table.device();
        let cell = |length: &usize| (0..*length as u32).map(|i| (i * 7 + 3) % 100);
        let tokens: Vec<u32> = lengths.iter().flat_map(cell).collect();
        let segments = Segments::new(device, lengths)?;
        let mut x = ops::embed(&self.table, &Ids::new(device, &tokens)?)?;
        for layer in &self.layers {
            let [q, k, v, o, up, down, gamma, beta] = &layer[..] else { unreachable!() };
            let linear = |x: &Tensor, w: &Tensor, activation| ops::linear(x, w, None, activation);
            let mixed = {
                let q = linear(&x, q, Activation::None)?;
                let (k, v) = (linear(&x, k, Activation::None)?, linear(&x, v, Activation::None)?);
                ops::attention(&q, &k, &v, &segments, self.heads, false)?
            };
            let mixed = linear(&mixed, o, Activation::None)?;
            x = ops::layer_norm(&mixed, Some(&x), gamma, beta, 1e-5)?;
            let wide = linear(&x, up, Activation::Gelu)?;
            x = ops::layer_norm(&linear(&wide, down, Activation::None)?, Some(&x), gamma, beta, 1e-5)?;
        }
        ops::pool(&x, &segments, Pool::First)
    }
}
