//! Cells of different lengths in batches of similar work, with results in the order of the cells.
//!
//! Before a batch runs, its memory is planned by a rehearsal, so a memory limit is kept without trying.
//! A batch that does not fit is halved; after the loss of a device, its batch is repeated on the device opened again.

use std::ops::Range;

use celldag_shaders::Device;

use crate::error::ModelError;
use crate::loaded::Loaded;
use crate::registry::Readout;

/// How often a lost device is opened again before its loss is an error.
const REOPENINGS: usize = 2;

/// How to embed.
#[derive(Clone, Copy, Debug)]
pub struct EmbedOptions {
    /// Layer and pooling.
    pub readout: Readout,
    /// Most tokens in one batch; a longer cell is a batch of its own.
    pub batch_tokens: usize,
}

/// Embeds cells of the given token counts; row-major `[cells, dim]` in the order of `lengths`. Cells without tokens get
/// rows of NaN. `read` gives the tokens of the cells it is asked for; `done` hears how many more cells are finished and
/// may stop the work. A batch that does not fit the device's memory, or its limit, is halved until a single cell does not
/// fit. If the device is lost, it is opened again and the batch repeated.
///
/// # Errors
/// Those of the encoder, of `read` and of `done`.
pub fn embed_cells<E: From<ModelError>>(
    loaded: &mut Loaded<'_>,
    lengths: &[usize],
    options: EmbedOptions,
    mut read: impl FnMut(&[usize]) -> Result<Vec<Vec<u32>>, E>,
    mut done: impl FnMut(usize) -> Result<(), E>,
) -> Result<Vec<f32>, E> {
    loaded.encoder().check(options.readout)?;
    let dim = loaded.encoder().info().dim;
    let mut out = vec![f32::NAN; lengths.len() * dim];
    let order = longest_first(lengths);
    done(lengths.len() - order.len())?;
    // Batches not yet done, the next one last.
    let mut pending: Vec<Range<usize>> = batches(&order, lengths, options.batch_tokens);
    pending.reverse();
    let mut reopenings = 0;
    while let Some(batch) = pending.pop() {
        let cells = &order[batch.clone()];
        let tokens = read(cells)?;
        match embed(loaded, &tokens, options.readout) {
            Ok(rows) => {
                for (&cell, row) in cells.iter().zip(rows.chunks_exact(dim)) {
                    out[cell * dim..(cell + 1) * dim].copy_from_slice(row);
                }
                done(cells.len())?;
            }
            Err(error) if error.is_out_of_memory() && batch.len() > 1 => {
                tracing::debug!(cells = batch.len(), %error, "the batch does not fit; trying half of it");
                let middle = batch.start + batch.len() / 2;
                pending.push(middle..batch.end);
                pending.push(batch.start..middle);
            }
            Err(error) if error.is_lost() && reopenings < REOPENINGS => {
                reopenings += 1;
                tracing::warn!(%error, "opening the device again and repeating the batch");
                pending.push(batch);
                loaded.reload()?;
            }
            Err(error) => return Err(error.into()),
        }
    }
    Ok(out)
}

/// Embeds one batch: plans its memory, keeps the limit, and reports what it took.
fn embed(loaded: &mut Loaded<'_>, tokens: &[Vec<u32>], readout: Readout) -> Result<Vec<f32>, ModelError> {
    let count: usize = tokens.iter().map(Vec::len).sum();
    let device = loaded.device();
    let plan = device.plan(|| loaded.encoder().embed(tokens, readout))?;
    let predicted = plan.peak();
    tracing::debug!(cells = tokens.len(), tokens = count, predicted, "peak of device memory");
    if device.memory().limit.is_some_and(|limit| predicted > limit) {
        return Err(over_limit(device, predicted));
    }
    device.reset_peak();
    let rows = device.run_planned(&plan, || loaded.encoder().embed(tokens, readout))?;
    let peak = device.memory().peak;
    tracing::debug!(cells = tokens.len(), tokens = count, predicted, peak, "embedded");
    loaded.saw_peak(peak);
    Ok(rows)
}

fn over_limit(device: &Device, bytes: u64) -> ModelError {
    let device = device.info().name.clone();
    celldag_shaders::Error::from(celldag_shaders::DeviceError::OutOfMemory { device, bytes }).into()
}

/// Cells that have tokens, longest first: what does not fit shows at once, and batches are even.
fn longest_first(lengths: &[usize]) -> Vec<usize> {
    let mut order: Vec<usize> = (0..lengths.len()).filter(|&cell| lengths[cell] > 0).collect();
    order.sort_by_key(|&cell| std::cmp::Reverse(lengths[cell]));
    order
}

/// Ranges of `order` of at most `budget` tokens, at least one cell each.
fn batches(order: &[usize], lengths: &[usize], budget: usize) -> Vec<Range<usize>> {
    let mut out = Vec::new();
    let (mut start, mut tokens) = (0, 0);
    for (at, &cell) in order.iter().enumerate() {
        if at > start && tokens + lengths[cell] > budget {
            out.push(start..at);
            (start, tokens) = (at, 0);
        }
        tokens += lengths[cell];
    }
    if start < order.len() {
        out.push(start..order.len());
    }
    out
}

#[cfg(test)]
mod tests {
    use std::cell::{Cell, RefCell};
    use std::sync::{Arc, Mutex};

    use proptest::prelude::*;

    use super::*;
    use crate::registry::{CellEncoder, EncoderInfo, Pooling};

    /// "Embeds" a cell as its first token, and runs out of memory above `room` tokens.
    struct Fake {
        info: EncoderInfo,
        room: usize,
        calls: Mutex<Vec<usize>>,
    }

    const READOUT: Readout = Readout { layer: -1, pooling: Pooling::Mean };

    fn fake(room: usize) -> Arc<Fake> {
        let info = EncoderInfo {
            variant: String::new(),
            vocabulary: String::new(),
            vocabulary_size: 0,
            context: 0,
            layers: 1,
            dim: 2,
            widest: 1,
            default_readout: READOUT,
        };
        Arc::new(Fake { info, room, calls: Mutex::default() })
    }

    impl CellEncoder for Arc<Fake> {
        fn info(&self) -> &EncoderInfo {
            &self.info
        }
        fn check(&self, _: Readout) -> Result<(), ModelError> {
            Ok(())
        }
        #[expect(clippy::cast_precision_loss, reason = "small numbers")]
        fn embed(&self, cells: &[Vec<u32>], _: Readout) -> Result<Vec<f32>, ModelError> {
            let tokens = cells.iter().map(Vec::len).sum();
            self.calls.lock().unwrap().push(tokens);
            if tokens > self.room {
                let full = celldag_shaders::DeviceError::OutOfMemory { device: "fake".to_owned(), bytes: 0 };
                return Err(celldag_shaders::Error::from(full).into());
            }
            Ok(cells.iter().flat_map(|c| [c[0] as f32, c.len() as f32]).collect())
        }
    }

    fn run(fake: &Arc<Fake>, lengths: &[usize], batch_tokens: usize) -> Result<Vec<f32>, ModelError> {
        let finished = Cell::new(0);
        let seen = RefCell::new(Vec::new());
        let read = |cells: &[usize]| {
            seen.borrow_mut().extend_from_slice(cells);
            Ok(cells.iter().map(|&c| vec![u32::try_from(c).unwrap(); lengths[c]]).collect())
        };
        let options = EmbedOptions { readout: READOUT, batch_tokens };
        let device = Device::cpu(1).unwrap();
        let mut loaded = Loaded::new(&device, |_| Ok(Box::new(Arc::clone(fake)))).unwrap();
        let out = embed_cells(&mut loaded, lengths, options, read, |n| {
            finished.set(finished.get() + n);
            Ok::<(), ModelError>(())
        })?;
        assert_eq!(finished.get(), lengths.len());
        Ok(out)
    }

    proptest! {
        #[test]
        fn every_cell_lands_in_its_row(
            lengths in proptest::collection::vec(0_usize..20, 0..40),
            budget in 1_usize..60,
            room in 20_usize..60,
        ) {
            let fake = fake(room);
            let out = run(&fake, &lengths, budget).unwrap();
            for (cell, (row, &length)) in out.chunks_exact(2).zip(&lengths).enumerate() {
                if length == 0 {
                    prop_assert!(row.iter().all(|v| v.is_nan()));
                } else {
                    prop_assert_eq!(row, [cell as f32, length as f32]);
                }
            }
            prop_assert!(fake.calls.lock().unwrap().iter().all(|&n| n <= budget.max(20)));
        }
    }

    #[test]
    fn one_cell_that_does_not_fit_is_an_error() {
        let fake = fake(5);
        assert!(run(&fake, &[3, 6, 2], 100).unwrap_err().is_out_of_memory());
        assert_eq!(*fake.calls.lock().unwrap(), [11, 6]);
    }
}
