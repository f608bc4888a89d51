//! The template language of the kernels: WGSL has no unrolling, no conditional code and no include.
//!
//! `#import name` inserts `wgsl/shared/name.wgsl`, `#import name x=left X=LEFT` with `left` for every `${x}` and `LEFT` for
//! every `${X}` in it, so that one file serves several operands; `#if NAME`, `#if NAME == 3`, `#else`, `#end` choose code by
//! the value of a constant; `#repeat i COUNT` ... `#end` writes its lines once for each i from 0; `${NAME}` writes a value. Directives
//! stand alone on a line.

/// Files of `wgsl/shared`.
const SHARED: &[(&str, &str)] = &[
    ("activation", include_str!("../wgsl/shared/activation.wgsl")),
    ("activation_backward", include_str!("../wgsl/shared/activation_backward.wgsl")),
    ("attention", include_str!("../wgsl/shared/attention.wgsl")),
    ("attention_backward", include_str!("../wgsl/shared/attention_backward.wgsl")),
    ("attention_forward", include_str!("../wgsl/shared/attention_forward.wgsl")),
    ("attention_products", include_str!("../wgsl/shared/attention_products.wgsl")),
    ("cooperative_slice", include_str!("../wgsl/shared/cooperative_slice.wgsl")),
    ("grid", include_str!("../wgsl/shared/grid.wgsl")),
    ("half", include_str!("../wgsl/shared/half.wgsl")),
    ("head_store", include_str!("../wgsl/shared/head_store.wgsl")),
    ("head_vectors", include_str!("../wgsl/shared/head_vectors.wgsl")),
    ("norm_statistics", include_str!("../wgsl/shared/norm_statistics.wgsl")),
    ("philox", include_str!("../wgsl/shared/philox.wgsl")),
    ("product", include_str!("../wgsl/shared/product.wgsl")),
    ("product_operand", include_str!("../wgsl/shared/product_operand.wgsl")),
    ("product_read", include_str!("../wgsl/shared/product_read.wgsl")),
    ("split", include_str!("../wgsl/shared/split.wgsl")),
    ("tile_slice", include_str!("../wgsl/shared/tile_slice.wgsl")),
    ("workgroup_max", include_str!("../wgsl/shared/workgroup_max.wgsl")),
    ("workgroup_number", include_str!("../wgsl/shared/workgroup_number.wgsl")),
    ("workgroup_sum", include_str!("../wgsl/shared/workgroup_sum.wgsl")),
];

/// A mistake in a kernel file.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("line {line}: {message}")]
pub(crate) struct SourceError {
    line: usize,
    message: String,
}

/// Expands `text` with the given constants.
pub(crate) fn expand(text: &str, constants: &[(&str, u32)]) -> Result<String, SourceError> {
    let mut names: Vec<(String, u32)> =
        constants.iter().map(|(name, value)| ((*name).to_owned(), *value)).collect();
    let lines: Vec<&str> = text.lines().collect();
    let mut out = String::new();
    Expander { lines: &lines }.block(0, lines.len(), &mut names, &mut out)?;
    Ok(out)
}

struct Expander<'a> {
    lines: &'a [&'a str],
}

impl Expander<'_> {
    /// Writes lines `from..to`.
    fn block(
        &self,
        from: usize,
        to: usize,
        names: &mut Vec<(String, u32)>,
        out: &mut String,
    ) -> Result<(), SourceError> {
        let mut at = from;
        while at < to {
            let mut words = self.lines[at].split_whitespace();
            match words.next() {
                Some("#import") => {
                    let name = words.next().unwrap_or_default();
                    let shared = SHARED.iter().find(|(file, _)| *file == name);
                    let (_, text) =
                        shared.ok_or_else(|| self.error(at, format!("no shared file `{name}`")))?;
                    let text = self.fill_in(at, text, words)?;
                    let lines: Vec<&str> = text.lines().collect();
                    Expander { lines: &lines }.block(0, lines.len(), names, out)?;
                    at += 1;
                }
                Some("#if") => {
                    let name = words.next().unwrap_or_default();
                    let value = self.value(at, name, names)?;
                    let wanted = match (words.next(), words.next()) {
                        (Some("=="), Some(other)) => value == self.value(at, other, names)?,
                        (None, _) => value != 0,
                        _ => {
                            return Err(
                                self.error(at, "expected `#if NAME` or `#if NAME == VALUE`".to_owned())
                            );
                        }
                    };
                    let (otherwise, end) = self.partner(at, to)?;
                    if wanted {
                        self.block(at + 1, otherwise.unwrap_or(end), names, out)?;
                    } else if let Some(otherwise) = otherwise {
                        self.block(otherwise + 1, end, names, out)?;
                    }
                    at = end + 1;
                }
                Some("#repeat") => {
                    let variable = words.next().unwrap_or_default().to_owned();
                    let count = self.value(at, words.next().unwrap_or_default(), names)?;
                    let (_, end) = self.partner(at, to)?;
                    for i in 0..count {
                        names.push((variable.clone(), i));
                        self.block(at + 1, end, names, out)?;
                        names.pop();
                    }
                    at = end + 1;
                }
                Some(word) if word.starts_with('#') => {
                    return Err(self.error(at, format!("`{word}` does not belong here")));
                }
                _ => {
                    self.line(at, names, out)?;
                    at += 1;
                }
            }
        }
        Ok(())
    }

    /// A shared file with the texts of an import, `word=text` each, in the places of its words.
    fn fill_in<'t>(
        &self,
        at: usize,
        text: &str,
        texts: impl Iterator<Item = &'t str>,
    ) -> Result<String, SourceError> {
        let mut filled = text.to_owned();
        for pair in texts {
            let (word, value) = pair
                .split_once('=')
                .ok_or_else(|| self.error(at, format!("`{pair}` gives no word a text")))?;
            filled = filled.replace(&format!("${{{word}}}"), value);
        }
        Ok(filled)
    }

    /// The `#else`, if any, and the `#end` that belong to the directive at `from`.
    fn partner(&self, from: usize, to: usize) -> Result<(Option<usize>, usize), SourceError> {
        let (mut depth, mut otherwise) = (0, None);
        for at in from..to {
            match self.lines[at].split_whitespace().next() {
                Some("#if" | "#repeat") => depth += 1,
                Some("#else") if depth == 1 => otherwise = Some(at),
                Some("#end") => depth -= 1,
                _ => {}
            }
            if depth == 0 {
                return Ok((otherwise, at));
            }
        }
        Err(self.error(from, "no matching `#end`".to_owned()))
    }

    fn line(&self, at: usize, names: &[(String, u32)], out: &mut String) -> Result<(), SourceError> {
        let mut rest = self.lines[at];
        while let Some(start) = rest.find("${") {
            let Some(length) = rest[start..].find('}') else {
                return Err(self.error(at, "`${` without `}`".to_owned()));
            };
            out.push_str(&rest[..start]);
            out.push_str(&self.value(at, &rest[start + 2..start + length], names)?.to_string());
            rest = &rest[start + length + 1..];
        }
        out.push_str(rest);
        out.push('\n');
        Ok(())
    }

    /// A number, or the innermost constant of that name.
    fn value(&self, at: usize, word: &str, names: &[(String, u32)]) -> Result<u32, SourceError> {
        let named = names.iter().rev().find(|(name, _)| name == word).map(|(_, value)| *value);
        named.or_else(|| word.parse().ok()).ok_or_else(|| self.error(at, format!("`{word}` has no value")))
    }

    fn error(&self, at: usize, message: String) -> SourceError {
        SourceError { line: at + 1, message }
    }
}

#[cfg(test)]
mod tests {
    use super::expand;

    #[test]
    fn expands_conditions_loops_and_values() {
        let text = "#if A == 2\ntwo\n#else\nother\n#end\n#repeat i N\n#repeat j 2\nx${i}_${j}\n#end\n#end\n#if B\nb\n#end";
        assert_eq!(expand(text, &[("A", 2), ("N", 2), ("B", 0)]).unwrap(), "two\nx0_0\nx0_1\nx1_0\nx1_1\n");
        assert_eq!(expand(text, &[("A", 1), ("N", 0), ("B", 7)]).unwrap(), "other\nb\n");
    }

    #[test]
    fn mistakes_name_the_line() {
        let message = |text| expand(text, &[]).unwrap_err().to_string();
        assert_eq!(message("a\n#if X\n#end"), "line 2: `X` has no value");
        assert_eq!(message("#repeat i 2"), "line 1: no matching `#end`");
        assert_eq!(message("#import nothing"), "line 1: no shared file `nothing`");
        assert_eq!(message("#import half x"), "line 1: `x` gives no word a text");
        assert_eq!(message("#else"), "line 1: `#else` does not belong here");
        assert_eq!(message("${a"), "line 1: `${` without `}`");
    }
}
