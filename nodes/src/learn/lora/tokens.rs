//! The cells of a training: those of the port `tokens`, and behind them those of the port `external`.

use celldag_engine::{NodeError, Step};
use celldag_models::CellTokens;

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
            expect_alike(step, &own, other)?;
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
fn expect_alike(step: &Step<'_>, own: &TokensFile, external: &TokensFile) -> Result<(), NodeError> {
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
    if tokens.options != others.options {
        step.warn(format!(
            "the tokens on `tokens` and `external` were made with different options: {} and {}",
            serde_json::Value::Object(tokens.options.clone()),
            serde_json::Value::Object(others.options.clone())
        ));
    }
    Ok(())
}
