//! Training: heads, low-rank adapters under them, and the loop around both.
//!
//! [`fit`] is the loop: batches in a seeded order, a learning-rate schedule, early stopping on validation cells. What learns
//! is a [`Learner`]: a head on fixed vectors, or [`FineTuning`], an encoder's adapters together with a head. None of them is
//! ever given the label of a test cell: a learner owns the cells it may learn from.

mod fine_tuning;
mod fit;
mod network;
mod objective;
mod optimizer;
mod order;
mod passes;
mod schedule;

pub use fine_tuning::{FineTuning, Learned, TunedLayer, TuningSettings};
pub use fit::{Divergence, EpochRecord, Event, FitSettings, Learner, TrainError, Trained, fit};
pub use network::{Gradients, Network, uniform};
pub use objective::{LossKind, Objective};
pub use optimizer::Optimizer;
pub use order::{balanced_epochs, shuffled_epochs};
pub use passes::LabelledTokens;
pub use schedule::Schedule;
