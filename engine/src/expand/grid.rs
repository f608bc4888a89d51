//! The combinations of a node's axes that exist, and which number each has among the jobs of the node.

use crate::check::interpolate::Combination;

/// Marks a combination without a job.
const NONE: u32 = u32::MAX;

/// All combinations of some axes, in file order with the first axis slowest; those that exist are numbered.
pub(crate) struct Grid {
    /// Indices of the axes, ascending.
    pub(crate) axes: Vec<usize>,
    /// For each axis, by how much a step along it moves in `slots`.
    pub(crate) strides: Vec<usize>,
    /// For each combination its number among those that exist.
    slots: Vec<u32>,
    /// Values of those that exist, one after the other.
    values: Vec<usize>,
    count: usize,
}

impl Grid {
    /// How many combinations there are, existing or not; saturates.
    pub(crate) fn size(lengths: &[usize]) -> usize {
        lengths.iter().fold(1, |product: usize, length| product.saturating_mul(*length))
    }

    /// Visits every combination of axes with these lengths and keeps those that `exists` accepts.
    pub(crate) fn new(
        axes: &[usize],
        lengths: &[usize],
        mut exists: impl FnMut(Combination<'_>) -> bool,
    ) -> Self {
        let mut strides = vec![1; lengths.len()];
        for slot in (1..lengths.len()).rev() {
            strides[slot - 1] = strides[slot] * lengths[slot];
        }
        let size = Self::size(lengths);
        let mut grid = Self {
            axes: axes.to_vec(),
            strides,
            slots: Vec::with_capacity(size),
            values: Vec::new(),
            count: 0,
        };
        let mut current = vec![0; lengths.len()];
        for _ in 0..size {
            if exists(Combination { axes, values: &current }) {
                grid.slots.push(u32::try_from(grid.count).unwrap_or(NONE));
                grid.values.extend_from_slice(&current);
                grid.count += 1;
            } else {
                grid.slots.push(NONE);
            }
            for slot in (0..current.len()).rev() {
                current[slot] += 1;
                if current[slot] < lengths[slot] {
                    break;
                }
                current[slot] = 0;
            }
        }
        grid
    }

    /// How many combinations exist.
    pub(crate) fn count(&self) -> usize {
        self.count
    }

    /// The values of an existing combination.
    pub(crate) fn values(&self, number: usize) -> &[usize] {
        let width = self.axes.len();
        &self.values[number * width..(number + 1) * width]
    }

    /// An existing combination.
    pub(crate) fn at(&self, number: usize) -> Combination<'_> {
        Combination { axes: &self.axes, values: self.values(number) }
    }

    /// The number of the combination at a position, if it exists.
    pub(crate) fn number(&self, position: usize) -> Option<usize> {
        self.slots.get(position).filter(|slot| **slot != NONE).map(|slot| *slot as usize)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn counts_in_file_order_and_skips_what_does_not_exist() {
        let grid = Grid::new(&[3, 5], &[2, 3], |at| at.values != [0, 1]);
        assert_eq!(grid.count(), 5);
        assert_eq!(grid.strides, [3, 1]);
        assert_eq!(
            (0..5).map(|n| grid.values(n).to_vec()).collect::<Vec<_>>(),
            [[0, 0], [0, 2], [1, 0], [1, 1], [1, 2]]
        );
        assert_eq!(grid.number(1), None);
        assert_eq!(grid.number(5), Some(4));
        assert_eq!(grid.number(6), None);
    }

    #[test]
    fn no_axes_is_one_job() {
        let grid = Grid::new(&[], &[], |_| true);
        assert_eq!((grid.count(), grid.values(0).len(), grid.number(0)), (1, 0, Some(0)));
    }
}
