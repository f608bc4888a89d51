//! Whether a tokenizer belongs to the weights: all that can be checked is the number of its tokens.

use std::path::Path;

use celldag_data::tokenizer::TextTokenizer;

use crate::error::ModelError;

/// Rows behind the last token that a table may have whatever its size: published tables are rounded up to a multiple of 64 or
/// 128, and base models keep some hundred rows for special tokens.
const SPARE: usize = 256;
/// Larger tables may have this part of their rows to spare: the most of a published model is a fortieth (102,400 rows for
/// 100,015 tokens).
const PART: usize = 32;

/// The tokenizer of `folder`, if it fits a table of `rows` that `config` tells. transformers refuses no tokenizer; one with more
/// tokens than rows names rows that are not there, one with far fewer is that of another model.
///
/// # Errors
/// [`ModelError::WrongDictionary`], or when the tokenizer is damaged; messages name its file `file`.
pub(crate) fn fitting(
    folder: &Path,
    (config, rows): (&Path, usize),
    file: &Path,
) -> Result<TextTokenizer, ModelError> {
    let tokenizer = TextTokenizer::in_folder(folder)?;
    let tokens = tokenizer.vocabulary().values().max().map_or(0, |&last| last as usize + 1);
    if fits(tokens, rows) {
        return Ok(tokenizer);
    }
    Err(ModelError::WrongDictionary {
        config: config.to_path_buf(),
        vocab_size: rows,
        found: format!("{tokens} ({})", file.display()),
    })
}

fn fits(tokens: usize, rows: usize) -> bool {
    tokens > 0 && rows.checked_sub(tokens).is_some_and(|spare| spare <= SPARE.max(rows / PART))
}

#[cfg(test)]
mod tests {
    use super::fits;

    #[test]
    fn tables_may_be_padded_and_no_more() {
        // Published: BERT, GPT-2 as Megatron pads it, Llama 3 with and without its special tokens, Qwen 1.5, DeepSeek.
        for (tokens, rows) in [
            (30_522, 30_522),
            (50_257, 50_304),
            (128_256, 128_256),
            (128_000, 128_256),
            (151_646, 151_936),
            (100_015, 102_400),
        ] {
            assert!(fits(tokens, rows), "{tokens} of {rows}");
        }
        // A tokenizer of another model: larger, cased instead of uncased, Llama 2 for Llama 3, none.
        for (tokens, rows) in [(30_523, 30_522), (28_996, 30_522), (32_000, 128_256), (0, 100)] {
            assert!(!fits(tokens, rows), "{tokens} of {rows}");
        }
    }
}
