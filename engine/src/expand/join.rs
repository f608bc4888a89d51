//! Which jobs of a producer stand on a port of one job of a consumer.

use super::axes::Axis;
use super::grid::Grid;

/// The relation between the axes of a consumer and those of one of its producers.
pub(crate) struct Join {
    /// Shared axes: slot in the consumer, stride in the producer.
    shared: Vec<(usize, usize)>,
    /// Axes of the producer only: index, stride, number of values; sorted by name, as labels are.
    lacking: Vec<(usize, usize, usize)>,
}

impl Join {
    /// Compares the axes.
    pub(crate) fn new(axes: &[Axis], consumer: &[usize], producer: &Grid) -> Self {
        let mut join = Self { shared: Vec::new(), lacking: Vec::new() };
        for (axis, stride) in producer.axes.iter().zip(&producer.strides) {
            match consumer.iter().position(|own| own == axis) {
                Some(slot) => join.shared.push((slot, *stride)),
                None => join.lacking.push((*axis, *stride, axes[*axis].values.len())),
            }
        }
        join.lacking.sort_by(|a, b| axes[a.0].name.cmp(&axes[b.0].name));
        join
    }

    /// Whether the producer has axes of its own.
    pub(crate) fn is_plain(&self) -> bool {
        self.lacking.is_empty()
    }

    /// Calls `f` with every job of the producer that belongs to a job of the consumer with these values: its number, or
    /// `None` where it does not exist, and its values along the lacking axes (axis, value), sorted by name.
    pub(crate) fn each(
        &self,
        values: &[usize],
        producer: &Grid,
        mut f: impl FnMut(Option<usize>, &[(usize, usize)]),
    ) {
        let base: usize = self.shared.iter().map(|(slot, stride)| values[*slot] * stride).sum();
        let mut current: Vec<(usize, usize)> = self.lacking.iter().map(|(axis, ..)| (*axis, 0)).collect();
        let size = self.lacking.iter().map(|(.., length)| length).product::<usize>();
        for _ in 0..size {
            let offset: usize =
                self.lacking.iter().zip(&current).map(|((_, stride, _), (_, v))| v * stride).sum();
            f(producer.number(base + offset), &current);
            for (slot, (.., length)) in self.lacking.iter().enumerate().rev() {
                current[slot].1 += 1;
                if current[slot].1 < *length {
                    break;
                }
                current[slot].1 = 0;
            }
        }
    }
}

/// `fold=3,model=scgpt`
pub(crate) fn label(axes: &[Axis], values: &[(usize, usize)]) -> String {
    let mut out = String::new();
    for (axis, value) in values {
        if !out.is_empty() {
            out.push(',');
        }
        out.push_str(&axes[*axis].name);
        out.push('=');
        out.push_str(axes[*axis].values[*value].text());
    }
    out
}
