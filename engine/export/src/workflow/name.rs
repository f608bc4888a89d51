//! Names that Python, Snakemake, Groovy and file systems take: identifiers, and axis values as parts of paths.

use std::collections::BTreeSet;

/// Words that mean something to Python, Snakemake, Groovy or Nextflow, or to the lists in which Snakemake keeps named files.
const RESERVED: &[&str] = &[
    // Names that exports give themselves.
    "shard",
    "part",
    "parts",
    "job_id",
    "lineage_file",
    "program_file",
    "summaries_above",
    "summary_file",
    "and",
    "as",
    "assert",
    "async",
    "await",
    "break",
    "class",
    "continue",
    "def",
    "del",
    "elif",
    "else",
    "except",
    "finally",
    "for",
    "from",
    "global",
    "if",
    "import",
    "in",
    "is",
    "lambda",
    "nonlocal",
    "not",
    "or",
    "pass",
    "raise",
    "return",
    "try",
    "while",
    "with",
    "yield",
    "none",
    "true",
    "false",
    "match",
    "case",
    "type",
    "rule",
    "input",
    "output",
    "params",
    "threads",
    "resources",
    "log",
    "wildcards",
    "config",
    "workflow",
    "rules",
    "all",
    "expand",
    "temp",
    "directory",
    "localrules",
    "module",
    "use",
    "shell",
    "script",
    "include",
    "os",
    "sys",
    "append",
    "clear",
    "copy",
    "count",
    "extend",
    "index",
    "insert",
    "pop",
    "remove",
    "reverse",
    "sort",
    "get",
    "items",
    "keys",
    "values",
    "update",
    "abstract",
    "boolean",
    "byte",
    "catch",
    "channel",
    "char",
    "const",
    "default",
    "do",
    "double",
    "emit",
    "enum",
    "env",
    "exec",
    "extends",
    "file",
    "final",
    "float",
    "goto",
    "implements",
    "instanceof",
    "int",
    "interface",
    "it",
    "long",
    "main",
    "meta",
    "native",
    "new",
    "null",
    "package",
    "path",
    "private",
    "process",
    "protected",
    "public",
    "return",
    "short",
    "static",
    "strictfp",
    "stub",
    "super",
    "switch",
    "synchronized",
    "tag",
    "task",
    "this",
    "threadsafe",
    "throw",
    "throws",
    "trait",
    "transient",
    "tuple",
    "val",
    "var",
    "void",
    "volatile",
    "when",
];

/// Hands out identifiers of one namespace; no two differ only in case, since process names are written in capitals.
#[derive(Clone, Debug, Default)]
pub(crate) struct Names {
    taken: BTreeSet<String>,
}

impl Names {
    /// Marks an identifier of another namespace as taken.
    pub(crate) fn occupy(&mut self, ident: &str) {
        self.taken.insert(ident.to_ascii_lowercase());
    }

    /// An identifier as near to `name` as can be.
    pub(crate) fn take(&mut self, name: &str) -> String {
        let mut word: String =
            name.chars().map(|c| if c.is_ascii_alphanumeric() { c } else { '_' }).collect();
        // A leading underscore would hide the name in Snakemake.
        if !word.starts_with(|c: char| c.is_ascii_alphabetic()) {
            word.insert(0, 'n');
        }
        let free = |word: &str| {
            let lower = word.to_ascii_lowercase();
            !RESERVED.contains(&lower.as_str()) && !self.taken.contains(&lower)
        };
        let numbered = || (2_usize..).map(|n| format!("{word}_{n}")).find(|word| free(word));
        let word = if free(&word) { word } else { numbered().unwrap_or_default() };
        self.taken.insert(word.to_ascii_lowercase());
        word
    }
}

/// An axis value as part of a path: letters, digits and `_ . + -` stay, every other byte becomes `%` and two digits. Each
/// value has its own text, the text is never `.` or `..`, and never empty: the empty value is `%`.
#[must_use]
pub fn encode(value: &str) -> String {
    if value.is_empty() {
        return "%".to_owned();
    }
    let dots = value.bytes().all(|byte| byte == b'.');
    let mut out = String::with_capacity(value.len());
    for byte in value.bytes() {
        if byte.is_ascii_alphanumeric() || matches!(byte, b'_' | b'+' | b'-') || (byte == b'.' && !dots) {
            out.push(char::from(byte));
        } else {
            out.push_str(&format!("%{byte:02X}"));
        }
    }
    out
}

/// The value that [`encode`] wrote as this text; `None` for a text that it does not write.
#[must_use]
pub fn decode(text: &str) -> Option<String> {
    if text == "%" {
        return Some(String::new());
    }
    let mut bytes = Vec::with_capacity(text.len());
    let mut rest = text.bytes();
    while let Some(byte) = rest.next() {
        if byte != b'%' {
            bytes.push(byte);
            continue;
        }
        let digits = [rest.next()?, rest.next()?];
        bytes.push(u8::from_str_radix(std::str::from_utf8(&digits).ok()?, 16).ok()?);
    }
    let value = String::from_utf8(bytes).ok()?;
    (encode(&value) == text).then_some(value)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn identifiers_are_legal_and_apart() {
        let mut names = Names::default();
        let got = ["model", "model", "Model", "top-cells", "top_cells", "input", "1st", "_x", ""]
            .map(|name| names.take(name));
        let wanted =
            ["model", "model_2", "Model_3", "top_cells", "top_cells_2", "input_2", "n1st", "n_x", "n"];
        assert_eq!(got, wanted);
    }

    #[test]
    fn values_in_paths() {
        for (value, text) in [
            ("scgpt", "scgpt"),
            ("a/b c", "a%2Fb%20c"),
            ("", "%"),
            ("..", "%2E%2E"),
            ("v1.0", "v1.0"),
            ("%", "%25"),
        ] {
            assert_eq!(encode(value), text);
        }
        assert_eq!(decode("%2f"), None, "one value has one text");
        assert_eq!(decode(".."), None);
    }

    proptest! {
        #[test]
        fn every_value_comes_back(value in ".{0,12}") {
            let text = encode(&value);
            let harmless = !text.contains(['/', ' ', '{', '$']);
            prop_assert!(!text.is_empty() && text != "." && text != ".." && harmless);
            prop_assert_eq!(decode(&text), Some(value));
        }
    }
}
