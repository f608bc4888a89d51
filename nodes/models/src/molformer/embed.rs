//! Vectors of drugs from a MoLFormer.

use celldag_shaders::{Device, Tensor};

use super::checkpoint::Checkpoint;
use super::model::Model;
use super::names::plain;
use crate::adapter::Adapters;
use crate::blocks::depth;
use crate::drug::{DrugPooling, DrugReadout};
use crate::encoder::{Batch, CellEncoder, EncoderInfo};
use crate::error::ModelError;
use crate::option::{Options, written_out};
use crate::params::Params;
use crate::tokens::CellTokens;

/// Parts of published files that embeddings do not need: the head of masked language modelling in both namings, classifiers
/// of fine-tuned models, and the frequencies of the rotary positions, which are not learned.
const IGNORED: [&str; 4] = ["lm_head.", "lang_model.", "classifier.", "*.inv_freq"];

/// A MoLFormer on a device.
pub struct Encoder {
    model: Model,
    info: EncoderInfo,
    readout: DrugReadout,
}

impl Encoder {
    /// Loads weights, with low-rank adapters over the linear layers.
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
        let config = &checkpoint.config;
        // `pooler_output` of the published code, and the mean of the original fine-tuning.
        let readout = DrugReadout::chosen(options, DrugPooling::Mean)?;
        depth(readout.layer, config.layers)?;
        let adapters = adapters.renamed(plain)?;
        let (model, parameters) = options.load(&checkpoint.weights()?, &IGNORED, |weights| {
            let params = Params::new(weights, device).adapted(&adapters);
            let model = Model::load(&params, config)?;
            Ok::<_, ModelError>((model, params.taken()))
        })?;
        adapters.finish()?;
        let info = EncoderInfo {
            variant: checkpoint.variant.to_owned(),
            vocabulary: checkpoint.vocabulary.digest.clone(),
            vocabulary_size: config.vocabulary,
            context: config.context,
            layers: config.layers,
            dim: config.hidden,
            parameters,
            widest: config.hidden.max(config.intermediate).max(config.heads * config.features),
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
