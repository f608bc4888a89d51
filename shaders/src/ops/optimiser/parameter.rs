//! Trainable values and the state that an optimiser keeps for them.

use crate::error::{Error, Result};
use crate::tensor::Tensor;

/// Trainable values with the state of their optimiser. Steps write into the memory of the values, unless somebody
/// still holds a clone of [`Parameter::value`]: a clone is a snapshot and keeps its values. A parameter is for one optimiser.
#[derive(Debug)]
pub struct Parameter {
    pub(super) value: Tensor,
    pub(super) state: OptimiserState,
}

/// What an optimiser remembers of one parameter. Tensors are snapshots: later steps leave them alone.
#[derive(Debug, Clone, Default)]
pub struct OptimiserState {
    /// Number of steps taken.
    pub steps: u32,
    /// First moment of the Adam family, velocity of gradient descent; none before the first step.
    pub first: Option<Tensor>,
    /// Second moment of the Adam family, sum of squares of Adagrad; none before the first step.
    pub second: Option<Tensor>,
}

impl Parameter {
    /// A parameter that starts at `value`.
    ///
    /// # Errors
    /// The values are not f32.
    pub fn new(value: Tensor) -> Result<Parameter> {
        value.expect_f32("Parameter::new")?;
        Ok(Parameter { value: plain(value), state: OptimiserState::default() })
    }

    /// The current values.
    pub fn value(&self) -> &Tensor {
        &self.value
    }

    /// Replaces the values and keeps the optimiser's state.
    ///
    /// # Errors
    /// The shape differs.
    pub fn set(&mut self, value: Tensor) -> Result<()> {
        self.fits("Parameter::set", "value", &value)?;
        self.value = plain(value);
        Ok(())
    }

    /// Number of steps taken.
    pub fn steps(&self) -> u32 {
        self.state.steps
    }

    /// The optimiser's state, to go on from later: with it and the values, the next step gives the same bits.
    #[must_use]
    pub fn state(&self) -> OptimiserState {
        self.state.clone()
    }

    /// Puts back a state that [`Parameter::state`] gave, for this parameter or one of the same shape.
    ///
    /// # Errors
    /// Shapes or devices do not fit; steps without the moments that belong to them.
    pub fn restore(&mut self, state: OptimiserState) -> Result<()> {
        const OP: &str = "Parameter::restore";
        for (name, tensor) in [("first", &state.first), ("second", &state.second)] {
            if let Some(tensor) = tensor {
                self.fits(OP, name, tensor)?;
            }
        }
        if state.steps > 0 && state.first.is_none() && state.second.is_none() {
            return Err(Error::shape(OP, format!("{} steps without moments", state.steps)));
        }
        self.state =
            OptimiserState { first: state.first.map(plain), second: state.second.map(plain), ..state };
        Ok(())
    }

    fn fits(&self, op: &'static str, name: &str, tensor: &Tensor) -> Result<()> {
        tensor.expect_like(op, name, &self.value)?;
        tensor.expect_f32(op)?;
        self.value.device().expect_home(op, &[tensor])
    }

    /// Checks the gradient of a step.
    pub(super) fn check(&self, op: &'static str, gradient: &Tensor) -> Result<()> {
        self.fits(op, "gradient", gradient)
    }
}

/// The tensor, on no tape.
fn plain(tensor: Tensor) -> Tensor {
    if tensor.is_traced() { tensor.detach() } else { tensor }
}

/// The moment, made of `start` in all places before the first step.
pub(super) fn moment<'a>(
    moment: &'a mut Option<Tensor>,
    value: &Tensor,
    start: f32,
) -> Result<&'a mut Tensor> {
    match moment {
        Some(moment) => Ok(moment),
        None => {
            let values = vec![start; value.len()];
            Ok(moment.insert(value.device().upload(value.shape(), &values)?))
        }
    }
}
