//! What a checkpoint is: each model looks at it, and those that find their files put themselves together without reading a
//! weight.

use std::path::{Path, PathBuf};

use celldag_data::checkpoint::hollow;
use celldag_shaders::Device;

use crate::adapter::Adapters;
use crate::drug::drug_models;
use crate::encoder::{CellEncoder, EncoderInfo};
use crate::error::ModelError;
use crate::model::{LoadEncoder, Purpose, cell_models};
use crate::option::Options;

/// A checkpoint as one model sees it.
#[derive(Debug)]
pub struct Sighting {
    /// The model.
    pub model: &'static str,
    /// What its vocabulary consists of.
    pub vocabulary: &'static str,
    /// What its authors allow.
    pub licence: &'static str,
    /// What is there.
    pub found: Found,
}

/// What a model found.
#[derive(Debug)]
pub enum Found {
    /// Everything that embeddings need.
    Complete {
        /// The files that are read, for tokens and for vectors.
        files: Vec<PathBuf>,
        /// What it is.
        info: Box<EncoderInfo>,
        /// Device memory of the weights, in bytes.
        memory: u64,
    },
    /// Its files, but they do not make a model: tensors are missing or left over, a vocabulary does not fit.
    Broken {
        /// The files that are read.
        files: Vec<PathBuf>,
        /// What is wrong.
        problem: ModelError,
    },
    /// Another model's checkpoint, or none.
    Absent {
        /// What is missing.
        problem: ModelError,
    },
}

/// Shows a checkpoint to every model of cells and of drugs. Weights are not read, so it takes little time and memory.
///
/// # Errors
/// When the CPU backend cannot be opened.
pub fn inspect(checkpoint: &Path) -> Result<Vec<Sighting>, ModelError> {
    let device = Device::cpu(1).map_err(celldag_shaders::Error::from)?;
    let (options, adapters) = (Options::default(), Adapters::default());
    let load = LoadEncoder { checkpoint, device: &device, options: &options, adapters: &adapters };
    let cells = cell_models().iter().map(|model| Sighting {
        model: model.name(),
        vocabulary: model.vocabulary(),
        licence: model.licence(),
        found: look(&device, model.files(checkpoint, Purpose::Embed, &options), |files| {
            files.extend(model.files(checkpoint, Purpose::Tokenize, &options)?);
            files.sort();
            files.dedup();
            model.encoder(load)
        }),
    });
    let drugs = drug_models().iter().map(|model| Sighting {
        model: model.name(),
        vocabulary: "SMILES",
        licence: model.licence(),
        found: look(&device, model.files(checkpoint), |_| model.encoder(load)),
    });
    Ok(cells.chain(drugs).collect())
}

fn look(
    device: &Device,
    files: Result<Vec<PathBuf>, ModelError>,
    encoder: impl FnOnce(&mut Vec<PathBuf>) -> Result<Box<dyn CellEncoder>, ModelError>,
) -> Found {
    let mut files = match files {
        Ok(files) => files,
        Err(problem) => return Found::Absent { problem },
    };
    let mut info = None;
    let memory = device.rehearse(|| {
        let encoder = hollow(|| encoder(&mut files))?;
        info = Some(Box::new(encoder.info().clone()));
        Ok::<(), ModelError>(())
    });
    match (memory, info) {
        (Ok(memory), Some(info)) => Found::Complete { files, info, memory },
        (Ok(_), None) => Found::Absent { problem: ModelError::Tokens("the model was not loaded".to_owned()) },
        (Err(problem), _) => Found::Broken { files, problem },
    }
}
