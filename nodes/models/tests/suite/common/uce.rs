//! The fixture of UCE: its sentences, and its encoder.

use std::path::Path;

use celldag_models::uce::{Checkpoint, Encoder};
use celldag_models::{Adapters, CellTokens, ModelError};
use celldag_shaders::Device;
use serde_json::{Value, json};

use super::{Golden, options};

/// The sentences of the fixture.
pub(crate) fn golden_tokens(golden: &Golden) -> Vec<CellTokens> {
    let lengths = golden.i32s("tok.lengths");
    let ids: Vec<u32> = golden.i32s("tok.ids").iter().map(|&id| u32::try_from(id).unwrap()).collect();
    let rows = ids.chunks_exact(ids.len() / lengths.len());
    rows.zip(lengths).map(|(row, length)| row[..usize::try_from(length).unwrap()].to_vec().into()).collect()
}

pub(crate) fn encoder(
    folder: &Path,
    device: &Device,
    values: &Value,
    adapters: &Adapters,
) -> Result<Encoder, ModelError> {
    Encoder::load(&Checkpoint::find(folder)?, device, &options(values.clone()), adapters)
}

pub(crate) fn plain(golden: &Golden, device: &Device) -> Encoder {
    encoder(&golden.checkpoint(), device, &json!({}), &Adapters::default()).unwrap()
}
