//! The choice of an optimiser.

use celldag_shaders::ops::{Adam, Parameter, Sgd, adam, adamw, sgd_momentum};
use celldag_shaders::{Result, Tensor};

/// An optimiser with its settings.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Optimizer {
    /// Adam, weight decay in the gradient.
    Adam(Adam),
    /// Adam with decoupled weight decay.
    AdamW(Adam),
    /// Gradient descent with momentum.
    Sgd(Sgd),
}

impl Optimizer {
    /// The same with its learning rate times `factor`.
    #[must_use]
    pub fn at_rate(self, factor: f64) -> Self {
        let mut scaled = self;
        match &mut scaled {
            Self::Adam(Adam { lr, .. }) | Self::AdamW(Adam { lr, .. }) | Self::Sgd(Sgd { lr, .. }) => {
                *lr *= factor;
            }
        }
        scaled
    }

    /// One step of a parameter.
    ///
    /// # Errors
    /// The gradient does not fit the parameter; the device's errors.
    pub fn step(&self, parameter: &mut Parameter, gradient: &Tensor) -> Result<()> {
        match self {
            Self::Adam(settings) => adam(parameter, gradient, settings),
            Self::AdamW(settings) => adamw(parameter, gradient, settings),
            Self::Sgd(settings) => sgd_momentum(parameter, gradient, settings),
        }
    }
}
