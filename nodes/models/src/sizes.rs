//! Sizes that a configuration or the shapes of a file state, checked before anything is allocated, multiplied or divided by
//! them: a damaged file must end in a message, whatever number stands in it.

/// The widest head that attention computes.
const WIDEST_HEAD: usize = 128;

/// What a size counts, and so how large it may be.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Size {
    /// Layers.
    Layers,
    /// Attention heads.
    Heads,
    /// Columns of a matrix.
    Width,
    /// Places in a sequence.
    Positions,
    /// Entries of a table.
    Rows,
}

impl Size {
    /// Several times what any published model has; the product of two sizes is far from overflowing.
    const fn most(self) -> usize {
        match self {
            Self::Layers | Self::Heads => 1 << 10,
            Self::Width => 1 << 18,
            Self::Positions => 1 << 20,
            Self::Rows => 1 << 24,
        }
    }
}

/// Whether each size is one that a model can have.
///
/// # Errors
/// What is wrong with the first that is not.
pub(crate) fn check(sizes: &[(&str, usize, Size)]) -> Result<(), String> {
    for &(name, size, of) in sizes {
        if size == 0 {
            return Err(format!("{name} is 0"));
        }
        if size > of.most() {
            return Err(format!("{name} is {size}, more than any model has (at most {})", of.most()));
        }
    }
    Ok(())
}

/// Columns of each of `heads` heads that share `width` columns.
///
/// # Errors
/// When they cannot share them, or a head is wider than attention computes.
pub(crate) fn head_width(width: usize, heads: usize) -> Result<usize, String> {
    let columns = width.checked_div(heads).filter(|columns| (1..=WIDEST_HEAD).contains(columns));
    columns.filter(|columns| columns * heads == width).ok_or_else(|| {
        format!("{heads} attention heads cannot share the width {width} (1 to {WIDEST_HEAD} columns a head)")
    })
}

/// Whether a number can be added to a variance.
///
/// # Errors
/// When it is negative, infinite or no number.
pub(crate) fn check_eps(name: &str, eps: f32) -> Result<(), String> {
    if eps >= 0.0 && eps.is_finite() { Ok(()) } else { Err(format!("{name} is {eps}")) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sizes_are_neither_zero_nor_absurd() {
        assert_eq!(check(&[("layers", 1, Size::Layers), ("width", 1 << 18, Size::Width)]), Ok(()));
        assert!(
            check(&[("width", 8, Size::Width), ("layers", 0, Size::Layers)]).unwrap_err().contains("layers")
        );
        for of in [Size::Layers, Size::Heads, Size::Width, Size::Positions, Size::Rows] {
            assert!(check(&[("size", of.most(), of)]).is_ok());
            assert!(check(&[("size", of.most() + 1, of)]).unwrap_err().contains("more than any model"));
            assert!(check(&[("size", usize::MAX, of)]).is_err());
        }
    }

    #[test]
    fn heads_share_the_width() {
        assert_eq!(head_width(96, 6), Ok(16));
        assert_eq!(head_width(128, 1), Ok(128));
        for (width, heads) in [(96, 0), (96, 7), (129, 1), (0, 4), (2, 4), (usize::MAX, 1)] {
            assert!(head_width(width, heads).unwrap_err().contains("cannot share"), "{width} / {heads}");
        }
    }

    #[test]
    fn an_eps_is_a_small_number() {
        assert!(check_eps("eps", 0.0).is_ok() && check_eps("eps", 1e-12).is_ok());
        for eps in [-1e-12, f32::NAN, f32::INFINITY] {
            assert!(check_eps("eps", eps).is_err());
        }
    }
}
