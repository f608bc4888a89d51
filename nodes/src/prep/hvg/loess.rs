//! Local quadratic regression of one variable (LOESS; Cleveland & Grosse 1991, 10.1007/BF01890836).
//!
//! As in the authors' `dloess`, fits are made at the vertices of a k-d tree only (in one dimension: at the cuts of an
//! interval) and joined by cubic Hermite polynomials through the fitted values and slopes. Fitting at every point gives
//! slightly other numbers, which is why the tree is rebuilt here cut for cut.

use faer::linalg::svd::{self, ComputeSvdVectors};
use faer::{Mat, MatRef, Par, dyn_stack::MemBuffer, dyn_stack::MemStack};

/// A cell of the tree is cut when it holds more than `span * CELL` of the points.
const CELL: f64 = 0.2;

/// The tree's box is this share of the range larger on both sides.
const MARGIN: f64 = 0.005;

/// Coefficients of the local polynomial: value, slope, curvature.
const TERMS: usize = 3;

/// Result of [`loess`].
#[derive(Clone, Debug, PartialEq)]
pub struct LoessFit {
    /// Fitted value at every point, in the order of the input.
    pub fitted: Vec<f64>,
    /// Number of places where a local fit was made.
    pub vertices: usize,
    /// At how many of them too few distinct points lie for a parabola, so that the smallest solution was taken.
    pub singular: usize,
}

/// Fits `y` on `x` with `span` (share of the points in a local fit, above 0 and up to 1), degree 2, tricube weights.
///
/// Where the points of a neighbourhood do not determine a parabola, the fit of least norm is taken; where they all share
/// one `x`, the neighbourhood grows until they do not. `None` if there are no points or a number is not finite.
#[must_use]
pub fn loess(x: &[f64], y: &[f64], span: f64) -> Option<LoessFit> {
    let finite = x.iter().chain(y).all(|v| v.is_finite());
    if x.is_empty() || x.len() != y.len() || !finite || span.is_nan() || span <= 0.0 {
        return None;
    }
    let n = x.len();
    let mut order: Vec<usize> = (0..n).collect();
    order.sort_by(|&a, &b| x[a].total_cmp(&x[b]));
    let xs: Vec<f64> = order.iter().map(|&i| x[i]).collect();
    let ys: Vec<f64> = order.iter().map(|&i| y[i]).collect();

    let neighbours = ((n as f64 * span + 1e-5) as usize).clamp(TERMS.min(n), n);
    let vertices = cuts(&xs, ((n as f64) * span * CELL) as usize);
    let fits: Vec<Local> = vertices.iter().map(|&at| fit_at(at, &xs, &ys, neighbours)).collect();

    let mut fitted = vec![0.0; n];
    for (&i, &at) in order.iter().zip(&xs) {
        let right = vertices.partition_point(|&v| v < at).clamp(1, vertices.len() - 1);
        fitted[i] = blend(at, (vertices[right - 1], fits[right - 1]), (vertices[right], fits[right]));
    }
    let singular = fits.iter().filter(|fit| fit.singular).count();
    Some(LoessFit { fitted, vertices: vertices.len(), singular })
}

/// The vertices, ascending: the ends of the widened range and the medians at which cells of more than `most` points are
/// cut.
fn cuts(xs: &[f64], most: usize) -> Vec<f64> {
    let (low, high) = (xs[0], xs[xs.len() - 1]);
    let margin = MARGIN * (high - low).max(1e-10 * low.abs().max(high.abs()) + 1e-30);
    let mut vertices = vec![low - margin, high + margin];
    // Inclusive ranks of the points of a cell, counted from 1 as in the paper's code, whose rounding this needs.
    let mut cells = vec![(1, xs.len(), low - margin, high + margin)];
    while let Some((first, last, left, right)) = cells.pop() {
        if last + 1 - first <= most.max(1) {
            continue;
        }
        let middle = cut_rank(xs, first, last);
        let cut = xs[middle - 1];
        if cut == left || cut == right {
            continue;
        }
        vertices.push(cut);
        cells.push((first, middle, left, cut));
        cells.push((middle + 1, last, cut, right));
    }
    vertices.sort_unstable_by(f64::total_cmp);
    vertices.dedup();
    vertices
}

/// The rank nearest to the middle of a cell after which the value changes; the middle if none does.
fn cut_rank(xs: &[f64], first: usize, last: usize) -> usize {
    let middle = usize::midpoint(first, last);
    let mut offset = 0_isize;
    loop {
        let Some(rank) = middle.checked_add_signed(offset).filter(|rank| (first..last).contains(rank)) else {
            return middle;
        };
        if xs[rank - 1] != xs[rank] {
            return rank;
        }
        // 0, 1, -1, 2, -2 ...
        offset = if offset > 0 { -offset } else { 1 - offset };
    }
}

/// A local fit: value and slope at its vertex.
#[derive(Clone, Copy, Debug)]
struct Local {
    value: f64,
    slope: f64,
    singular: bool,
}

/// Weighted quadratic regression on the `k` points nearest to `at`.
fn fit_at(at: f64, xs: &[f64], ys: &[f64], k: usize) -> Local {
    let (mut from, mut to) = nearest(at, xs, k);
    let radius = |from: usize, to: usize| (at - xs[from]).abs().max((xs[to - 1] - at).abs());
    while radius(from, to) == 0.0 && to - from < xs.len() {
        (from, to) = nearest(at, xs, to - from + 1);
    }
    let radius = radius(from, to);
    let mut design = Mat::<f64>::zeros(to - from, TERMS);
    let mut target = Mat::<f64>::zeros(to - from, 1);
    for (row, i) in (from..to).enumerate() {
        let offset = xs[i] - at;
        let share = if radius > 0.0 { offset.abs() / radius } else { 0.0 };
        let weight = (1.0 - share.powi(3)).max(0.0).powi(3).sqrt();
        design[(row, 0)] = weight;
        design[(row, 1)] = weight * offset;
        design[(row, 2)] = weight * offset * offset;
        target[(row, 0)] = weight * ys[i];
    }
    least_squares(&mut design, target.as_ref()).unwrap_or_else(|| {
        // Only if the decomposition does not converge, which finite numbers do not cause: the nearest point's value.
        let near = if (at - xs[from]).abs() < (xs[to - 1] - at).abs() { from } else { to - 1 };
        Local { value: ys[near], slope: 0.0, singular: true }
    })
}

/// Positions `from..to` of the `k` points nearest to `at` in ascending `xs`.
fn nearest(at: f64, xs: &[f64], k: usize) -> (usize, usize) {
    let mut to = xs.partition_point(|&x| x < at);
    let mut from = to;
    while to - from < k.min(xs.len()) {
        let take_left = from > 0 && (to == xs.len() || at - xs[from - 1] <= xs[to] - at);
        if take_left {
            from -= 1;
        } else {
            to += 1;
        }
    }
    (from, to)
}

/// Solution of least norm of an overdetermined system whose columns are first brought to one length. Singular values
/// below 100 machine epsilons of the largest count as zero.
fn least_squares(design: &mut Mat<f64>, target: MatRef<'_, f64>) -> Option<Local> {
    let mut lengths = [1.0; TERMS];
    for (column, length) in lengths.iter_mut().enumerate() {
        let norm = design.col(column).iter().map(|v| v * v).sum::<f64>().sqrt();
        if norm > 0.0 {
            *length = norm;
            design.col_mut(column).iter_mut().for_each(|v| *v /= norm);
        }
    }
    let (rows, columns) = (design.nrows(), design.ncols());
    let size = rows.min(columns);
    let mut left = Mat::<f64>::zeros(rows, size);
    let mut right = Mat::<f64>::zeros(columns, size);
    let mut sigma = faer::Col::<f64>::zeros(size);
    let thin = ComputeSvdVectors::Thin;
    let par = Par::Seq;
    let mut memory =
        MemBuffer::new(svd::svd_scratch::<f64>(rows, columns, thin, thin, par, Default::default()));
    svd::svd(
        design.as_ref(),
        sigma.as_mut().as_diagonal_mut(),
        Some(left.as_mut()),
        Some(right.as_mut()),
        par,
        MemStack::new(&mut memory),
        Default::default(),
    )
    .ok()?;
    let tolerance = sigma[0] * 100.0 * f64::EPSILON;
    let mut coefficients = [0.0; TERMS];
    let mut singular = size < TERMS;
    for j in 0..size {
        if sigma[j] <= tolerance {
            singular = true;
            continue;
        }
        let share = left.col(j).iter().zip(target.col(0).iter()).map(|(u, t)| u * t).sum::<f64>() / sigma[j];
        for (i, coefficient) in coefficients.iter_mut().enumerate() {
            *coefficient += right[(i, j)] / lengths[i] * share;
        }
    }
    Some(Local { value: coefficients[0], slope: coefficients[1], singular })
}

/// The cubic through values and slopes of two vertices.
fn blend(at: f64, (x0, left): (f64, Local), (x1, right): (f64, Local)) -> f64 {
    let width = x1 - x0;
    let h = (at - x0) / width;
    let value0 = (1.0 - h).powi(2) * (1.0 + 2.0 * h);
    let value1 = h * h * (3.0 - 2.0 * h);
    let slope0 = h * (1.0 - h).powi(2);
    let slope1 = -h * h * (1.0 - h);
    value0 * left.value + value1 * right.value + (slope0 * left.slope + slope1 * right.slope) * width
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_parabola_is_reproduced() {
        let x: Vec<f64> = (0..200).map(|i| f64::from(i) * 0.037 - 3.0).collect();
        let y: Vec<f64> = x.iter().map(|x| 1.0 - 2.0 * x + 0.5 * x * x).collect();
        let fit = loess(&x, &y, 0.3).expect("finite input");
        assert_eq!(fit.singular, 0);
        assert!(fit.vertices > 10);
        for (fitted, y) in fit.fitted.iter().zip(&y) {
            assert!((fitted - y).abs() < 1e-10, "{fitted} != {y}");
        }
    }

    #[test]
    fn hopeless_input_gives_numbers_not_panics() {
        for (x, y) in [
            (vec![1.0], vec![2.0]),
            (vec![1.0, 1.0, 1.0], vec![2.0, 4.0, 6.0]),
            (vec![1.0, 2.0], vec![5.0, 7.0]),
            ([vec![0.0; 50], vec![1.0; 50]].concat(), [vec![3.0; 50], vec![4.0; 50]].concat()),
        ] {
            let fit = loess(&x, &y, 0.3).expect("finite input");
            assert!(fit.singular > 0);
            assert!(fit.fitted.iter().all(|v| v.is_finite()), "{fit:?}");
        }
        assert_eq!(loess(&[], &[], 0.3), None);
        assert_eq!(loess(&[f64::NAN], &[1.0], 0.3), None);
    }

    #[test]
    fn two_heaps_of_points_keep_their_means() {
        let x = [vec![0.0; 50], vec![1.0; 50]].concat();
        let y: Vec<f64> = (0..100).map(|i| if i < 50 { 3.0 } else { 4.0 }).collect();
        let fit = loess(&x, &y, 0.6).expect("finite input");
        assert!((fit.fitted[0] - 3.0).abs() < 0.1, "{}", fit.fitted[0]);
        assert!((fit.fitted[99] - 4.0).abs() < 0.1, "{}", fit.fitted[99]);
    }
}
