//! `tokenize` cut into shards: the tokens of some cells as a part, and parts as the tokens of all.
//!
//! The content of a part is a tokens file of its cells, without their table.

use celldag_data::Table;
use celldag_engine::{NodeError, PartFile, Shard, Step};

use super::cut;
use super::failure::Failure;
use super::tokenize::Seen;
use super::tokens_file::{TokensFile, TokensInfo, TokensWriter};

/// Writes the tokens of a shard, and what was seen in its cells.
///
/// # Errors
/// When they cannot be written.
pub(super) fn write(
    step: &Step<'_>,
    shard: Shard,
    writer: TokensWriter,
    info: &TokensInfo,
    seen: &Seen,
) -> Result<(), Failure> {
    let content = cut::content(step);
    writer.finish(&content, info, &Table::new(Vec::new()))?;
    cut::state(step, shard, seen.cells);
    step.fact("tokens", seen.tokens);
    let state = serde_json::to_value(seen).map_err(|e| NodeError::failed(e.to_string()))?;
    Ok(step.write_part(state, &content)?)
}

/// The tokens of all `cells` from the parts of all shards, and what was seen in them.
///
/// # Errors
/// When a part is damaged, or is of other cells or of another tokenizer.
pub(super) fn gather(
    step: &Step<'_>,
    parts: &[PartFile],
    cells: usize,
) -> Result<(TokensWriter, TokensInfo, Seen), Failure> {
    let mut all: Option<(TokensWriter, TokensInfo)> = None;
    let mut seen = Seen::default();
    step.progress.total(cells as u64, "cells");
    cut::each(step, parts, |part, content| -> Result<(), Failure> {
        let tokens = TokensFile::open(content)?;
        let (mut writer, info) = match all.take() {
            Some(begun) => begun,
            None => (TokensWriter::new(step.scratch, &tokens.info().tokenizer)?, tokens.info().clone()),
        };
        let own = tokens.lengths().len();
        if *tokens.info() != info || own != part.shard().range(cells).len() {
            return Err(part.wrong("holds tokens of other cells, or of another tokenizer").into());
        }
        for cell in 0..own {
            writer.push(&tokens.cell(cell)?)?;
        }
        seen.add(part.state()?);
        step.progress.advance(own as u64);
        all = Some((writer, info));
        Ok(())
    })?;
    let (writer, info) = all.ok_or_else(|| NodeError::failed("there are no parts"))?;
    Ok((writer, info, seen))
}
