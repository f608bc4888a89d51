//! Reverse-mode differentiation: a tape of the operations that depend on watched tensors.
//!
//! [`Tape::watch`] marks a tensor. Every operation that gets a marked tensor marks its result and leaves an entry: which
//! entries it depends on, and a closure that turns the gradient of the result into gradients of the operands. Entries
//! are in the order of the computation, so walking down from the last one is the backward pass ([`Tape::gradients`]).
//! Nothing is recorded for tensors that depend on nothing watched: frozen layers below the first trained one cost no
//! memory, and gradients of frozen weights are never computed.
//!
//! An entry keeps the operands that its closure needs; each is dropped as soon as the closure has run. [`segment`] keeps
//! only the inputs of a part of a model and computes that part again in the backward pass, if the tape was asked to.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, Weak};

use crate::error::{Error, Result};
use crate::ops;
use crate::tensor::Tensor;

/// Gradients of operands, by their entries.
type Slopes = Vec<(usize, Tensor)>;

/// Turns the gradient of a result into gradients of operands.
type Backward = Box<dyn FnOnce(&Tensor) -> Result<Slopes> + Send>;

/// What a tape has recorded.
struct Record {
    /// One an operation; none for watched tensors and for entries that were used.
    entries: Mutex<Vec<Option<Backward>>>,
    /// Operations leave no entry: inside of a segment's first pass and inside of backward closures.
    paused: AtomicBool,
    /// The tape is gone: what it traced counts as constant.
    closed: AtomicBool,
    recompute: bool,
}

impl Record {
    fn entries(&self) -> MutexGuard<'_, Vec<Option<Backward>>> {
        self.entries.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn push(&self, entry: Option<Backward>) -> usize {
        let mut entries = self.entries();
        entries.push(entry);
        entries.len() - 1
    }

    /// Runs `work` with recording switched off, or on.
    fn with_pause<T>(&self, paused: bool, work: impl FnOnce() -> T) -> T {
        struct Reset<'a>(&'a AtomicBool, bool);
        impl Drop for Reset<'_> {
            fn drop(&mut self) {
                self.0.store(self.1, Ordering::Relaxed);
            }
        }
        let before = self.paused.swap(paused, Ordering::Relaxed);
        // Also if `work` panics.
        let _reset = Reset(&self.paused, before);
        work()
    }

    /// Walks down from the last entry in `pending` and runs every closure whose gradient is known, until none is left at
    /// `stop` or above. Gradients of watched tensors at or above `stop` go to `watched`; what is left in `pending` belongs
    /// to entries below.
    fn walk(
        &self,
        pending: &mut BTreeMap<usize, Tensor>,
        watched: &mut BTreeMap<usize, Tensor>,
        stop: usize,
    ) -> Result<()> {
        while let Some(last) = pending.last_entry().filter(|last| *last.key() >= stop) {
            let (index, gradient) = last.remove_entry();
            let entry = self.entries().get_mut(index).and_then(Option::take);
            let Some(backward) = entry else {
                watched.insert(index, gradient);
                continue;
            };
            for (operand, slope) in backward(&gradient)? {
                let total = match pending.remove(&operand) {
                    Some(before) => ops::add(&before, &slope)?,
                    None => slope,
                };
                pending.insert(operand, total);
            }
        }
        Ok(())
    }
}

/// The entry that a tensor came from.
#[derive(Clone)]
pub(crate) struct Trace {
    record: Arc<Record>,
    index: usize,
}

/// Records one forward pass, of one thread. Make one for each training step; dropping it frees everything it kept, and
/// what it traced counts as constant from then on.
pub struct Tape {
    record: Arc<Record>,
}

impl Tape {
    /// A tape that keeps what the backward pass needs.
    pub fn new() -> Tape {
        Tape::with_recompute(false)
    }

    /// With `recompute`, every [`segment`] keeps only its inputs and is computed twice: less memory, a third more work.
    pub fn with_recompute(recompute: bool) -> Tape {
        let record = Record {
            entries: Mutex::default(),
            paused: AtomicBool::new(false),
            closed: AtomicBool::new(false),
            recompute,
        };
        Tape { record: Arc::new(record) }
    }

    /// `tensor` as something to differentiate by. The result shares its memory.
    pub fn watch(&self, tensor: &Tensor) -> Tensor {
        let index = self.record.push(None);
        tensor.detach().with_trace(Trace { record: Arc::clone(&self.record), index })
    }

    /// Gradients at the watched tensors, given the gradient at `output` (for a loss of [`crate::ops`], its field
    /// `gradient`).
    ///
    /// # Errors
    /// `output` does not depend on anything watched here, or the gradient has another shape; the device's errors.
    pub fn gradients(self, output: &Tensor, gradient: &Tensor) -> Result<Gradients> {
        gradient.expect_like("gradients", "gradient", output)?;
        let index = match output.trace() {
            Some(trace) if Arc::ptr_eq(&trace.record, &self.record) => trace.index,
            _ => {
                let message = "the output depends on nothing that this tape watches".to_owned();
                return Err(Error::shape("gradients", message));
            }
        };
        let mut pending = BTreeMap::from([(index, gradient.detach())]);
        let mut watched = BTreeMap::new();
        let walked = self.record.with_pause(true, || self.record.walk(&mut pending, &mut watched, 0));
        walked.map(|()| Gradients { record: Arc::clone(&self.record), watched })
    }
}

impl Default for Tape {
    fn default() -> Self {
        Tape::new()
    }
}

impl Drop for Tape {
    fn drop(&mut self) {
        // Closures hold tensors whose traces hold the record: taking them out breaks the circle.
        self.record.closed.store(true, Ordering::Relaxed);
        let entries = std::mem::take(&mut *self.record.entries());
        drop(entries);
    }
}

impl std::fmt::Debug for Tape {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Tape").field("entries", &self.record.entries().len()).finish_non_exhaustive()
    }
}

/// Gradients of the watched tensors of a tape.
pub struct Gradients {
    record: Arc<Record>,
    watched: BTreeMap<usize, Tensor>,
}

impl Gradients {
    /// The gradient at a tensor that [`Tape::watch`] gave; none if the output does not depend on it.
    pub fn of(&self, watched: &Tensor) -> Option<&Tensor> {
        let trace = watched.trace().filter(|trace| Arc::ptr_eq(&trace.record, &self.record))?;
        self.watched.get(&trace.index)
    }
}

impl std::fmt::Debug for Gradients {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Gradients").field("count", &self.watched.len()).finish_non_exhaustive()
    }
}

/// The record of the first trace whose tape still exists.
fn open_record<const N: usize>(traces: [Option<&Trace>; N]) -> Option<Arc<Record>> {
    let mut records = traces.into_iter().flatten().map(|trace| &trace.record);
    records.find(|record| !record.closed.load(Ordering::Relaxed)).map(Arc::clone)
}

/// Marks `out` as computed from `inputs`, if one of them is traced. Operands of another tape than that of the first traced
/// operand count as constants. `backward` is told which inputs want a gradient; it
/// captures (detached or not) what it needs and gives the closure of the backward pass, which returns one gradient for
/// each wanted input, in order, of exactly that input's shape. Closures call operations freely: nothing of it is
/// recorded.
pub(crate) fn record<'a, const N: usize, F>(
    out: Tensor,
    inputs: [impl Into<Option<&'a Tensor>>; N],
    backward: impl FnOnce([bool; N]) -> F,
) -> Tensor
where
    F: FnOnce(&Tensor) -> Result<[Option<Tensor>; N]> + Send + 'static,
{
    let traces = inputs.map(|input| input.into().and_then(Tensor::trace));
    let Some(record) = open_record(traces) else { return out };
    if record.paused.load(Ordering::Relaxed) {
        return out;
    }
    let of_record = |trace: &&Trace| Arc::ptr_eq(&trace.record, &record);
    let operands = traces.map(|trace| trace.filter(of_record).map(|trace| trace.index));
    let closure = backward(operands.map(|operand| operand.is_some()));
    let entry: Backward = Box::new(move |gradient| {
        let slopes = closure(gradient)?;
        Ok(operands.into_iter().zip(slopes).filter_map(|(operand, slope)| Some((operand?, slope?))).collect())
    });
    let index = record.push(Some(entry));
    out.with_trace(Trace { record, index })
}

/// A part of a model whose intermediate results need not be kept: `body` of `inputs`. If the tape of an input was made
/// with `recompute`, only the inputs are kept and `body` runs again in the backward pass; it must give the same result
/// (operations do, also dropout with the same seed). Otherwise this is just `body(inputs)`.
///
/// # Errors
/// Those of `body`.
pub fn segment<const N: usize>(
    inputs: [&Tensor; N],
    body: impl Fn([&Tensor; N]) -> Result<Tensor> + Send + 'static,
) -> Result<Tensor> {
    let Some(record) = open_record(inputs.map(Tensor::trace)) else { return body(inputs) };
    if !record.recompute || record.paused.load(Ordering::Relaxed) {
        return body(inputs);
    }
    let out = record.with_pause(true, || body(inputs))?.detach();
    let kept = inputs.map(Tensor::clone);
    // Weak, because the closure belongs to the record.
    let home: Weak<Record> = Arc::downgrade(&record);
    let entry: Backward = Box::new(move |gradient| {
        let Some(record) = home.upgrade() else { return Ok(Vec::new()) };
        let start = record.entries().len();
        // Operands inside are the inputs themselves, whose entries lie below `start`.
        let again = record.with_pause(false, || body(kept.each_ref()))?;
        let Some(trace) = again.trace() else { return Ok(Vec::new()) };
        let mut pending = BTreeMap::from([(trace.index, gradient.clone())]);
        let walked = record.with_pause(true, || record.walk(&mut pending, &mut BTreeMap::new(), start));
        record.entries().truncate(start);
        walked.map(|()| pending.into_iter().collect())
    });
    let index = record.push(Some(entry));
    Ok(out.with_trace(Trace { record, index }))
}
