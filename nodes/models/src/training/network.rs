//! A perceptron with ReLU between its layers: forward pass, gradients by the tape, torch's initial weights.

use celldag_shaders::ops::{Activation, Parameter, linear};
use celldag_shaders::{Device, Result, Tape, Tensor};
use rand::{Rng, SeedableRng};
use rand_chacha::ChaCha8Rng;

use crate::draw::fraction;

/// Rows of a forward pass without gradients; does not change results.
const FORWARD_ROWS: usize = 1024;

/// Weights `[outputs, inputs]` and bias `[outputs]` of each layer.
#[derive(Debug)]
pub struct Network {
    layers: Vec<(Parameter, Parameter)>,
}

/// Gradient of weights and bias, layer by layer.
pub type Gradients = Vec<(Tensor, Tensor)>;

impl Network {
    /// Layers of the given widths (`[inputs, hidden ..., outputs]`) with torch's default initial values, uniform within
    /// ±1/√inputs, drawn in layer order, weights before bias.
    ///
    /// # Errors
    /// The device's errors.
    pub fn new(device: &Device, widths: &[usize], seed: [u8; 32]) -> Result<Self> {
        let mut rng = ChaCha8Rng::from_seed(seed);
        let mut values = Vec::new();
        for pair in widths.windows(2) {
            let weight = uniform(&mut rng, pair[0] * pair[1], pair[0]);
            values.push((weight, uniform(&mut rng, pair[1], pair[0])));
        }
        Self::from_values(device, widths, &values)
    }

    /// Layers with given values: weights by row `[outputs, inputs]`, and bias.
    ///
    /// # Errors
    /// Numbers of values that do not fit the widths; the device's errors.
    pub fn from_values(device: &Device, widths: &[usize], values: &[(Vec<f32>, Vec<f32>)]) -> Result<Self> {
        let layers = widths.windows(2).zip(values).map(|(pair, (weight, bias))| {
            let weight = Parameter::new(device.upload(&[pair[1], pair[0]], weight)?)?;
            Ok((weight, Parameter::new(device.upload(&[pair[1]], bias)?)?))
        });
        Ok(Self { layers: layers.collect::<Result<_>>()? })
    }

    /// Logits `[rows, outputs]` of `x` `[rows, inputs]`.
    ///
    /// # Errors
    /// Shapes that do not fit; the device's errors.
    pub fn forward(&self, x: &Tensor) -> Result<Tensor> {
        pass(x, self.layers.iter().map(|(weight, bias)| (weight.value(), bias.value())))
    }

    /// Weights and bias of each layer as something that `tape` differentiates by.
    #[must_use]
    pub fn watched(&self, tape: &Tape) -> Vec<(Tensor, Tensor)> {
        let watch = |parameter: &Parameter| tape.watch(parameter.value());
        self.layers.iter().map(|(weight, bias)| (watch(weight), watch(bias))).collect()
    }

    /// Logits `[rows, outputs]` by layers that [`Network::watched`] gave.
    ///
    /// # Errors
    /// Shapes that do not fit; the device's errors.
    pub fn forward_watched(x: &Tensor, watched: &[(Tensor, Tensor)]) -> Result<Tensor> {
        pass(x, watched.iter().map(|(weight, bias)| (weight, bias)))
    }

    /// Logits of cells, one row each, of their vectors behind each other.
    ///
    /// # Errors
    /// A number of values that is no multiple of the inputs; the device's errors.
    pub fn logits(&self, device: &Device, vectors: &[f32]) -> Result<Vec<Vec<f32>>> {
        let inputs = self.layers.first().map_or(1, |(weight, _)| weight.value().shape()[1]).max(1);
        let mut out = Vec::with_capacity(vectors.len() / inputs);
        for chunk in vectors.chunks(FORWARD_ROWS * inputs) {
            let rows = chunk.len() / inputs;
            let logits = self.forward(&device.upload(&[rows, inputs], chunk)?)?.read()?;
            out.extend(logits.chunks(logits.len() / rows).map(<[f32]>::to_vec));
        }
        Ok(out)
    }

    /// Gradients of a loss; `slope` gives the loss value of a batch and its gradient at the logits.
    ///
    /// # Errors
    /// What `slope` returns; the device's errors.
    pub fn gradients<T>(
        &self,
        x: &Tensor,
        slope: impl FnOnce(&Tensor) -> Result<(T, Tensor)>,
    ) -> Result<(T, Gradients)> {
        let tape = Tape::new();
        let watched = self.watched(&tape);
        let logits = Self::forward_watched(x, &watched)?;
        let (value, gradient) = slope(&logits)?;
        let found = tape.gradients(&logits, &gradient)?;
        let of = |tensor: &Tensor| match found.of(tensor) {
            Some(gradient) => Ok(gradient.clone()),
            None => tensor.device().zeros(tensor.shape()),
        };
        let gradients = watched.iter().map(|(weight, bias)| Ok((of(weight)?, of(bias)?)));
        Ok((value, gradients.collect::<Result<_>>()?))
    }

    /// Applies `step` to every parameter with its gradient.
    ///
    /// # Errors
    /// What `step` returns.
    pub fn update(
        &mut self,
        gradients: &Gradients,
        mut step: impl FnMut(&mut Parameter, &Tensor) -> Result<()>,
    ) -> Result<()> {
        for ((weight, bias), (dw, db)) in self.layers.iter_mut().zip(gradients) {
            step(weight, dw)?;
            step(bias, db)?;
        }
        Ok(())
    }

    /// Weight and bias of each layer.
    pub fn parameters(&self) -> impl Iterator<Item = &Parameter> {
        self.layers.iter().flat_map(|(weight, bias)| [weight, bias])
    }

    /// As [`Network::parameters`], to be changed.
    pub fn parameters_mut(&mut self) -> impl Iterator<Item = &mut Parameter> {
        self.layers.iter_mut().flat_map(|(weight, bias)| [weight, bias])
    }

    /// The present values; later updates leave them alone.
    #[must_use]
    pub fn snapshot(&self) -> Vec<(Tensor, Tensor)> {
        self.layers.iter().map(|(w, b)| (w.value().clone(), b.value().clone())).collect()
    }

    /// Goes back to a snapshot.
    ///
    /// # Errors
    /// A snapshot of another network.
    pub fn restore(&mut self, snapshot: &[(Tensor, Tensor)]) -> Result<()> {
        for ((weight, bias), (w, b)) in self.layers.iter_mut().zip(snapshot) {
            weight.set(w.clone())?;
            bias.set(b.clone())?;
        }
        Ok(())
    }

    /// Weights and bias of each layer, on the host.
    ///
    /// # Errors
    /// The device's errors.
    pub fn values(&self) -> Result<Vec<(Vec<f32>, Vec<f32>)>> {
        self.layers.iter().map(|(w, b)| Ok((w.value().read()?, b.value().read()?))).collect()
    }
}

/// Logits of `x` by layers of weights and bias.
fn pass<'a>(x: &Tensor, layers: impl ExactSizeIterator<Item = (&'a Tensor, &'a Tensor)>) -> Result<Tensor> {
    let last = layers.len().saturating_sub(1);
    let mut x = x.clone();
    for (at, (weight, bias)) in layers.enumerate() {
        let activation = if at == last { Activation::None } else { Activation::Relu };
        x = linear(&x, weight, Some(bias), activation)?;
    }
    Ok(x)
}

/// Numbers uniform within ±1/√inputs, as torch starts the weights and biases of a linear layer.
pub fn uniform(rng: &mut impl Rng, count: usize, inputs: usize) -> Vec<f32> {
    let bound = 1.0 / (inputs.max(1) as f64).sqrt();
    let draws = (0..count).map(|_| (fraction(rng) * 2.0 - 1.0) * bound);
    draws.map(|value| value as f32).collect()
}
