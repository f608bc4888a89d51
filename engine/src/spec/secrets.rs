//! `secrets:`: names of environment variables, never what they hold.

use super::document::Text;
use super::read::wrong_shape;
use super::value::{Data, Tree};
use crate::diagnostic::{Diagnostic, SECRET};

/// Reads the list of names.
pub(super) fn read_secrets(tree: &Tree, out: &mut Vec<Diagnostic>) -> Vec<Text> {
    match &tree.data {
        Data::List(items) => items.iter().filter_map(|item| name(item, out)).collect(),
        // `secrets: {KEY: sk-...}`: everything that stands there as a value is hidden.
        Data::Map(entries) => {
            for (_, value) in entries {
                hide(value, out);
            }
            if entries.is_empty() {
                out.push(wrong_shape(tree, "`secrets:`", "a list of names of environment variables"));
            }
            Vec::new()
        }
        Data::Scalar(_) if tree.is_null() => Vec::new(),
        Data::Scalar(_) => name(tree, out).into_iter().collect(),
    }
}

fn name(tree: &Tree, out: &mut Vec<Diagnostic>) -> Option<Text> {
    let found = tree.scalar().filter(|scalar| is_variable(&scalar.text) && !looks_like_key(&scalar.text));
    if found.is_none() {
        hide(tree, out);
    }
    found.map(|scalar| Text { value: scalar.text.clone(), span: tree.span.clone() })
}

/// The finding never says what stands there, and [`SECRET`] keeps it out of every excerpt.
fn hide(tree: &Tree, out: &mut Vec<Diagnostic>) {
    out.push(
        Diagnostic::error(SECRET, "`secrets:` takes names of environment variables, not the secrets themselves")
            .at(tree.span.clone(), "not the name of a variable")
            .help(
                "write secrets: [OPENAI_API_KEY] and set the variable where celldag runs; if this was a real key, it \
                 has been in a file: revoke it",
            ),
    );
}

fn is_variable(text: &str) -> bool {
    let mut chars = text.chars();
    chars.next().is_some_and(|c| c.is_ascii_alphabetic() || c == '_')
        && chars.all(|c| c.is_ascii_alphanumeric() || c == '_')
}

/// Keys are long and mix digits with letters without a break; names of variables are words.
fn looks_like_key(text: &str) -> bool {
    text.split('_').any(|word| {
        word.len() >= 16
            && word.contains(|c: char| c.is_ascii_digit())
            && word.contains(|c: char| c.is_ascii_alphabetic())
    })
}

#[cfg(test)]
mod tests {
    use super::{is_variable, looks_like_key};

    #[test]
    fn names_are_told_from_keys() {
        for name in
            ["OPENAI_API_KEY", "HF_TOKEN", "AWS_SECRET_ACCESS_KEY_2", "_x", "azureOpenAiDeploymentToken"]
        {
            assert!(is_variable(name) && !looks_like_key(name), "{name}");
        }
        for key in ["sk-abc", "AKIAIOSFODNN7EXAMPLE", "hf_abcdefghij1234567890", "two words", "", "7x"] {
            assert!(!is_variable(key) || looks_like_key(key), "{key}");
        }
    }
}
