//! Vectors of cells from a CellPLM, which depend on the cells of their neighbourhood.

use celldag_shaders::ops::Csr;
use celldag_shaders::{Device, Segments, Tensor};
use serde::{Deserialize, Serialize};

use super::VERSION;
use super::checkpoint::Checkpoint;
use super::latent::LatentLayer;
use super::model::Flowformer;
use crate::blocks::depth;
use crate::encoder::{Batch, CellEncoder, EncoderInfo, Neighbourhood};
use crate::error::ModelError;
use crate::model::LoadEncoder;
use crate::option::{ModelOption, OptionDefault, OptionType, written_out};
use crate::params::Params;
use crate::vocabulary::digest;

/// Parts of published files that embeddings do not need: the decoder of pretraining; tables of positions and a normalisation
/// that the published configurations switch off; variances, and the prior of the clusters.
const IGNORED: [&str; 7] = [
    "decoder.",
    "embedder.norm0.",
    "embedder.pe_enc.",
    "latent.layers.1.hid_2sigma.",
    "latent.layers.1.inference.inference_qzyx.2.var.",
    "latent.layers.1.inference.y_mu.",
    "latent.layers.1.inference.y_var.",
];

pub(super) const OPTIONS: &[ModelOption] = &[
    ModelOption {
        name: "neighbourhood",
        ty: OptionType::Text,
        default: OptionDefault::Value("all"),
        about: "which cells see each other: all, cell (each alone), or obs:COLUMN (cells with the same value)",
    },
    ModelOption {
        name: "latent",
        ty: OptionType::Choice(&["argmax", "expectation", "none"]),
        default: OptionDefault::Value("argmax"),
        about: "mean of the most likely cluster, mean over all clusters, or the state in front of the latent layer",
    },
    ModelOption {
        name: "layer",
        ty: OptionType::Int(-99, -1),
        default: OptionDefault::Value("-1"),
        about: "-1: output of the last layer, -2: of the one before, and so on; the latent layer was trained on the last",
    },
    VERSION,
];

/// What is read behind the encoder.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Latent {
    /// The mean of the most likely cluster.
    Argmax,
    /// The mean over all clusters.
    Expectation,
    /// The normalised state in front of the latent layer.
    None,
}

/// What is read, and how.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize, Serialize)]
#[serde(default)]
pub struct Readout {
    /// `all`, `cell` or `obs:COLUMN`.
    pub neighbourhood: String,
    /// What is read behind the encoder.
    pub latent: Latent,
    /// -1 is the output of the last layer.
    pub layer: i32,
    /// Which version of a folder; empty: the only one.
    pub version: String,
}

impl Default for Readout {
    fn default() -> Self {
        Self { neighbourhood: "all".to_owned(), latent: Latent::Argmax, layer: -1, version: String::new() }
    }
}

impl Readout {
    fn neighbourhood(&self) -> Result<Neighbourhood, ModelError> {
        match self.neighbourhood.as_str() {
            "all" => Ok(Neighbourhood::All),
            "cell" => Ok(Neighbourhood::Cell),
            other => match other.strip_prefix("obs:").filter(|column| !column.is_empty()) {
                Some(column) => Ok(Neighbourhood::Column(column.to_owned())),
                None => Err(ModelError::Option(format!(
                    "neighbourhood = `{other}` is none of all, cell and obs:COLUMN"
                ))),
            },
        }
    }
}

/// A CellPLM on a device.
#[derive(Debug)]
pub struct Encoder {
    model: Flowformer,
    latent: LatentLayer,
    device: Device,
    readout: Readout,
    info: EncoderInfo,
}

impl Encoder {
    /// Loads weights.
    ///
    /// # Errors
    /// When a tensor is missing, misshapen or left over, which is what a configuration of another version leads to; an
    /// option cannot be used; an adapter belongs to no layer; or the device fails.
    pub fn load(load: LoadEncoder<'_>) -> Result<Self, ModelError> {
        let mut readout: Readout = load.options.read()?;
        let neighbourhood = readout.neighbourhood()?;
        let found = Checkpoint::find(load.checkpoint, &readout.version)?;
        readout.version.clone_from(&found.version);
        let config = &found.config;
        depth(readout.layer, config.enc_layers)?;
        let weights = found.open()?;
        let params = Params::new(&weights, load.device).adapted(load.adapters);
        let (model, latent) = load.options.load(&weights, &IGNORED, |_| {
            Ok((Flowformer::load(&params, config)?, LatentLayer::load(&params, config)?))
        })?;
        load.adapters.finish()?;
        let dim = if readout.latent == Latent::None { config.enc_hid } else { config.post_latent_dim };
        let info = EncoderInfo {
            variant: found.version.clone(),
            vocabulary: digest(&config.genes()),
            vocabulary_size: config.gene_list.len(),
            context: config.gene_list.len(),
            layers: config.enc_layers,
            dim,
            parameters: params.taken(),
            widest: 2 * config.enc_hid,
            neighbourhood,
            options: written_out(&readout),
        };
        Ok(Self { model, latent, device: load.device.clone(), readout, info })
    }

    /// What is read.
    #[must_use]
    pub fn readout(&self) -> &Readout {
        &self.readout
    }

    /// States of cells by the steps of the model, `[cells, hidden]` each: the sums of genes, the states in front of the first
    /// layer, behind each layer, and normalised.
    ///
    /// # Errors
    /// As [`CellEncoder::embed`].
    pub fn steps(&self, batch: Batch<'_>) -> Result<Vec<Tensor>, ModelError> {
        let (sums, neighbourhoods) = self.sums(batch)?;
        let mut steps = vec![self.model.embedded(&sums)?];
        for layers in 1..=self.info.layers {
            steps.push(self.model.states(&steps[0], &neighbourhoods, layers)?);
        }
        steps.push(self.model.normalized(&steps[self.info.layers])?);
        steps.insert(0, sums);
        Ok(steps)
    }

    /// As [`CellEncoder::pooled`] with clusters drawn as the original draws them, from these uniform numbers
    /// `[cells, clusters]`, row-major: to repeat a run of which they are known.
    ///
    /// # Errors
    /// As [`CellEncoder::pooled`].
    pub fn drawn(&self, batch: Batch<'_>, uniforms: &[f32]) -> Result<Tensor, ModelError> {
        Ok(self.latent.chosen(&self.normalized(batch)?, Some(uniforms))?)
    }

    fn sums(&self, batch: Batch<'_>) -> Result<(Tensor, Segments), ModelError> {
        let refuse = |message: String| Err(ModelError::Tokens(message));
        let mut offsets = vec![0];
        let (mut genes, mut values) = (Vec::new(), Vec::new());
        for cell in batch.cells {
            if cell.values.len() != cell.ids.len() {
                return refuse("genes have no expression".to_owned());
            }
            genes.extend_from_slice(&cell.ids);
            values.extend_from_slice(&cell.values);
            offsets.push(genes.len());
        }
        let size = self.info.vocabulary_size;
        if let Some(unknown) = genes.iter().find(|&&gene| gene as usize >= size) {
            return refuse(format!("the token {unknown} is beyond the vocabulary of {size}"));
        }
        let cells: usize = batch.neighbourhoods.iter().sum();
        if cells != batch.cells.len() {
            return refuse(format!(
                "the neighbourhoods have {cells} cells, the batch has {}",
                batch.cells.len()
            ));
        }
        let matrix = Csr::new(&self.device, &offsets, &genes, size)?;
        let values = self.device.upload(&[values.len()], &values)?;
        let neighbourhoods = Segments::new(&self.device, batch.neighbourhoods)?;
        Ok((self.model.gene_sums(&values, &matrix)?, neighbourhoods))
    }

    fn normalized(&self, batch: Batch<'_>) -> Result<Tensor, ModelError> {
        let (sums, neighbourhoods) = self.sums(batch)?;
        let layers = depth(self.readout.layer, self.info.layers)?;
        let states = self.model.states(&self.model.embedded(&sums)?, &neighbourhoods, layers)?;
        Ok(self.model.normalized(&states)?)
    }
}

impl CellEncoder for Encoder {
    fn info(&self) -> &EncoderInfo {
        &self.info
    }

    fn pooled(&self, batch: Batch<'_>) -> Result<Tensor, ModelError> {
        let states = self.normalized(batch)?;
        Ok(match self.readout.latent {
            Latent::Argmax => self.latent.chosen(&states, None)?,
            Latent::Expectation => self.latent.expected(&states)?,
            Latent::None => states,
        })
    }
}
