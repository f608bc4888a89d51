//! How the values of a tensor are stored: f32, or 16 bits for weights that shall take half the memory.
//!
//! Computation is in f32 everywhere. A kernel widens 16-bit values as it reads them, which is exact, so a product with a
//! stored weight has the bits of the product with the widened weight.

use half::slice::HalfFloatSliceExt;
use half::{bf16, f16};

/// Type of the stored values of a [`Tensor`](crate::Tensor). Everything is f32, except weights of linear layers and
/// embedding tables that came through [`Device::upload_half`](crate::Device::upload_half).
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Element {
    /// IEEE single precision.
    F32,
    /// IEEE half precision: 11 significant bits, magnitudes up to 65,504.
    F16,
    /// The upper half of an f32: 8 significant bits, the range of f32.
    Bf16,
}

impl Element {
    /// Bytes of one value.
    pub fn bytes(self) -> usize {
        match self {
            Element::F32 => 4,
            Element::F16 | Element::Bf16 => 2,
        }
    }

    /// The 16-bit patterns nearest to `values`, ties to even; values beyond the largest become infinite. Of
    /// [`Element::F32`], which has no such patterns, nothing.
    pub fn round(self, values: &[f32]) -> Vec<u16> {
        match self {
            Element::F32 => Vec::new(),
            Element::F16 => values.iter().map(|&value| f16::from_f32(value).to_bits()).collect(),
            Element::Bf16 => values.iter().map(|&value| bf16::from_f32(value).to_bits()).collect(),
        }
    }

    /// The values of 16-bit patterns, exactly. Of [`Element::F32`], nothing.
    pub fn widen(self, stored: &[u16]) -> Vec<f32> {
        match self {
            Element::F32 => Vec::new(),
            Element::F16 => bytemuck::cast_slice::<u16, f16>(stored).to_f32_vec(),
            Element::Bf16 => bytemuck::cast_slice::<u16, bf16>(stored).to_f32_vec(),
        }
    }

    /// The constant `ELEMENT` of kernels that read stored values.
    pub(crate) fn code(self) -> u32 {
        match self {
            Element::F32 => 0,
            Element::F16 => 1,
            Element::Bf16 => 2,
        }
    }
}

impl std::fmt::Display for Element {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(match self {
            Element::F32 => "f32",
            Element::F16 => "f16",
            Element::Bf16 => "bf16",
        })
    }
}

/// The f32 of an f16, without branches so that loops over it become vector code.
#[inline(always)]
pub(crate) fn widen_f16(stored: u16) -> f32 {
    let magnitude = u32::from(stored & 0x7fff);
    // The bits of the half moved into place are the value times 2^-112, also for subnormal halves.
    let scaled = f32::from_bits(magnitude << 13) * f32::from_bits((127 + 112) << 23);
    // Infinity and not a number have the largest exponent in both types.
    let special = if magnitude >= 0x7c00 { 0x7f80_0000 } else { 0 };
    f32::from_bits(scaled.to_bits() | special | u32::from(stored & 0x8000) << 16)
}

/// The f32 of a bf16.
#[inline(always)]
pub(crate) fn widen_bf16(stored: u16) -> f32 {
    f32::from_bits(u32::from(stored) << 16)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn all_halves_widen_as_the_crate_does_and_round_back() {
        for stored in 0..=u16::MAX {
            let (got, want) = (widen_f16(stored), f16::from_bits(stored).to_f32());
            assert!(
                got.to_bits() == want.to_bits() || got.is_nan() && want.is_nan(),
                "{stored:#x}: {got} {want}"
            );
            let (got, want) = (widen_bf16(stored), bf16::from_bits(stored).to_f32());
            assert!(
                got.to_bits() == want.to_bits() || got.is_nan() && want.is_nan(),
                "{stored:#x}: {got} {want}"
            );
            for element in [Element::F16, Element::Bf16] {
                let wide = element.widen(&[stored]);
                assert!(wide[0].is_nan() || element.round(&wide) == [stored], "{element} {stored:#x}");
            }
        }
    }

    #[test]
    fn ties_go_to_even_and_too_large_is_infinite() {
        // 1 + 2^-8 lies between 1 and 1 + 2^-7; 1 + 3 * 2^-8 between 1 + 2^-7 and 1 + 2^-6.
        let ties = [1.0 + 1.0 / 256.0, 1.0 + 3.0 / 256.0, -1.0 - 1.0 / 256.0];
        assert_eq!(Element::Bf16.widen(&Element::Bf16.round(&ties)), [1.0, 1.0 + 4.0 / 256.0, -1.0]);
        let edges = [65_519.0, 65_520.0, 2f32.powi(-25), 3.0 * 2f32.powi(-25)];
        let wide = Element::F16.widen(&Element::F16.round(&edges));
        assert_eq!(wide, [65_504.0, f32::INFINITY, 0.0, 2f32.powi(-23)]);
    }
}
