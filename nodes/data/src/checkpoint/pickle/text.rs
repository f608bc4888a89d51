//! Numbers and text as the oldest protocols write them, and whole numbers of any length.

/// Decimal digits with an optional `L` behind, as Python 2 wrote long numbers.
pub(super) fn decimal(line: &[u8]) -> Option<i64> {
    let text = std::str::from_utf8(line).ok()?.trim();
    text.strip_suffix('L').unwrap_or(text).parse().ok()
}

/// A Python float literal; `inf` and `nan` included.
pub(super) fn float(line: &[u8]) -> Option<f64> {
    std::str::from_utf8(line).ok()?.trim().parse().ok()
}

/// Two's complement, little-endian, of any length; `None` beyond 64 bits.
pub(super) fn long(bytes: &[u8]) -> Option<i64> {
    let negative = bytes.last().is_some_and(|&b| b & 0x80 != 0);
    let fill = if negative { 0xff } else { 0 };
    let mut wide = [fill; 8];
    let kept = bytes.len().min(8);
    wide[..kept].copy_from_slice(&bytes[..kept]);
    let value = i64::from_le_bytes(wide);
    let rest_is_sign = bytes[kept..].iter().all(|&b| b == fill);
    (rest_is_sign && (value < 0) == negative).then_some(value)
}

/// Python's `raw-unicode-escape`: latin-1 with `\uXXXX` and `\UXXXXXXXX`.
pub(super) fn raw_unicode_escape(line: &[u8]) -> Option<String> {
    let mut out = String::with_capacity(line.len());
    let mut rest = line;
    while let Some((&byte, tail)) = rest.split_first() {
        let digits = match (byte, tail.first()) {
            (b'\\', Some(b'u')) => 4,
            (b'\\', Some(b'U')) => 8,
            _ => {
                out.push(char::from(byte));
                rest = tail;
                continue;
            }
        };
        let code = std::str::from_utf8(tail.get(1..=digits)?).ok()?;
        out.push(char::from_u32(u32::from_str_radix(code, 16).ok()?)?);
        rest = &tail[1 + digits..];
    }
    Some(out)
}

/// A string of Python 2 as its `repr` writes it: in quotes, with backslashes.
pub(super) fn quoted(line: &[u8]) -> Option<Vec<u8>> {
    let (&quote, rest) = line.trim_ascii().split_first()?;
    let (&last, body) = rest.split_last()?;
    if quote != last || !matches!(quote, b'\'' | b'"') {
        return None;
    }
    let mut out = Vec::with_capacity(body.len());
    let mut bytes = body.iter().copied();
    while let Some(byte) = bytes.next() {
        if byte != b'\\' {
            out.push(byte);
            continue;
        }
        out.push(match bytes.next()? {
            b'n' => b'\n',
            b't' => b'\t',
            b'r' => b'\r',
            b'x' => {
                let mut digit = || char::from(bytes.next()?).to_digit(16);
                let (high, low) = (digit()?, digit()?);
                u8::try_from(high * 16 + low).ok()?
            }
            escaped @ (b'\\' | b'\'' | b'"') => escaped,
            _ => return None,
        });
    }
    Some(out)
}
