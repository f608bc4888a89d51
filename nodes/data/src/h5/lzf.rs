//! LZF, the light compression that h5py brings and `anndata.write_h5ad(compression="lzf")` uses.
//!
//! Decoded here and not by the HDF5 crate: its filter makes a slice of a null pointer when a dataset has no filter
//! settings, which is so for all variable-length texts, and undefined behaviour follows. The format is a few lines.

/// Longest output: HDF5 has no chunk above 4 GiB.
const LARGEST: usize = u32::MAX as usize;

/// The content of an LZF stream; `None` if it is broken.
///
/// A control byte below 32 announces that many plus one literal bytes. Any other one is a copy from what was decoded
/// before: three bits of length (7: another byte follows), then thirteen bits of distance.
pub(super) fn decode(stream: &[u8]) -> Option<Vec<u8>> {
    let mut out: Vec<u8> = Vec::with_capacity(stream.len().saturating_mul(2));
    let mut bytes = stream;
    while let Some((&control, rest)) = bytes.split_first() {
        let control = usize::from(control);
        if control < 32 {
            let (literal, rest) = rest.split_at_checked(control + 1)?;
            out.extend_from_slice(literal);
            bytes = rest;
        } else {
            let (mut length, mut rest) = (control >> 5, rest);
            if length == 7 {
                let (&more, after) = rest.split_first()?;
                (length, rest) = (length + usize::from(more), after);
            }
            let (&low, rest) = rest.split_first()?;
            let distance = ((control & 0x1f) << 8 | usize::from(low)) + 1;
            let begin = out.len().checked_sub(distance)?;
            // Source and destination may overlap: a distance of 1 repeats a byte.
            for at in begin..begin + length + 2 {
                out.push(out[at]);
            }
            bytes = rest;
        }
        if out.len() > LARGEST {
            return None;
        }
    }
    Some(out)
}

#[cfg(test)]
mod tests {
    use super::decode;

    #[test]
    fn literals_copies_and_repetitions() {
        assert_eq!(decode(&[2, b'a', b'b', b'c']).as_deref(), Some(&b"abc"[..]));
        // Copy 3 bytes from distance 3, then 9 + 2 bytes from distance 1.
        let stream = [2, b'a', b'b', b'c', 1 << 5, 2, 7 << 5, 2, 0];
        assert_eq!(decode(&stream).as_deref(), Some(&b"abcabcccccccccccc"[..]));
        assert_eq!(decode(&[]).as_deref(), Some(&b""[..]));
    }

    #[test]
    fn broken_streams_are_refused() {
        for stream in
            [&[5, b'a'][..], &[1 << 5], &[1 << 5, 0], &[0, b'a', 1 << 5, 1], &[7 << 5], &[7 << 5, 1]]
        {
            assert_eq!(decode(stream), None, "{stream:?}");
        }
    }
}
