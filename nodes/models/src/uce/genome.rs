//! The genes of one species: their tokens and where they lie.

use std::collections::BTreeMap;

use celldag_data::checkpoint::Weights;
use celldag_data::vocabulary::read_columns;

use super::checkpoint::Checkpoint;
use super::vocabulary::Vocabulary;
use crate::error::ModelError;

/// A gene's token and its place.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Locus {
    /// Row of the token table.
    pub token: u32,
    /// Token of the chromosome.
    pub chromosome: u32,
    /// First base on the chromosome.
    pub start: i64,
}

/// Genes by upper-case symbol.
#[derive(Clone, Debug)]
pub struct Genome {
    /// Those with a protein embedding and a place.
    pub loci: BTreeMap<String, Locus>,
}

impl Genome {
    /// Reads the symbols of the protein embeddings (not the embeddings) and the places of their genes. Symbols differ in
    /// case between species; all are compared in upper case. A symbol that stands twice counts where it stands first, and
    /// a gene without a place, at which the authors' script stops, is left out.
    ///
    /// # Errors
    /// When a file is missing or damaged, or does not know the species.
    pub fn read(checkpoint: &Checkpoint, vocabulary: &Vocabulary, species: &str) -> Result<Self, ModelError> {
        let proteins = checkpoint.proteins(species)?;
        let offset = *vocabulary.species.get(species).ok_or_else(|| {
            let known: Vec<&str> = vocabulary.species.keys().map(String::as_str).collect();
            ModelError::Option(format!(
                "{} has no species `{species}`; it has {}",
                checkpoint.offsets.display(),
                known.join(", ")
            ))
        })?;
        let refuse = |reason: String| ModelError::Config { path: proteins.clone(), reason };
        let mut tokens: BTreeMap<String, u32> = BTreeMap::new();
        for symbol in Weights::open(std::slice::from_ref(&proteins))?.names_in_order() {
            let next = u32::try_from(tokens.len()).ok().and_then(|n| offset.checked_add(n));
            let next = next.filter(|&token| (token as usize) < vocabulary.chromosome_offset);
            let next = next.ok_or_else(|| {
                refuse(format!(
                    "the genes of {species} do not fit the token table: `{symbol}` is beyond its last row"
                ))
            })?;
            tokens.entry(symbol.to_uppercase()).or_insert(next);
        }
        let places = places(checkpoint, vocabulary, species)?;
        let genes = tokens.len();
        let loci: BTreeMap<String, Locus> = tokens
            .into_iter()
            .filter_map(|(symbol, token)| {
                let &(chromosome, start) = places.get(&symbol)?;
                Some((symbol, Locus { token, chromosome, start }))
            })
            .collect();
        if loci.len() < genes {
            let missing = genes - loci.len();
            tracing::warn!(
                missing,
                genes,
                species,
                "genes with a protein but no place in species_chrom.csv are left out"
            );
        }
        Ok(Self { loci })
    }
}

/// Chromosome token and start of each gene of a species.
fn places(
    checkpoint: &Checkpoint,
    vocabulary: &Vocabulary,
    species: &str,
) -> Result<BTreeMap<String, (u32, i64)>, ModelError> {
    let file = &checkpoint.chromosomes;
    let columns = read_columns(file, &["species", "gene_symbol", "chromosome", "start"])?;
    let mut out = BTreeMap::new();
    for (row, of) in columns[0].iter().enumerate() {
        let (symbol, chromosome, start) = (&columns[1][row], &columns[2][row], &columns[3][row]);
        let Some(&chromosome) = vocabulary.chromosomes.get(&format!("{of}_{chromosome}")) else { continue };
        if of != species {
            continue;
        }
        let start = position(start).ok_or_else(|| ModelError::Config {
            path: file.clone(),
            reason: format!("line {}: the start `{start}` of {symbol} is no whole number", row + 2),
        })?;
        out.entry(symbol.to_uppercase()).or_insert((chromosome, start));
    }
    Ok(out)
}

/// A whole number; pandas writes `123.0` when a column has gaps.
fn position(text: &str) -> Option<i64> {
    let text = text.trim();
    text.strip_suffix(".0").unwrap_or(text).parse().ok()
}
