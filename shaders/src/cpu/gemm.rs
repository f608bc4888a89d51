//! The one door to the `gemm` crate: bounds are checked here, so the rest of the backend stays safe code.

/// A matrix inside a slice: element (i, j) is `data[i * row_stride + j * column_stride]`.
#[derive(Clone, Copy)]
pub(crate) struct View<'a> {
    pub(crate) data: &'a [f32],
    pub(crate) row_stride: usize,
    pub(crate) column_stride: usize,
}

impl View<'_> {
    fn holds(&self, rows: usize, columns: usize) -> bool {
        last_index(rows, columns, self.row_stride, self.column_stride) < self.data.len()
    }
}

fn last_index(rows: usize, columns: usize, row_stride: usize, column_stride: usize) -> usize {
    (rows - 1) * row_stride + (columns - 1) * column_stride
}

/// Lets the crate read a contiguous left operand in place: our operands are packed already, and copying them into its
/// own layout for every block of rows would only cost time. The setting does not change results.
pub(crate) fn configure() {
    gemm::set_lhs_packing_threshold_single_thread(256);
}

/// `out = a b`, or `out += a b` with `accumulate`, where a is `[m, k]`, b is `[k, n]` and row i of `out` begins at
/// `i * out_stride`. Runs on the calling thread.
///
/// One value is a chain of multiply-adds over k in order as long as k <= 512 (the crate may cut longer chains
/// depending on the cache sizes) and k > 2, and either m > 1 with contiguous rows of b, or m >= 32 with n > 16: smaller
/// products take other ways through the crate.
///
/// # Panics
/// When an operand is too short for its shape.
pub(crate) fn multiply(
    [m, n, k]: [usize; 3],
    a: View<'_>,
    b: View<'_>,
    out: &mut [f32],
    out_stride: usize,
    accumulate: bool,
) {
    if m == 0 || n == 0 || k == 0 {
        return;
    }
    assert!(a.holds(m, k) && b.holds(k, n), "operand too short for [{m}, {k}] x [{k}, {n}]");
    assert!(
        out_stride >= n && last_index(m, n, out_stride, 1) < out.len(),
        "result too short for [{m}, {n}]"
    );
    #[expect(unsafe_code, reason = "the gemm crate takes raw pointers; this is the only call")]
    // SAFETY: the assertions show that every element (i, j) of the three matrices lies inside its slice: the largest
    // index is that of the last element, because all strides are non-negative. `out` is borrowed mutably, so it
    // overlaps neither operand, and its rows do not overlap because `out_stride >= n`.
    unsafe {
        gemm::gemm(
            m,
            n,
            k,
            out.as_mut_ptr(),
            1,
            out_stride as isize,
            accumulate,
            a.data.as_ptr(),
            a.column_stride as isize,
            a.row_stride as isize,
            b.data.as_ptr(),
            b.column_stride as isize,
            b.row_stride as isize,
            1.0,
            1.0,
            false,
            false,
            false,
            gemm::Parallelism::None,
        );
    }
}
