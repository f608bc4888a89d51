//! Cells to tokens as the authors' `scgpt.tasks.embed_data` makes them: `<cls>`, then the expressed genes of the vocabulary
//! in the order of the columns, each with the bin of its count.
//!
//! Counts are read as they are; only their order within the cell matters. Where the original draws from one generator that
//! all cells share, so that results change with the batch size, here every cell has draws of its own, keyed by the seed and
//! the cell's name.

use celldag_data::GeneIds;
use rand::{Rng, SeedableRng};
use rand_chacha::ChaCha8Rng;
use serde::{Deserialize, Serialize};

use super::binning::{Binning, bins};
use super::checkpoint::Checkpoint;
use crate::error::ModelError;
use crate::gene_aliases::{GENE_ALIASES, GeneAliases};
use crate::matching::{GIVE_SYMBOLS, Matched, Repeats, Symbols};
use crate::option::{ModelOption, OptionDefault, OptionType, Options, written_out};
use crate::tokens::{CellCounts, CellTokenizer, CellTokens, Coverage, TokenizerInfo, UnusableCount};

pub(super) const OPTIONS: &[ModelOption] = &[
    ModelOption {
        name: "binning",
        ty: OptionType::Choice(&["left", "random"]),
        default: OptionDefault::Value("left"),
        about: "bin of a count that equals several edges: left, the highest, the same in every run; random, any of them, as \
                the authors draw it",
    },
    GENE_ALIASES,
    ModelOption {
        name: "max_length",
        ty: OptionType::Int(2, 1 << 20),
        default: OptionDefault::Decided("max_seq_len of args.json (1200)"),
        about: "most tokens of a cell, the special ones included",
    },
    ModelOption {
        name: "sampling",
        ty: OptionType::Choice(&["random", "first"]),
        default: OptionDefault::Value("random"),
        about: "genes that stay when a cell has more than max_length: a random choice, or the first columns (these are binned \
                without the others, as scDrugMap does it)",
    },
    ModelOption {
        name: "seed",
        ty: OptionType::Int(0, i64::MAX),
        default: OptionDefault::Value("0"),
        about: "of random bins and random choices, together with the cell's name",
    },
];

/// Which genes of a cell stay that has too many.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Sampling {
    /// A random choice among all, binned with all.
    #[default]
    Random,
    /// Those of the first columns, binned by themselves.
    First,
}

/// How cells become tokens.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
pub struct Settings {
    /// Bins of counts that equal several edges.
    pub binning: Binning,
    /// Whether genes are looked up by other names.
    pub gene_aliases: GeneAliases,
    /// Most tokens of a cell, `<cls>` included.
    pub max_length: usize,
    /// Which genes stay.
    pub sampling: Sampling,
    /// Of all draws.
    pub seed: u64,
}

#[derive(Deserialize, Default)]
#[serde(default)]
struct Chosen {
    binning: Binning,
    gene_aliases: GeneAliases,
    max_length: Option<usize>,
    sampling: Sampling,
    seed: u64,
}

/// Tokenizes cells of one matrix.
#[derive(Clone, Debug)]
pub struct Tokenizer {
    info: TokenizerInfo,
    coverage: Coverage,
    settings: Settings,
    /// Token of each column.
    ids: Vec<Option<u32>>,
    cls: u32,
    cls_value: f32,
    n_bins: usize,
}

impl Tokenizer {
    /// A tokenizer for a matrix whose columns are called `genes`. Symbols are case-sensitive; columns of one symbol are
    /// tokens each, as in the original.
    ///
    /// # Errors
    /// When no gene is known or an option cannot be used.
    pub fn new(checkpoint: &Checkpoint, genes: &GeneIds, options: &Options) -> Result<Self, ModelError> {
        let Checkpoint { config, vocabulary, .. } = checkpoint;
        let chosen: Chosen = options.read()?;
        let settings = Settings {
            binning: chosen.binning,
            gene_aliases: chosen.gene_aliases,
            max_length: chosen.max_length.unwrap_or(config.max_seq_len),
            sampling: chosen.sampling,
            seed: chosen.seed,
        };
        if settings.max_length < 2 {
            return Err(ModelError::Option(format!(
                "max_length {} leaves no room for a gene beside <cls>",
                settings.max_length
            )));
        }
        let symbols = Symbols {
            model: "scGPT",
            genes: vocabulary.genes.len(),
            examples: vocabulary.genes.keys().take(3).cloned().collect::<Vec<_>>().join(", "),
            help: GIVE_SYMBOLS,
            find: &|symbol| vocabulary.genes.get(symbol).copied(),
            aliases: Some(settings.gene_aliases),
        };
        let Matched { ids, coverage } = Matched::by_symbol(genes, Repeats::Keep, &symbols)?;
        Ok(Self {
            coverage,
            settings,
            ids,
            cls: vocabulary.cls,
            cls_value: config.pad_value,
            n_bins: config.n_bins,
            info: TokenizerInfo {
                variant: config.variant(),
                vocabulary: vocabulary.digest.clone(),
                vocabulary_size: vocabulary.size,
                context: settings.max_length,
                has_values: true,
                options: written_out(&settings),
            },
        })
    }

    /// Draws for one purpose and cell.
    fn draws(&self, purpose: &str, cell: &str) -> ChaCha8Rng {
        let mut hash = blake3::Hasher::new_derive_key("celldag scgpt 1");
        hash.update(&self.settings.seed.to_le_bytes());
        hash.update(&(purpose.len() as u64).to_le_bytes());
        hash.update(purpose.as_bytes());
        hash.update(cell.as_bytes());
        ChaCha8Rng::from_seed(*hash.finalize().as_bytes())
    }

    /// `count` of `total` places, each choice equally probable, ascending: the model knows no order, so the order of the
    /// columns may stay.
    fn choice(&self, total: usize, count: usize, cell: &str) -> Vec<usize> {
        let mut draws = self.draws("genes", cell);
        let mut keyed: Vec<(u64, usize)> = (0..total).map(|place| (draws.next_u64(), place)).collect();
        keyed.select_nth_unstable(count);
        let mut chosen: Vec<usize> = keyed[..count].iter().map(|&(_, place)| place).collect();
        chosen.sort_unstable();
        chosen
    }
}

impl CellTokenizer for Tokenizer {
    fn info(&self) -> &TokenizerInfo {
        &self.info
    }

    fn coverage(&self) -> &Coverage {
        &self.coverage
    }

    fn tokenize(&self, cell: &CellCounts<'_>) -> Result<CellTokens, UnusableCount> {
        let expressed = cell.expressed()?;
        let known = expressed.iter().filter_map(|&(column, count)| Some(((*self.ids.get(column)?)?, count)));
        let (mut genes, mut counts): (Vec<u32>, Vec<f32>) = known.unzip();
        if genes.is_empty() {
            return Ok(CellTokens::default());
        }
        let room = self.settings.max_length - 1;
        if self.settings.sampling == Sampling::First {
            genes.truncate(room);
            counts.truncate(room);
        }
        let mut draws = self.draws("bins", cell.name);
        let mut values = bins(&counts, self.n_bins, self.settings.binning, &mut draws);
        if genes.len() > room {
            let chosen = self.choice(genes.len(), room, cell.name);
            genes = chosen.iter().map(|&place| genes[place]).collect();
            values = chosen.iter().map(|&place| values[place]).collect();
        }
        genes.insert(0, self.cls);
        values.insert(0, self.cls_value);
        Ok(CellTokens { ids: genes, values })
    }
}
