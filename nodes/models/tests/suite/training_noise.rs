//! Noise in front of adapters belongs to the cell and its tokens: in every model, and for every layer that can have an
//! adapter, it is the same whichever cells are computed together, and whatever is padded.

use std::collections::BTreeMap;

use crate::common::specimen::Specimen;
use crate::common::{assert_close, embed};
use celldag_models::{Adapters, Batch, CellEncoder, CellTokens, InputDropout, Lora, Noise, Slot};
use celldag_shaders::Device;
use serde_json::json;

const RANK: usize = 2;

/// A model with adapters over all its layers.
struct Noisy {
    encoder: Box<dyn CellEncoder>,
    layers: Vec<String>,
    dropout: InputDropout,
    tokens: Vec<CellTokens>,
}

impl Noisy {
    fn new(specimen: &Specimen) -> Self {
        let device = Device::cpu(2).unwrap();
        let seen = Adapters::default();
        specimen.encoder(&device, &seen).unwrap();
        let dropout = InputDropout::default();
        let lora = |(name, inputs, outputs): (String, usize, usize)| {
            let slot = |shape: [usize; 2]| {
                let values = (0..shape[0] * shape[1]).map(|i| ((i * 37 % 101) as f32 - 50.5) / 500.0);
                Slot::new(device.upload(&shape, &values.collect::<Vec<f32>>()).unwrap())
            };
            let lora = Lora::new(slot([RANK, inputs]), slot([outputs, RANK]), 1.0);
            (name.clone(), lora.with_dropout(dropout.of_layer(&name)))
        };
        let loras: BTreeMap<String, Lora> = seen.layers_seen().into_iter().map(lora).collect();
        let layers = loras.keys().cloned().collect();
        let encoder = specimen.encoder(&device, &Adapters::new(loras)).unwrap();
        let tokens = specimen.tokens(specimen.tokenizer().unwrap().as_ref());
        Self { encoder, layers, dropout, tokens }
    }

    /// Vectors of these cells, by their number, with noise.
    fn vectors(&self, numbers: &[usize]) -> Vec<f32> {
        let cells: Vec<CellTokens> = numbers.iter().map(|&number| self.tokens[number].clone()).collect();
        let rows = self.layers.iter().map(|layer| (layer.clone(), self.encoder.layer_rows(layer, &cells)));
        let keys = numbers.iter().map(|&number| u32::try_from(number).unwrap() + 7).collect();
        let noise = Noise { probability: 0.4, seed: 1, step: 2, cells: keys, rows: rows.collect() };
        self.dropout.set(Some(noise));
        // As training does it: `embed` may cut a batch.
        let alone = vec![1; cells.len()];
        let vectors = self.encoder.pooled(Batch { cells: &cells, neighbourhoods: &alone }).unwrap();
        self.dropout.set(None);
        vectors.read().unwrap()
    }

    /// Fails unless each cell's noise is its own.
    fn agrees(&self, what: &str) {
        let all: Vec<usize> = (0..self.tokens.len()).collect();
        let together = self.vectors(&all);
        let dim = self.encoder.info().dim;
        for (&cell, together) in all.iter().zip(together.chunks_exact(dim)) {
            assert_close(&self.vectors(&[cell]), together, 1e-4, &format!("{what}: cell {cell}"));
        }
        let plain = embed(self.encoder.as_ref(), &self.tokens);
        let change = plain.iter().zip(&together).map(|(a, b)| (a - b).abs()).fold(0.0, f32::max);
        assert!(change > 1e-3, "{what}: the noise changes vectors by {change} only");
    }
}

/// Every model as it is read by default, and where its rows are others.
fn specimens() -> Vec<Specimen> {
    let mut all = Vec::new();
    for specimen in Specimen::all() {
        let others = match specimen.model.name() {
            "scfoundation" => vec![json!({"output": "expression"})],
            "uce" => vec![json!({"pooling": "mean"})],
            "tgpt" => vec![json!({"pooling": "mean_all"})],
            _ => Vec::new(),
        };
        let same = || Specimen::all().into_iter().find(|other| other.folder == specimen.folder);
        all.extend(others.into_iter().filter_map(|embed| Some(same()?.read_as(embed))));
        all.push(specimen);
    }
    all
}

#[test]
fn noise_does_not_depend_on_the_other_cells_of_a_batch() {
    for specimen in specimens() {
        Noisy::new(&specimen).agrees(&format!("{} {}", specimen.name(), specimen.embed));
    }
}

#[test]
fn noise_does_not_depend_on_padding() {
    for specimen in Specimen::all().into_iter().filter(|specimen| specimen.model.name() == "tgpt") {
        let mut noisy = Noisy::new(&specimen);
        let unpadded = noisy.vectors(&[0, 1, 2]);
        // The token of padding of the published vocabulary.
        for (cell, pads) in noisy.tokens.iter_mut().zip([3, 0, 5]) {
            cell.ids.resize(cell.len() + pads, 0);
        }
        assert_eq!(noisy.vectors(&[0, 1, 2]), unpadded);
        noisy.agrees("padded");
    }
}

#[test]
fn rows_that_nobody_explains_are_refused() {
    let Some(specimen) = Specimen::all().into_iter().find(|specimen| specimen.model.name() == "geneformer")
    else {
        return;
    };
    let noisy = Noisy::new(&specimen);
    let cells = vec![7; noisy.tokens.len()];
    noisy.dropout.set(Some(Noise { probability: 0.4, seed: 1, step: 2, cells, rows: BTreeMap::new() }));
    let alone = vec![1; noisy.tokens.len()];
    let error = noisy.encoder.pooled(Batch { cells: &noisy.tokens, neighbourhoods: &alone }).unwrap_err();
    assert!(error.to_string().contains("nobody says what the"), "{error}");
}
