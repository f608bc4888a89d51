//! What a user may choose about the sentences of cells.

use serde::{Deserialize, Serialize};

use crate::gene_aliases::{GENE_ALIASES, GeneAliases};
use crate::option::{ModelOption, OptionDefault, OptionType};

pub(super) const CHROM_TOKEN_OFFSET: ModelOption = ModelOption {
    name: "chrom_token_offset",
    ty: OptionType::Int(4, 1 << 31),
    default: OptionDefault::Decided("rows of all_tokens.torch"),
    about: "token of the first chromosome; needed where species were added, as by the authors' script",
};

pub(super) const VERSION: ModelOption = ModelOption {
    name: "version",
    ty: OptionType::Text,
    default: OptionDefault::Decided("4layer_model, or the only one"),
    about: "name of the weights without ending, where a folder holds several: 4layer_model, 33l_8ep_1024t_1280",
};

pub(super) const SPECIES: ModelOption = ModelOption {
    name: "species",
    ty: OptionType::Text,
    default: OptionDefault::Value("human"),
    about: "whose genes: human, mouse, frog, zebrafish, mouse_lemur, pig, macaca_fascicularis, macaca_mulatta or an added one",
};

pub(super) const OPTIONS: &[ModelOption] = &[
    SPECIES,
    ModelOption {
        name: "filter",
        ty: OptionType::Bool,
        default: OptionDefault::Value("true"),
        about: "as the authors: drops genes seen in fewer than 10 cells, then cells with fewer than 25 genes (rows of NaN)",
    },
    GENE_ALIASES,
    ModelOption {
        name: "rng",
        ty: OptionType::Choice(&["cell", "numpy"]),
        default: OptionDefault::Value("cell"),
        about: "cell: draws depend on seed and cell name; numpy: the authors' one stream over all cells in their order",
    },
    ModelOption {
        name: "seed",
        ty: OptionType::Int(0, i64::MAX),
        default: OptionDefault::Value("0"),
        about: "of the draws (the authors' script sets none); below 2^32 for numpy",
    },
    ModelOption {
        name: "sample_size",
        ty: OptionType::Int(1, 1 << 20),
        default: OptionDefault::Value("1024"),
        about: "genes drawn for a cell",
    },
    ModelOption {
        name: "pad_length",
        ty: OptionType::Int(4, 1 << 20),
        default: OptionDefault::Value("1536"),
        about: "longest sentence; cells with longer ones get none. Nothing is padded",
    },
    CHROM_TOKEN_OFFSET,
    VERSION,
];

/// Where random numbers come from.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Rng {
    /// A stream for each cell.
    Cell,
    /// One stream of numpy's legacy generator over all cells.
    Numpy,
}

/// How sentences are made.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize, Serialize)]
#[serde(default)]
pub struct Sampling {
    /// Whose genes.
    pub species: String,
    /// Whether rare genes and small cells are dropped.
    pub filter: bool,
    /// Whether genes are looked up by other names; there is a table of human genes only.
    pub gene_aliases: GeneAliases,
    /// Where random numbers come from.
    pub rng: Rng,
    /// Their seed.
    pub seed: u64,
    /// Genes drawn for a cell.
    pub sample_size: usize,
    /// Longest sentence.
    pub pad_length: usize,
    /// Token of the first chromosome, if it is not where `all_tokens.torch` ends.
    pub chrom_token_offset: Option<usize>,
    /// Which weights of a folder without `all_tokens.torch` say how many tokens there are.
    pub version: String,
}

impl Default for Sampling {
    fn default() -> Self {
        Self {
            species: "human".to_owned(),
            filter: true,
            gene_aliases: GeneAliases::None,
            rng: Rng::Cell,
            seed: 0,
            sample_size: 1024,
            pad_length: 1536,
            chrom_token_offset: None,
            version: String::new(),
        }
    }
}
