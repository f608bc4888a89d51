//! `embed` cut into shards: the rows of some cells as a part, and parts as the rows of all.
//!
//! The content of a part is a segment as [`super::kept`] saves it. A neighbourhood is never cut: the shard of its first cell has
//! all of it.

use std::collections::BTreeMap;

use celldag_engine::{NodeError, PartFile, Shard, Step};
use celldag_models::Vectors;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

use super::cut;
use super::embed_cells::check_finite;
use super::failure::Failure;
use super::kept::{renumbered, take};
use super::tokens_file::TokensFile;

/// What the outputs say about the model, so that putting parts together loads no weights and needs no device.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Described {
    pub(super) variant: String,
    pub(super) vocabulary: String,
    pub(super) options: Map<String, Value>,
    pub(super) parameters: usize,
    pub(super) dim: usize,
    /// What to warn of before anything is embedded.
    pub(super) warning: Option<String>,
}

/// The cells of a shard among `cells`, ascending.
pub(super) fn of_shard(shard: Shard, cells: usize, neighbourhoods: Option<&[u32]>) -> Vec<usize> {
    let range = shard.range(cells);
    let mut first: BTreeMap<u32, usize> = BTreeMap::new();
    for (cell, of) in neighbourhoods.into_iter().flatten().enumerate() {
        first.entry(*of).or_insert(cell);
    }
    let decides = |cell: usize| match neighbourhoods {
        Some(of) => of.get(cell).and_then(|of| first.get(of)).copied().unwrap_or(cell),
        None => cell,
    };
    (0..cells).filter(|&cell| range.contains(&decides(cell))).collect()
}

/// Writes the rows that a shard knows; `mine` are its cells, `names` those of all.
///
/// # Errors
/// When a row is not finite, or they cannot be written.
pub(super) fn write(
    step: &Step<'_>,
    shard: Shard,
    described: &Described,
    vectors: &Vectors,
    (mine, names): (&[usize], &[String]),
) -> Result<(), Failure> {
    let known: Vec<usize> = (0..mine.len()).filter(|&row| vectors.knows(row)).collect();
    for &row in &known {
        check_finite(&names[mine[row]], vectors.row(row))?;
    }
    let bytes = renumbered(&known, vectors, |row| mine[row])
        .ok_or_else(|| NodeError::failed("the vectors make no safetensors file"))?;
    let content = cut::content(step);
    fs_err::write(&content, bytes).map_err(|e| NodeError::failed(e.to_string()))?;
    cut::state(step, shard, mine.len());
    let state = serde_json::to_value(described).map_err(|e| NodeError::failed(e.to_string()))?;
    Ok(step.write_part(state, &content)?)
}

/// The rows of all cells from the parts of all shards.
///
/// # Errors
/// When a part is damaged, is of other cells or another model, and when cells are in none.
pub(super) fn gather(
    step: &Step<'_>,
    parts: &[PartFile],
    tokens: &TokensFile,
) -> Result<(Described, Vectors), Failure> {
    let first = parts.first().ok_or_else(|| NodeError::failed("there are no parts"))?;
    let described: Described = first.state()?;
    let lengths = tokens.lengths();
    let mut vectors = Vectors::new(lengths.len(), described.dim);
    cut::each(step, parts, |part, content| {
        if part.state::<Described>()? != described {
            return Err(part.wrong("is of another model than the part before it"));
        }
        let bytes = fs_err::read(content).map_err(|e| NodeError::data(e.to_string()))?;
        take(&bytes, &mut vectors).ok_or_else(|| part.wrong("holds no vectors of these cells"))
    })?;
    let lacking = lengths.iter().enumerate().filter(|&(cell, &length)| length > 0 && !vectors.knows(cell));
    match lacking.count() {
        0 => Ok((described, vectors)),
        n => Err(first.wrong(&format!("and the other parts leave {n} cells out")).into()),
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn every_cell_is_of_one_shard_and_neighbours_are_together(
            groups in proptest::collection::vec(0_u32..6, 0..40),
            of in 1_u32..50,
            alone in any::<bool>(),
        ) {
            let mut owner = vec![None; groups.len()];
            let groups = (!alone).then_some(groups);
            for index in 0..of {
                let shard = Shard::new(index, of).expect("a shard");
                let mine = of_shard(shard, owner.len(), groups.as_deref());
                prop_assert!(mine.is_sorted());
                for cell in mine {
                    prop_assert_eq!(owner[cell].replace(index), None);
                }
            }
            prop_assert!(owner.iter().all(Option::is_some));
            for (a, b) in (0..owner.len()).flat_map(|a| (0..a).map(move |b| (a, b))) {
                prop_assert!(groups.as_ref().is_none_or(|of| of[a] != of[b]) || owner[a] == owner[b]);
            }
        }
    }
}
