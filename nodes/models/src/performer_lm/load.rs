//! Loads the network of a scBERT or CellLM, and checks that the list of genes and the levels are its own.

use super::encoder::PerformerEncoder;
use super::folder::Folder;
use super::gene_list::GeneList;
use super::key_maximum::KeyMaximum;
use crate::blocks::depth;
use crate::encoder::EncoderInfo;
use crate::error::ModelError;
use crate::model::LoadEncoder;
use crate::params::Params;

/// Parts of published checkpoints that embeddings do not need: heads of masked genes, of pretraining and of cell types, and
/// the count of forward passes since random features were drawn, which only training looks at.
const UNREAD: [&str; 2] = ["to_out.", "performer.calls_since_last_redraw"];

/// By what the two models differ here.
pub(crate) struct Tables {
    /// As messages write the model.
    pub(crate) model: &'static str,
    /// Rows of the table of levels.
    pub(crate) levels: usize,
    /// Rows of the table of genes behind those of genes.
    pub(crate) behind_genes: usize,
}

/// Loads the network; `layer` is checked. Size of the vocabulary and options are the caller's to say.
///
/// # Errors
/// When a tensor is missing, misshapen, or left over, the gene list does not fit them, the layer does not exist, an adapter
/// cannot be used, or the device fails.
pub(crate) fn load(
    load: LoadEncoder<'_>,
    tables: &Tables,
    layer: i32,
    key_maximum: KeyMaximum,
) -> Result<(PerformerEncoder, EncoderInfo), ModelError> {
    let folder = Folder::open(load.checkpoint, tables.model)?;
    let list = GeneList::read(&folder.gene_list()?)?;
    let (model, parameters) = load.options.load(&folder.weights()?, &UNREAD, |weights| {
        let params = Params::new(weights, load.device).adapted(load.adapters);
        Ok::<_, ModelError>((PerformerEncoder::load(&params)?, params.taken()))
    })?;
    load.adapters.finish()?;
    list.expect_len(model.genes().saturating_sub(tables.behind_genes))?;
    if model.levels() != tables.levels {
        return Err(ModelError::Config {
            path: folder.weights_file()?,
            reason: format!(
                "these are weights for {} levels; {} has {}",
                model.levels(),
                tables.model,
                tables.levels
            ),
        });
    }
    depth(layer, model.depth())?;
    let info = EncoderInfo {
        variant: folder.variant(list.genes.len())?,
        vocabulary: list.digest,
        // All genes and what is behind them: any cell fits.
        context: model.genes(),
        layers: model.depth(),
        dim: model.shape().hidden,
        parameters,
        widest: model.shape().widest(),
        neighbourhood: key_maximum.neighbourhood(),
        ..EncoderInfo::default()
    };
    Ok((model, info))
}
