//! Vectors of drugs from a ChemBERTa.

use celldag_data::checkpoint::Weights;
use celldag_shaders::{Device, Tensor};

use super::checkpoint::Checkpoint;
use super::model::Model;
use crate::adapter::Adapters;
use crate::blocks::depth;
use crate::drug::{DrugPooling, DrugReadout};
use crate::encoder::{Batch, CellEncoder, EncoderInfo};
use crate::error::ModelError;
use crate::option::{Options, written_out};
use crate::params::Params;
use crate::published::Published;
use crate::tokens::CellTokens;

/// What names begin with in a file of one with a head.
const ROBERTA: &str = "roberta";
/// Parts of published files that embeddings do not need: the head of masked language modelling, that of regression with the
/// means and deviations of its targets (`-MTR`), classifiers of fine-tuned models, a pooler, and a buffer of 0, 1, 2, ...
/// that old versions of transformers wrote.
const UNREAD: [&str; 7] =
    ["lm_head.", "regression.", "classifier.", "norm_mean", "norm_std", "pooler.", "embeddings.position_ids"];

/// A ChemBERTa on a device.
pub struct Encoder {
    model: Model,
    info: EncoderInfo,
    readout: DrugReadout,
}

impl Encoder {
    /// Loads weights, with low-rank adapters over the linear layers. Tensors are called `roberta.*`, or the same without the
    /// prefix.
    ///
    /// # Errors
    /// When a tensor is missing, misshapen, or left over, an adapter does not fit, an option cannot be used, or the device
    /// fails.
    pub fn load(
        checkpoint: &Checkpoint,
        device: &Device,
        options: &Options,
        adapters: &Adapters,
    ) -> Result<Self, ModelError> {
        let config = &checkpoint.config.bert;
        // The authors define no vector of a molecule. `pooler_output` of the published tools is random: the pooler was not
        // trained and is not in the files. The first token is what most publications use.
        let readout = DrugReadout::chosen(options, DrugPooling::Cls)?;
        depth(readout.layer, config.num_hidden_layers)?;
        let published = Published::new(Weights::open(&[&checkpoint.weights_file])?, adapters, ROBERTA)?;
        let load = |params: &Params<'_>| Model::load(params, &checkpoint.config);
        let (model, parameters) = published.load(device, options, &UNREAD, load)?;
        let info = EncoderInfo {
            variant: config.variant(),
            vocabulary: checkpoint.vocabulary.digest.clone(),
            vocabulary_size: config.vocab_size,
            context: checkpoint.context,
            layers: config.num_hidden_layers,
            dim: config.hidden_size,
            parameters,
            widest: config.widest(),
            options: written_out(&readout),
            ..EncoderInfo::default()
        };
        Ok(Self { model, info, readout })
    }

    /// Token states of one drug at a layer, `[tokens, dim]`, row-major.
    ///
    /// # Errors
    /// When the layer does not exist; as [`CellEncoder::embed`].
    pub fn hidden(&self, drug: &CellTokens, layer: i32) -> Result<Vec<f32>, ModelError> {
        let (states, _) = self.model.states(std::slice::from_ref(drug), depth(layer, self.info.layers)?)?;
        Ok(states.read()?)
    }
}

impl CellEncoder for Encoder {
    fn info(&self) -> &EncoderInfo {
        &self.info
    }

    fn pooled(&self, batch: Batch<'_>) -> Result<Tensor, ModelError> {
        let DrugReadout { layer, pooling } = self.readout;
        let (states, drugs) = self.model.states(batch.cells, depth(layer, self.info.layers)?)?;
        pooling.of(&states, &drugs)
    }
}
