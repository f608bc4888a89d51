//! What token numbers mean: four special rows, genes species by species, and behind all genes the chromosomes.

use std::collections::{BTreeMap, BTreeSet};

use celldag_data::vocabulary::{read_columns, read_integers};

use super::checkpoint::Checkpoint;
use crate::error::ModelError;
use crate::vocabulary::digest;

/// Ends the genes of a chromosome.
pub(super) const CHROMOSOME_END: u32 = 2;
/// Begins a cell.
pub(super) const CLS: u32 = 3;
/// Special rows, in their order.
const SPECIAL: [&str; 4] = ["<pad>", "<chromosome left>", "<chromosome end>", "<cls>"];
/// Rows of the published table with and without chromosomes, which the authors' code knows by number.
const PUBLISHED_ROWS: usize = 145_469;
const PUBLISHED_GENES: usize = 143_574;

/// Token numbers of a UCE.
#[derive(Clone, Debug)]
pub struct Vocabulary {
    /// First token of each species.
    pub species: BTreeMap<String, u32>,
    /// Token of each `<species>_<chromosome>`.
    pub chromosomes: BTreeMap<String, u32>,
    /// Token of the first chromosome.
    pub chromosome_offset: usize,
    /// Number of tokens.
    pub size: usize,
    /// BLAKE3 of the sorted lines `name<TAB>id<LF>`, hex, of special tokens, species and chromosomes.
    pub digest: String,
}

impl Vocabulary {
    /// Reads species and chromosomes. Chromosomes begin at `chromosome_offset`, if it is given, else behind the rows of
    /// `all_tokens.torch`; without that file they are the last rows of the table of the weights called `version`.
    ///
    /// # Errors
    /// When a file is missing or damaged, or numbers do not fit each other.
    pub fn read(
        checkpoint: &Checkpoint,
        chromosome_offset: Option<usize>,
        version: &str,
    ) -> Result<Self, ModelError> {
        let columns = read_columns(&checkpoint.chromosomes, &["species", "chromosome"])?;
        let pairs = columns[0].iter().zip(&columns[1]).filter(|(_, chromosome)| !chromosome.is_empty());
        let names: BTreeSet<String> =
            pairs.map(|(species, chromosome)| format!("{species}_{chromosome}")).collect();
        let offset = match chromosome_offset {
            Some(offset) => offset,
            None => default_offset(checkpoint, version, names.len())?,
        };
        let refuse = |reason: String| ModelError::Config { path: checkpoint.offsets.clone(), reason };
        let mut species = BTreeMap::new();
        for (name, first) in read_integers(&checkpoint.offsets)? {
            let fits = u32::try_from(first).ok().filter(|&first| (first as usize) < offset);
            let first = fits.ok_or_else(|| {
                refuse(format!("`{name}` begins at row {first} of a table whose genes end at row {offset}"))
            })?;
            species.insert(name, first);
        }
        let token =
            |code: usize| u32::try_from(offset + code).map_err(|_| refuse("too many tokens".to_owned()));
        let chromosomes: BTreeMap<String, u32> = names
            .into_iter()
            .enumerate()
            .map(|(code, name)| Ok((name, token(code)?)))
            .collect::<Result<_, ModelError>>()?;
        let special = SPECIAL.iter().zip(0..).map(|(&name, id)| (name.to_owned(), id));
        let others = species.iter().chain(&chromosomes).map(|(name, &id)| (name.clone(), id));
        let digest = digest(&special.chain(others).collect());
        let size = offset + chromosomes.len();
        Ok(Self { species, chromosomes, chromosome_offset: offset, size, digest })
    }
}

fn default_offset(checkpoint: &Checkpoint, version: &str, chromosomes: usize) -> Result<usize, ModelError> {
    if let Some((_, rows)) = checkpoint.open_tokens()? {
        return Ok(if rows == PUBLISHED_ROWS { PUBLISHED_GENES } else { rows });
    }
    let weights = checkpoint.open(version)?;
    let rows = weights.shape("pe_embedding.weight").and_then(|shape| shape.first().copied());
    if rows == Some(PUBLISHED_ROWS) {
        return Ok(PUBLISHED_GENES);
    }
    rows.and_then(|rows| rows.checked_sub(chromosomes)).ok_or_else(|| ModelError::Config {
        path: checkpoint.chromosomes.clone(),
        reason: format!("has {chromosomes} chromosomes, more than the table of the weights has rows"),
    })
}
