//! Sizes of memory as people write and read them.

/// Bytes of `8 GiB`, `8G`, `1.5 gb`: units are powers of 1024, whichever way they are spelt, and a number without a unit
/// counts bytes.
///
/// # Errors
/// What is wrong with the text, for a message.
pub fn parse_size(text: &str) -> Result<u64, String> {
    let digits = text.trim_end_matches(|c: char| c.is_ascii_alphabetic());
    let factor = match text[digits.len()..].to_ascii_lowercase().as_str() {
        "" | "b" => 1.0,
        "k" | "kb" | "kib" => 1024.0,
        "m" | "mb" | "mib" => 1024.0 * 1024.0,
        "g" | "gb" | "gib" => 1024.0 * 1024.0 * 1024.0,
        "t" | "tb" | "tib" => 1024.0_f64.powi(4),
        unit => return Err(format!("unknown unit `{unit}`: use K, M, G or T")),
    };
    let digits = digits.trim_end();
    let number: f64 = digits.parse().map_err(|_| format!("`{digits}` is not a number"))?;
    if !(number >= 0.0 && number.is_finite()) {
        return Err(format!("`{text}` is not a size"));
    }
    #[expect(
        clippy::cast_possible_truncation,
        clippy::cast_sign_loss,
        reason = "checked to be finite and not negative"
    )]
    Ok((number * factor) as u64)
}

/// Amounts of memory that can be meant: no machine has more than the most, and less is a unit that was forgotten.
const MEMORY: (u64, u64) = (1 << 20, 1 << 50);

/// What an amount of memory has to be, in words.
pub const MEMORY_WANTED: &str = "a size with its unit, from 1 MiB to 1024 TiB: 500 MiB, 8 GiB";

/// Bytes of an amount of memory to work with.
///
/// # Errors
/// What is wrong with the text, for a message; [`MEMORY_WANTED`] says what is wanted instead.
pub fn parse_memory(text: &str) -> Result<u64, String> {
    let bytes = parse_size(text).map_err(|message| format!("`{text}` is no size: {message}"))?;
    if (MEMORY.0..=MEMORY.1).contains(&bytes) {
        return Ok(bytes);
    }
    let unit =
        if text.trim().parse::<f64>().is_ok() { " (a number without a unit counts bytes)" } else { "" };
    Err(format!("expected a size from 1 MiB to 1024 TiB, not `{text}`{unit}"))
}

/// A number of bytes: `512 B`, `1.5 KiB`, `80.0 GiB`.
#[must_use]
pub fn bytes(count: u64) -> String {
    #[expect(clippy::cast_precision_loss, reason = "shown with one decimal")]
    let mut value = count as f64;
    let mut unit = "B";
    for next in ["KiB", "MiB", "GiB", "TiB"] {
        if value < 1024.0 {
            break;
        }
        value /= 1024.0;
        unit = next;
    }
    if unit == "B" { format!("{count} B") } else { format!("{value:.1} {unit}") }
}

#[cfg(test)]
mod tests {
    use super::{parse_memory, parse_size};

    #[test]
    fn sizes() {
        assert_eq!(parse_size("20G"), Ok(20 << 30));
        assert_eq!(parse_size("8 GiB"), Ok(8 << 30));
        assert_eq!(parse_size("1.5k"), Ok(1536));
        assert_eq!(parse_size("7"), Ok(7));
        assert!(parse_size("-1").is_err() && parse_size("many").is_err() && parse_size("3 parsecs").is_err());
        assert!(parse_size("inf").is_err() && parse_size("").is_err() && parse_size("GiB").is_err());
    }

    #[test]
    fn memory_that_can_be_meant() {
        assert_eq!((parse_memory("1 MiB"), parse_memory("1024T")), (Ok(1 << 20), Ok(1 << 50)));
        let refused = |text: &str| parse_memory(text).expect_err("no such amount");
        assert_eq!(
            refused("8"),
            "expected a size from 1 MiB to 1024 TiB, not `8` (a number without a unit counts bytes)"
        );
        assert_eq!(refused("1025T"), "expected a size from 1 MiB to 1024 TiB, not `1025T`");
        assert_eq!(refused("4XB"), "`4XB` is no size: unknown unit `xb`: use K, M, G or T");
    }
}
