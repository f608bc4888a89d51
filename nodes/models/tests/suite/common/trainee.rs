//! Every model with a few cells or drugs, as something whose weights are trained.

use std::path::PathBuf;

use celldag_data::checkpoint::Weights;
use celldag_models::drug::drug_model;
use celldag_models::{Adapters, Batch, CellEncoder, CellTokens, LoadEncoder, ModelError};
use celldag_shaders::Device;
use serde_json::json;

use super::drugs::Drugs;
use super::options;
use super::specimen::Specimen;

type Encode = dyn Fn(&Device, &Adapters) -> Result<Box<dyn CellEncoder>, ModelError>;

/// A model of cells or drugs.
pub(crate) struct Trainee {
    /// What messages call it.
    pub(crate) name: String,
    folder: PathBuf,
    encode: Box<Encode>,
    cells: Vec<CellTokens>,
    neighbourhoods: Vec<usize>,
}

impl Trainee {
    /// The model with what is laid over it.
    pub(crate) fn encoder(
        &self,
        device: &Device,
        adapters: &Adapters,
    ) -> Result<Box<dyn CellEncoder>, ModelError> {
        (self.encode)(device, adapters)
    }

    /// What it reads.
    pub(crate) fn batch(&self) -> Batch<'_> {
        Batch { cells: &self.cells, neighbourhoods: &self.neighbourhoods }
    }

    /// Its vectors of the batch.
    pub(crate) fn vectors(&self, encoder: &dyn CellEncoder) -> Vec<f32> {
        encoder.embed(self.batch()).unwrap()
    }

    /// Whether its checkpoint has 16-bit weights.
    pub(crate) fn is_half(&self) -> bool {
        self.name.contains("llama")
    }

    /// Values of a tensor that count among the weights of the model; the table of UCE does not, of which only rows are read.
    pub(crate) fn counted_size(&self, tensor: &str) -> usize {
        if tensor == "pe_embedding.weight" {
            return 0;
        }
        let mut folders = vec![self.folder.clone()];
        while let Some(folder) = folders.pop() {
            for entry in fs_err::read_dir(&folder).unwrap() {
                let path = entry.unwrap().path();
                if path.is_dir() {
                    folders.push(path);
                } else if let Ok(weights) = Weights::open(&[&path]) {
                    // Files name what other tools wrapped around it.
                    let found = weights.names().find(|name| name.ends_with(tensor));
                    if let Some(shape) = found.and_then(|name| weights.shape(name)) {
                        return shape.iter().product();
                    }
                }
            }
        }
        panic!("{}: no file has the tensor {tensor}", self.name)
    }
}

/// All models whose fixtures are there.
pub(crate) fn trainees() -> Vec<Trainee> {
    let mut all: Vec<Trainee> = Specimen::all().into_iter().map(of_cells).collect();
    // The decoder behind the encoder of scFoundation.
    let decoder = Specimen::all().into_iter().filter(|specimen| specimen.model.name() == "scfoundation");
    all.extend(decoder.map(|specimen| of_cells(specimen.read_as(json!({"output": "expression"})))));
    all.extend(Drugs::all().into_iter().flatten().map(|drugs| of_drugs(&drugs)));
    all
}

fn of_cells(specimen: Specimen) -> Trainee {
    let tokenizer = specimen.tokenizer().unwrap();
    let mut cells = specimen.tokens(tokenizer.as_ref());
    if specimen.model.name() == "scfoundation" {
        // The numbers that stand for a masked gene and for padding have vectors of their own.
        cells[0].values[0] = 102.0;
        cells[1].values[0] = 103.0;
    }
    let (name, folder) = (specimen.name(), specimen.folder.clone());
    let neighbourhoods = vec![cells.len()];
    let encode = move |device: &Device, adapters: &Adapters| specimen.encoder(device, adapters);
    Trainee { name, folder, encode: Box::new(encode), cells, neighbourhoods }
}

fn of_drugs(drugs: &Drugs) -> Trainee {
    let (model, folder) = (drug_model(drugs.model).unwrap(), drugs.checkpoint());
    let cells = drugs.ids()[..3].to_vec();
    let name = format!("{} ({})", drugs.model, folder.display());
    let checkpoint = folder.clone();
    let encode = move |device: &Device, adapters: &Adapters| {
        let options = options(json!({}));
        model.encoder(LoadEncoder { checkpoint: &checkpoint, device, options: &options, adapters })
    };
    Trainee { name, folder, encode: Box::new(encode), cells, neighbourhoods: vec![1; 3] }
}
