//! The rows of packed cells as the attention of a Performer sees them, with padding where a model's definition needs it.

use celldag_shaders::ops::{self, KeyMaximum, Performer, PerformerSettings};
use celldag_shaders::{Device, Ids, Result, Segments, Tensor};

/// Cells of a batch behind each other, and over which keys the stabiliser of the features is taken.
#[derive(Clone)]
pub struct PerformerRows {
    segments: Segments,
    key_maximum: KeyMaximum,
    padding: Option<Padding>,
}

/// Padding whose values do not count while its keys do: the published CellLM zeroes the values of padding, and leaves its
/// keys in the denominator. All padding rows of a cell are equal in every layer, so one row is computed for all.
#[derive(Clone)]
struct Padding {
    /// 0 for the row that stands for a cell's padding, else 1.
    keep: Tensor,
    /// How many rows each row stands for.
    copies: Ids,
}

impl PerformerRows {
    /// Cells of the given lengths without padding.
    ///
    /// # Errors
    /// What the device reports.
    pub fn new(device: &Device, lengths: &[usize], key_maximum: KeyMaximum) -> Result<Self> {
        Ok(Self { segments: Segments::new(device, lengths)?, key_maximum, padding: None })
    }

    /// Cells of the given lengths; the last row of cell i stands for `padding[i]` rows of padding, unless that is 0.
    ///
    /// # Errors
    /// What the device reports.
    pub fn padded(
        device: &Device,
        lengths: &[usize],
        padding: &[usize],
        key_maximum: KeyMaximum,
    ) -> Result<Self> {
        let (mut keep, mut copies) = (Vec::new(), Vec::new());
        for (&length, &rows) in lengths.iter().zip(padding) {
            keep.resize(keep.len() + length, 1.0);
            copies.resize(copies.len() + length, 1);
            if let (Some(keep), Some(copies), 1..) = (keep.last_mut(), copies.last_mut(), length.min(rows)) {
                *keep = 0.0;
                // More rows than u32 has are refused by the attention.
                *copies = u32::try_from(rows).unwrap_or(u32::MAX);
            }
        }
        let padding =
            Padding { keep: device.upload(&[keep.len()], &keep)?, copies: Ids::new(device, &copies)? };
        Ok(Self { padding: Some(padding), ..Self::new(device, lengths, key_maximum)? })
    }

    /// The layout of the cells; a row that stands for padding is the last of its cell.
    #[must_use]
    pub fn segments(&self) -> &Segments {
        &self.segments
    }

    /// `x` with zeros in the rows of padding.
    ///
    /// # Errors
    /// What the device reports.
    pub fn without_padding(&self, x: &Tensor) -> Result<Tensor> {
        match &self.padding {
            None => Ok(x.clone()),
            Some(padding) => ops::mask_rows(x, &padding.keep, 0.0),
        }
    }

    /// Attention inside each cell with the random features of `projection` `[features, head width]`; one row for each row of
    /// the queries.
    pub(super) fn attention(
        &self,
        [q, k, v]: [&Tensor; 3],
        projection: &Tensor,
        heads: usize,
    ) -> Result<Tensor> {
        let settings = PerformerSettings { key_maximum: self.key_maximum, ..PerformerSettings::default() };
        let copies = self.padding.as_ref().map(|padding| &padding.copies);
        let performer = Performer { projection, heads, settings, copies };
        ops::performer_attention_with(q, k, &self.without_padding(v)?, &self.segments, &performer)
    }
}
