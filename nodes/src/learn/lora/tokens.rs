//! The cells of a training: those of the port `tokens`, and behind them those of the port `external`.

use std::collections::BTreeSet;

use celldag_engine::{NodeError, Step};
use celldag_models::CellTokens;
use serde_json::{Map, Value};

use super::data::CellIndex;
use crate::embed::TokensFile;
use crate::embed::failure::Failure;

/// Tokens of one model, of one file or two.
pub(super) struct AllTokens {
    own: TokensFile,
    external: Option<TokensFile>,
    /// Numbers of the external cells begin here.
    start: usize,
    pub(super) index: CellIndex,
}

impl AllTokens {
    /// Reads the ports.
    ///
    /// # Errors
    /// A data error when the two do not fit.
    pub(super) fn of_step(step: &Step<'_>) -> Result<Self, Failure> {
        let own = TokensFile::open(&step.input("tokens")?.path)?;
        let external = step.optional_input("external").map(|input| TokensFile::open(&input.path));
        let external = external.transpose()?;
        let (mut names, mut lengths) = (own.obs()?.index, own.lengths());
        let start = names.len();
        if let Some(other) = &external {
            expect_alike(&own, other)?;
            let added = other.obs()?.index;
            lengths.extend(other.lengths());
            let of_own = CellIndex::new(&names, Vec::new());
            if let Some(twice) = added.iter().find(|name| of_own.contains(name)) {
                return Err(NodeError::data(format!(
                    "cell `{twice}` is on both ports, `tokens` and `external`"
                ))
                .help("give cells names that say their study")
                .into());
            }
            names.extend(added);
        }
        Ok(Self { own, external, start, index: CellIndex::new(&names, lengths) })
    }

    /// The file of the port `tokens`, which says what the tokens are of.
    pub(super) fn file(&self) -> &TokensFile {
        &self.own
    }

    /// Tokens of the cells of these numbers.
    pub(super) fn read(&self, rows: &[usize]) -> Result<Vec<CellTokens>, Failure> {
        let cell = |&row: &usize| match &self.external {
            Some(external) if row >= self.start => external.cell(row - self.start),
            _ => self.own.cell(row),
        };
        Ok(rows.iter().map(cell).collect::<Result<_, _>>()?)
    }
}

/// Ids mean the same in both files.
fn expect_alike(own: &TokensFile, external: &TokensFile) -> Result<(), NodeError> {
    let (a, b) = (own.info(), external.info());
    let (tokens, others) = (&a.tokenizer, &b.tokenizer);
    let same = a.model == b.model
        && tokens.vocabulary == others.vocabulary
        && tokens.context == others.context
        && tokens.has_values == others.has_values;
    if !same {
        return Err(NodeError::data(format!(
            "the tokens on `tokens` and `external` are not of one model: {} {} and {} {}, vocabularies of {} and {} tokens",
            a.model,
            tokens.variant,
            b.model,
            others.variant,
            tokens.vocabulary_size,
            others.vocabulary_size,
        ))
        .help("tokenize both files with the same model and checkpoint"));
    }
    let differing = differing(&tokens.options, &others.options);
    if !differing.is_empty() {
        return Err(NodeError::data(format!(
            "the tokens on `tokens` and `external` were made with different options: {}",
            differing.join("; ")
        ))
        .help("give both `tokenize` the same options, or the model tests on another kind of input than it learns from"));
    }
    Ok(())
}

/// What two tokenizers were told differently, option by option.
fn differing(own: &Map<String, Value>, external: &Map<String, Value>) -> Vec<String> {
    let said = |options: &Map<String, Value>, name: &str| {
        options.get(name).map_or_else(|| "not given".to_owned(), Value::to_string)
    };
    let names: BTreeSet<&String> = own.keys().chain(external.keys()).collect();
    let one = |name: &&String| {
        let [a, b] = [said(own, name), said(external, name)];
        (a != b).then(|| format!("`{name}` is {a} and {b}"))
    };
    names.iter().filter_map(one).collect()
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn differing_options_are_named_with_both_values() {
        let map = |value: Value| value.as_object().cloned().unwrap_or_default();
        let own = map(json!({"a": 1, "b": "x", "c": true}));
        let external = map(json!({"a": 1, "b": "y", "d": null}));
        let want = ["`b` is \"x\" and \"y\"", "`c` is true and not given", "`d` is not given and null"];
        assert_eq!(differing(&own, &external), want);
        assert!(differing(&own, &own).is_empty());
    }
}
