//! Parts of an attention whose rows can be bound. Rows that get results (queries; in the backward pass also keys) are
//! taken in windows, and each window walks over the rows that it attends to, in order. Usually both are the rows of a few
//! whole segments, which are one piece. A segment that is larger than a binding takes several pieces for a window: a piece
//! goes on where the one before left its sums, so that pieces do not show in the bits.

use std::ops::Range;

use crate::error::{DeviceError, Result};
use crate::gpu::{Binding, Gpu, WINDOW_ROWS};
use crate::segments::{Ids, Segments, Share, aligned, tile_list};

/// Rows that get their results together.
pub(super) struct Window {
    pub(super) rows: Range<usize>,
    /// In the order of their rows.
    pub(super) pieces: Vec<Piece>,
}

/// One launch.
pub(super) struct Piece {
    /// Rows that the window's rows attend to.
    pub(super) others: Range<usize>,
    tiles: Ids,
    /// Pairs of rows that attend to each other.
    pub(super) pairs: f64,
}

impl Piece {
    fn new(
        segments: &Segments,
        rows: &Range<usize>,
        others: &Range<usize>,
        of: Range<usize>,
    ) -> Result<Piece> {
        let cut = |segment: &Range<usize>, window: &Range<usize>| {
            let start = segment.start.clamp(window.start, window.end);
            start - window.start..segment.end.clamp(start, window.end) - window.start
        };
        let shares: Vec<Share> = of
            .map(|segment| segments.range(segment))
            .map(|segment| Share { rows: cut(&segment, rows), others: cut(&segment, others) })
            .collect();
        let pairs = shares.iter().map(|share| (share.rows.len() * share.others.len()) as f64).sum();
        let whole = rows.len() == segments.rows() && rows == others;
        let tiles =
            if whole { segments.tiles().clone() } else { Ids::new(segments.device(), &tile_list(shares))? };
        Ok(Piece { others: others.clone(), tiles, pairs })
    }

    /// The work list as a kernel sees it.
    pub(super) fn tiles(&self, op: &'static str) -> Result<Binding<'_>> {
        self.tiles.binding(op)
    }

    /// Number of tiles.
    pub(super) fn tile_count(&self) -> usize {
        self.tiles.len() / 4
    }
}

/// Cuts the segments so that rows of `width` f32 values can be bound. One window of one piece, in most cases.
///
/// # Errors
/// [`DeviceError::TooLarge`] if not even the least number of rows can be bound; the device's errors.
pub(super) fn windows(gpu: &Gpu, segments: &Segments, width: usize) -> Result<Vec<Window>> {
    let (row_bytes, limit) = (width as u64 * 4, gpu.largest_binding());
    let most = usize::try_from(limit / row_bytes).unwrap_or(usize::MAX);
    if segments.rows() <= most {
        let rows = 0..segments.rows();
        let piece = Piece::new(segments, &rows, &rows, 0..segments.len())?;
        return Ok(vec![Window { rows, pieces: vec![piece] }]);
    }
    if most < WINDOW_ROWS {
        let (device, bytes) = (gpu.info().name, row_bytes * WINDOW_ROWS as u64);
        return Err(DeviceError::TooLarge { device, bytes, limit }.into());
    }
    let ranges: Vec<Range<usize>> = segments.ranges().collect();
    let mut windows = Vec::new();
    for of in group(&ranges, most) {
        let cuts = cut(ranges[of.start].start..ranges[of.end - 1].end, most);
        for rows in &cuts {
            let piece = |others| Piece::new(segments, rows, others, of.clone());
            let pieces = cuts.iter().map(piece).collect::<Result<_>>()?;
            windows.push(Window { rows: rows.clone(), pieces });
        }
    }
    Ok(windows)
}

/// Groups of segments that have at most `most` rows from the aligned row before the first; a segment that has more is a
/// group of its own.
fn group(ranges: &[Range<usize>], most: usize) -> Vec<Range<usize>> {
    let (mut groups, mut first) = (Vec::new(), 0);
    for (segment, range) in ranges.iter().enumerate() {
        if first < segment && range.end - aligned(ranges[first].start) > most {
            groups.push(first..segment);
            first = segment;
        }
    }
    groups.push(first..ranges.len());
    groups
}

/// Windows of at most `most` rows that begin at aligned rows and cover `rows`.
fn cut(rows: Range<usize>, most: usize) -> Vec<Range<usize>> {
    let first = aligned(rows.start);
    if rows.end - first <= most {
        return std::iter::once(first..rows.end).collect();
    }
    (first..rows.end).step_by(aligned(most)).map(|start| start..rows.end.min(start + aligned(most))).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn groups_hold_whole_segments_and_start_aligned() {
        let groups = |offsets: &[usize], most| {
            let ranges: Vec<_> = offsets.windows(2).map(|pair| pair[0]..pair[1]).collect();
            group(&ranges, most)
        };
        assert_eq!(groups(&[0, 100, 200, 200, 300], 300), std::slice::from_ref(&(0..4)));
        assert_eq!(groups(&[0, 100, 200, 300, 700], 500), [0..3, 3..4]);
        // The second group starts at row 128, not 200.
        assert_eq!(groups(&[0, 200, 330], 202), [0..1, 1..2]);
        // The second segment is larger than a window, and the third does not fit beside it.
        assert_eq!(groups(&[0, 200, 531, 540], 202), [0..1, 1..2, 2..3]);
        assert_eq!(groups(&[0, 0, 0], 5), std::slice::from_ref(&(0..2)));
    }

    #[test]
    fn windows_cover_large_segments() {
        assert_eq!(cut(200..331, 300), std::slice::from_ref(&(128..331)));
        assert_eq!(cut(200..700, 300), [128..384, 384..640, 640..700]);
        assert_eq!(cut(5..5, 300), std::slice::from_ref(&(0..5)));
    }
}
