//! Embedding that goes on where it was stopped: the vectors of finished batches are kept beside the step's key, every row once.

use std::time::{Duration, Instant};

use celldag_engine::{Resume, Step};
use celldag_models::{CellTokens, Cells, Loaded, Vectors, embed_rest};
use safetensors::SafeTensors;
use safetensors::tensor::{Dtype, TensorView};

use super::failure::Failure;

const CELLS: &str = "cells";
const VECTORS: &str = "vectors";

/// What embedding gave.
pub(super) struct Embedded {
    /// One row a cell.
    pub(super) vectors: Vectors,
    /// Cells that were embedded now and not in an earlier attempt, and how long it took.
    pub(super) cells: usize,
    pub(super) elapsed: Duration,
}

/// Embeds the cells of a step; `read` gives their tokens. Rows have the same bits whatever cells are computed together, so that
/// those of an earlier attempt on the same machine are taken as they are.
///
/// # Errors
/// Those of the encoder and of `read`; when the step is to stop, after what is finished was saved.
pub(super) fn embed(
    step: &Step<'_>,
    loaded: &mut Loaded<'_>,
    all: Cells<'_>,
    mut read: impl FnMut(&[usize]) -> Result<Vec<CellTokens>, Failure>,
) -> Result<Embedded, Failure> {
    let mut vectors = Vectors::new(all.lengths.len(), loaded.encoder().info().dim);
    let machine = loaded.device().info().machine();
    let mut kept = Kept { resume: step.resume(), machine, segments: 0, new: Vec::new() };
    kept.load(&mut vectors);
    let before = vectors.count();
    if before > 0 {
        step.execution("resumed_at", format!("{before} of {}", all.lengths.len()));
    }
    let empty = all.lengths.iter().filter(|&&length| length == 0).count();
    step.progress.advance((before + empty) as u64);
    let started = Instant::now();
    let ended = embed_rest(
        loaded,
        all,
        &mut vectors,
        |cells| {
            step.check_cancelled()?;
            read(cells)
        },
        |cells, vectors| {
            step.progress.advance(cells.len() as u64);
            kept.add(cells, vectors);
            Ok(())
        },
    );
    if ended.is_err() {
        kept.save(&vectors);
    }
    ended?;
    Ok(Embedded { cells: vectors.count() - before, elapsed: started.elapsed(), vectors })
}

/// Segments of rows in the order in which they were embedded. A segment is written once and never again: what is saved in all is
/// no more than the vectors.
struct Kept<'a> {
    resume: Option<&'a Resume<'a>>,
    machine: String,
    segments: usize,
    /// Cells since the last segment.
    new: Vec<usize>,
}

impl Kept<'_> {
    /// Takes what was kept. Behind a segment that is missing or damaged, everything is computed again.
    fn load(&mut self, vectors: &mut Vectors) {
        let Some(resume) = self.resume else { return };
        while let Some(bytes) = resume.load(&name(self.segments), &self.machine) {
            if take(&bytes, vectors).is_none() {
                tracing::debug!(segment = self.segments, "what was kept are no vectors of these cells");
                return;
            }
            self.segments += 1;
        }
    }

    fn add(&mut self, cells: &[usize], vectors: &Vectors) {
        if let Some(resume) = self.resume {
            self.new.extend(cells);
            if resume.due() {
                self.save(vectors);
            }
        }
    }

    fn save(&mut self, vectors: &Vectors) {
        if let Some(resume) = self.resume
            && !self.new.is_empty()
            && let Some(bytes) = segment(&self.new, vectors)
        {
            resume.save(&name(self.segments), &self.machine, &bytes);
            self.segments += 1;
            self.new.clear();
        }
    }
}

fn name(segment: usize) -> String {
    format!("vectors.{segment}")
}

/// Numbers and rows of some cells; none if there is no such file.
fn segment(cells: &[usize], vectors: &Vectors) -> Option<Vec<u8>> {
    renumbered(cells, vectors, |cell| cell)
}

/// As [`segment`], of cells that have other numbers among those of a whole file.
pub(super) fn renumbered(
    cells: &[usize],
    vectors: &Vectors,
    number: impl Fn(usize) -> usize,
) -> Option<Vec<u8>> {
    let numbers: Vec<u8> = cells.iter().flat_map(|&cell| (number(cell) as u64).to_le_bytes()).collect();
    let rows = cells.iter().flat_map(|&cell| vectors.row(cell));
    let rows: Vec<u8> = rows.flat_map(|value| value.to_le_bytes()).collect();
    let views = [
        (CELLS, TensorView::new(Dtype::U64, vec![cells.len()], &numbers).ok()?),
        (VECTORS, TensorView::new(Dtype::F32, vec![cells.len(), vectors.dim()], &rows).ok()?),
    ];
    safetensors::serialize(views, None).ok()
}

/// Puts the rows of a segment where they belong; none, and nothing changes, if it is no segment of these cells.
pub(super) fn take(bytes: &[u8], vectors: &mut Vectors) -> Option<()> {
    let file = SafeTensors::deserialize(bytes).ok()?;
    let (cells, rows) = (file.tensor(CELLS).ok()?, file.tensor(VECTORS).ok()?);
    if (cells.dtype(), rows.dtype()) != (Dtype::U64, Dtype::F32) {
        return None;
    }
    let cells = cells.data().as_chunks().0.iter().map(|&word| usize::try_from(u64::from_le_bytes(word)));
    let cells: Vec<usize> = cells.collect::<Result<_, _>>().ok()?;
    let rows: Vec<f32> = rows.data().as_chunks().0.iter().map(|&word| f32::from_le_bytes(word)).collect();
    vectors.put(&cells, &rows).then_some(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_segment_comes_back_to_the_bit_and_nowhere_else() {
        let mut from = Vectors::new(4, 2);
        assert!(from.put(&[3, 1], &[f32::NAN, -0.0, 1.5, f32::MIN_POSITIVE]));
        let bytes = segment(&[3, 1], &from).expect("bytes");
        let mut to = Vectors::new(4, 2);
        take(&bytes, &mut to).expect("a segment");
        let bits =
            |vectors: &Vectors, cell| vectors.row(cell).iter().map(|v| v.to_bits()).collect::<Vec<_>>();
        assert_eq!((bits(&to, 3), bits(&to, 1)), (bits(&from, 3), bits(&from, 1)));
        assert_eq!(to.count(), 2);
        for mut other in [Vectors::new(3, 2), Vectors::new(4, 3)] {
            assert!(take(&bytes, &mut other).is_none() && other.count() == 0);
        }
        assert!(take(&bytes[..bytes.len() - 1], &mut to).is_none());
    }
}
