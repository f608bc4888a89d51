//! Cells of different lengths in batches of similar work, with results in the order of the cells.
//!
//! Before a batch runs, its memory is planned by a rehearsal, so a memory limit is kept without trying.
//! A batch that does not fit is halved; after the loss of a device, its batch is repeated on the device opened again.

use std::cmp::Reverse;
use std::collections::BTreeMap;
use std::ops::Range;

use crate::encoder::Batch;
use crate::error::ModelError;
use crate::loaded::Loaded;
use crate::tokens::CellTokens;
use crate::vectors::Vectors;

/// The cells of a file, as far as batches must know them.
#[derive(Clone, Copy, Debug)]
pub struct Cells<'a> {
    /// Tokens of each cell.
    pub lengths: &'a [usize],
    /// A number for each cell; cells of one number are looked at together. None: each cell alone.
    pub neighbourhoods: Option<&'a [u32]>,
    /// Most tokens in one batch; a longer cell or neighbourhood is a batch of its own.
    pub batch_tokens: usize,
}

/// Embeds cells; row-major `[cells, dim]` in the order of the file. Cells without tokens get rows of NaN. `read` gives the
/// tokens of the cells it is asked for. A batch that does not fit the device's memory, or its limit, is halved until a single
/// neighbourhood does not fit. If the device is lost, it is opened again and the batch repeated.
///
/// # Errors
/// Those of the encoder and of `read`.
pub fn embed_cells<E: From<ModelError>>(
    loaded: &mut Loaded<'_>,
    all: Cells<'_>,
    read: impl FnMut(&[usize]) -> Result<Vec<CellTokens>, E>,
) -> Result<Vec<f32>, E> {
    let mut vectors = Vectors::new(all.lengths.len(), loaded.encoder().info().dim);
    embed_rest(loaded, all, &mut vectors, read, |_, _| Ok(()))?;
    Ok(vectors.into_values())
}

/// As [`embed_cells`], of the cells that `vectors` does not know yet, which it then does. A row has the same bits whatever cells
/// are computed together; of a neighbourhood all cells must be known or none. `done` hears of the cells that a batch added and
/// may stop the work.
///
/// # Errors
/// Also those of `done`; `vectors` has what was finished before.
pub fn embed_rest<E: From<ModelError>>(
    loaded: &mut Loaded<'_>,
    all: Cells<'_>,
    vectors: &mut Vectors,
    mut read: impl FnMut(&[usize]) -> Result<Vec<CellTokens>, E>,
    mut done: impl FnMut(&[usize], &Vectors) -> Result<(), E>,
) -> Result<(), E> {
    if vectors.dim() == 0 {
        return Err(ModelError::Tokens("the model gives vectors of length 0".to_owned()).into());
    }
    let mut units = units(all);
    units.retain(|unit| !unit.cells.iter().all(|&cell| vectors.knows(cell)));
    // Batches not yet done, the next one last.
    let mut pending: Vec<Range<usize>> = batches(&units, all.batch_tokens);
    pending.reverse();
    while let Some(batch) = pending.pop() {
        let cells: Vec<usize> = units[batch.clone()].iter().flat_map(|unit| unit.cells.clone()).collect();
        let neighbourhoods: Vec<usize> = units[batch.clone()].iter().map(|unit| unit.cells.len()).collect();
        let tokens = read(&cells)?;
        let count: usize = tokens.iter().map(CellTokens::len).sum();
        tracing::debug!(cells = cells.len(), tokens = count, "a batch");
        match loaded.run(|encoder| encoder.embed(Batch { cells: &tokens, neighbourhoods: &neighbourhoods })) {
            Ok(rows) => {
                if !vectors.put(&cells, &rows) {
                    let [found, wanted] = [rows.len(), cells.len() * vectors.dim()];
                    let message = format!("the model gave {found} numbers for {wanted}");
                    return Err(ModelError::Tokens(message).into());
                }
                done(&cells, vectors)?;
            }
            Err(error) if error.is_out_of_memory() && batch.len() > 1 => {
                tracing::debug!(cells = cells.len(), %error, "the batch does not fit; trying half of it");
                let middle = batch.start + batch.len() / 2;
                pending.push(middle..batch.end);
                pending.push(batch.start..middle);
            }
            Err(error) if loaded.recover(&error)? => pending.push(batch),
            Err(error) => return Err(error.into()),
        }
    }
    Ok(())
}

/// Cells that must be embedded together, in the order of the file.
struct Unit {
    cells: Vec<usize>,
    tokens: usize,
}

/// Cells that have tokens, most tokens first: what does not fit shows at once, and batches are even.
fn units(all: Cells<'_>) -> Vec<Unit> {
    let with_tokens = (0..all.lengths.len()).filter(|&cell| all.lengths[cell] > 0);
    let mut units: Vec<Unit> = match all.neighbourhoods {
        None => with_tokens.map(|cell| Unit { cells: vec![cell], tokens: all.lengths[cell] }).collect(),
        Some(of) => {
            let mut members: BTreeMap<u32, Vec<usize>> = BTreeMap::new();
            for cell in with_tokens {
                members.entry(of[cell]).or_default().push(cell);
            }
            let tokens = |cells: &[usize]| cells.iter().map(|&cell| all.lengths[cell]).sum();
            members.into_values().map(|cells| Unit { tokens: tokens(&cells), cells }).collect()
        }
    };
    units.sort_by_key(|unit| Reverse(unit.tokens));
    units
}

/// Ranges of `units` of at most `budget` tokens, at least one unit each.
fn batches(units: &[Unit], budget: usize) -> Vec<Range<usize>> {
    let mut out = Vec::new();
    let (mut start, mut tokens) = (0, 0);
    for (at, unit) in units.iter().enumerate() {
        if at > start && tokens + unit.tokens > budget {
            out.push(start..at);
            (start, tokens) = (at, 0);
        }
        tokens += unit.tokens;
    }
    if start < units.len() {
        out.push(start..units.len());
    }
    out
}

#[cfg(test)]
mod tests {
    use std::cell::Cell;
    use std::sync::{Arc, Mutex};

    use celldag_shaders::Device;
    use proptest::prelude::*;

    use super::*;
    use crate::encoder::{CellEncoder, EncoderInfo};

    /// "Embeds" a cell as its first token and the size of its neighbourhood, and runs out of memory above `room` tokens.
    struct Fake {
        info: EncoderInfo,
        room: usize,
        calls: Mutex<Vec<usize>>,
    }

    fn fake(room: usize) -> Arc<Fake> {
        let info = EncoderInfo { dim: 2, ..EncoderInfo::default() };
        Arc::new(Fake { info, room, calls: Mutex::default() })
    }

    impl CellEncoder for Arc<Fake> {
        fn info(&self) -> &EncoderInfo {
            &self.info
        }
        fn pooled(&self, _: Batch<'_>) -> Result<celldag_shaders::Tensor, ModelError> {
            unreachable!("`embed` does not ask for it")
        }
        #[expect(clippy::cast_precision_loss, reason = "small numbers")]
        fn embed(&self, batch: Batch<'_>) -> Result<Vec<f32>, ModelError> {
            let tokens = batch.cells.iter().map(CellTokens::len).sum();
            self.calls.lock().unwrap().push(tokens);
            if tokens > self.room {
                let full = celldag_shaders::DeviceError::OutOfMemory { device: "fake".to_owned(), bytes: 0 };
                return Err(celldag_shaders::Error::from(full).into());
            }
            let sizes = batch.neighbourhoods.iter().flat_map(|&size| std::iter::repeat_n(size, size));
            Ok(batch.cells.iter().zip(sizes).flat_map(|(c, size)| [c.ids[0] as f32, size as f32]).collect())
        }
    }

    fn run(fake: &Arc<Fake>, all: Cells<'_>) -> Result<Vec<f32>, ModelError> {
        let finished = Cell::new(0);
        let read = |cells: &[usize]| {
            Ok(cells.iter().map(|&c| vec![u32::try_from(c).unwrap(); all.lengths[c]].into()).collect())
        };
        let device = Device::cpu(1).unwrap();
        let load = |_: &Device| Ok(Box::new(Arc::clone(fake)) as Box<dyn CellEncoder>);
        let mut loaded = Loaded::new(&device, load).unwrap();
        let mut vectors = Vectors::new(all.lengths.len(), 2);
        embed_rest(&mut loaded, all, &mut vectors, read, |cells, _| {
            finished.set(finished.get() + cells.len());
            Ok::<(), ModelError>(())
        })?;
        assert_eq!(finished.get(), all.lengths.iter().filter(|&&length| length > 0).count());
        Ok(vectors.into_values())
    }

    proptest! {
        #[test]
        fn every_cell_lands_in_its_row(
            lengths in proptest::collection::vec(0_usize..20, 0..40),
            batch_tokens in 1_usize..60,
            room in 20_usize..60,
        ) {
            let fake = fake(room);
            let out = run(&fake, Cells { lengths: &lengths, neighbourhoods: None, batch_tokens }).unwrap();
            for (cell, (row, &length)) in out.chunks_exact(2).zip(&lengths).enumerate() {
                if length == 0 {
                    prop_assert!(row.iter().all(|v| v.is_nan()));
                } else {
                    prop_assert_eq!(row, [cell as f32, 1.0]);
                }
            }
            prop_assert!(fake.calls.lock().unwrap().iter().all(|&n| n <= batch_tokens.max(20)));
        }

        #[test]
        fn neighbours_stay_together(
            cells in proptest::collection::vec((0_usize..5, 0_u32..6), 0..40),
            batch_tokens in 1_usize..60,
        ) {
            let (lengths, of): (Vec<usize>, Vec<u32>) = cells.iter().copied().unzip();
            let all = Cells { lengths: &lengths, neighbourhoods: Some(&of), batch_tokens };
            let out = run(&fake(1000), all).unwrap();
            for (cell, row) in out.chunks_exact(2).enumerate() {
                let size = cells.iter().filter(|(length, group)| *length > 0 && *group == of[cell]).count();
                if lengths[cell] > 0 {
                    prop_assert_eq!(row, [cell as f32, size as f32]);
                }
            }
        }
    }

    #[test]
    fn cells_that_are_known_are_not_embedded_again() {
        let fake = fake(1000);
        let device = Device::cpu(1).unwrap();
        let load = |_: &Device| Ok(Box::new(Arc::clone(&fake)) as Box<dyn CellEncoder>);
        let mut loaded = Loaded::new(&device, load).unwrap();
        let all = Cells { lengths: &[3, 0, 2, 4], neighbourhoods: None, batch_tokens: 4 };
        let mut vectors = Vectors::new(4, 2);
        assert!(vectors.put(&[3], &[7.0, 8.0]));
        let mut asked = Vec::new();
        let read = |cells: &[usize]| {
            asked.extend(cells.to_vec());
            Ok::<_, ModelError>(cells.iter().map(|&c| vec![c as u32; all.lengths[c]].into()).collect())
        };
        embed_rest(&mut loaded, all, &mut vectors, read, |_, _| Ok(())).unwrap();
        assert_eq!(asked, [0, 2]);
        assert_eq!((vectors.row(3), vectors.row(2)), (&[7.0, 8.0][..], &[2.0, 1.0][..]));
        assert_eq!(vectors.count(), 3);
    }

    #[test]
    fn one_cell_that_does_not_fit_is_an_error() {
        let fake = fake(5);
        let all = Cells { lengths: &[3, 6, 2], neighbourhoods: None, batch_tokens: 100 };
        assert!(run(&fake, all).unwrap_err().is_out_of_memory());
        assert_eq!(*fake.calls.lock().unwrap(), [11, 6]);
    }
}
