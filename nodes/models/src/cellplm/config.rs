//! `<version>.config.json`: the arguments of the model's class. The original ignores what it does not know and loads only
//! tensors that fit, so a wrong configuration gives a model that is partly random; here it is an error.

use std::collections::BTreeMap;
use std::path::Path;

use celldag_data::vocabulary::read_json;
use serde::Deserialize;

use crate::error::ModelError;
use crate::sizes::{Size, check, head_width};

/// Attention heads: the default of the class, which no configuration changes.
const HEADS: usize = 8;
/// Groups of the normalisation of cells.
pub(super) const GROUPS: usize = 4;

/// What stands behind the encoder.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum LatentKind {
    /// A Gaussian for each of several clusters.
    Gmvae,
    /// One Gaussian.
    Vae,
}

/// Sizes and genes of a CellPLM.
#[derive(Clone, Debug, PartialEq, Deserialize)]
pub struct Config {
    /// Width of the cell states.
    pub enc_hid: usize,
    /// Layers.
    pub enc_layers: usize,
    /// What stands behind the encoder.
    pub latent_mod: LatentKind,
    /// Length of an embedding.
    pub post_latent_dim: usize,
    /// Clusters of the mixture.
    #[serde(default = "sixteen")]
    pub num_clusters: usize,
    /// Ensembl ids, in the order of the rows of the gene table.
    pub gene_list: Vec<String>,
    enc_mod: String,
    #[serde(default = "groupnorm")]
    norm: String,
    /// Parts that no published version has.
    #[serde(default)]
    cat_pe: bool,
    #[serde(default)]
    dsbn: bool,
}

fn sixteen() -> usize {
    16
}

fn groupnorm() -> String {
    "groupnorm".to_owned()
}

impl Config {
    /// Reads and checks a configuration.
    ///
    /// # Errors
    /// When the file cannot be read or describes something other than the published models.
    pub fn read(path: &Path) -> Result<Self, ModelError> {
        let config: Self = read_json(path)?;
        config.check().map_err(|reason| ModelError::Config { path: path.to_path_buf(), reason })?;
        Ok(config)
    }

    fn check(&self) -> Result<(), String> {
        if self.enc_mod != "flowformer" {
            return Err(format!(
                "the encoder is `{}`; all published versions have a `flowformer`",
                self.enc_mod
            ));
        }
        if self.norm != "groupnorm" {
            return Err(format!(
                "the normalisation is `{}`; all published versions have `groupnorm`",
                self.norm
            ));
        }
        if self.cat_pe || self.dsbn {
            return Err("`cat_pe` and `dsbn` are false in all published versions".to_owned());
        }
        check(&[
            ("enc_hid", self.enc_hid, Size::Width),
            ("enc_layers", self.enc_layers, Size::Layers),
            ("post_latent_dim", self.post_latent_dim, Size::Width),
            ("num_clusters", self.num_clusters, Size::Width),
            ("gene_list", self.gene_list.len(), Size::Rows),
        ])?;
        head_width(self.enc_hid, HEADS).map(drop)
    }

    /// Attention heads.
    #[must_use]
    pub fn heads(&self) -> usize {
        HEADS
    }

    /// Row of the gene table of each gene.
    #[must_use]
    pub fn genes(&self) -> BTreeMap<String, u32> {
        let mut out = BTreeMap::new();
        for (gene, row) in self.gene_list.iter().zip(0_u32..) {
            out.entry(gene.clone()).or_insert(row);
        }
        out
    }
}
