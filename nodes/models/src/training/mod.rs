//! Training: heads, low-rank adapters under them, and the loop around both.
//!
//! [`fit`] is the loop: batches in a seeded order, a learning-rate schedule, early stopping on validation cells. What learns
//! is a [`Learner`]: a head on fixed vectors, or [`FineTuning`], an encoder's layers together with a head. None of them is
//! ever given the label of a test cell: a learner owns the cells it may learn from. [`fit_from`] goes on with a training that
//! was written down ([`write_training`]), to the same bits.

mod fine_tuning;
mod fit;
mod memory;
mod network;
mod objective;
mod optimizer;
mod order;
mod passes;
mod progress;
mod resume;
mod saved;
mod schedule;
mod tuned;

pub use fine_tuning::{FineTuning, Learned, TuningSettings};
pub use fit::{Event, FitSettings, Learner, TrainError, fit, fit_from};
pub(crate) use memory::{Fitting, gradients_at, summed, within};
pub use network::{Gradients, Network, uniform};
pub use objective::{LossKind, Objective};
pub use optimizer::Optimizer;
pub use order::{balanced_epochs, shuffled_epochs};
pub use passes::LabelledTokens;
pub use progress::{Divergence, EpochRecord, Kept, Progress, Trained};
pub use saved::{Resumable, SavedState, SavedTensor, read_training, write_training};
pub use schedule::Schedule;
pub use tuned::TunedLayer;
