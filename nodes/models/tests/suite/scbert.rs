//! scBERT against the reference: tokens exact, states within 1e-4 and embeddings within 2e-5 on every backend.

use std::path::Path;

use crate::common::performer::learn;
use crate::common::{Golden, assert_close, devices, options};
use celldag_models::performer_lm::KeyMaximum;
use celldag_models::scbert::{Encoder, Pooling, Readout, Tokenizer};
use celldag_models::{
    Adapters, CellEncoder, CellTokenizer, CellTokens, LoadEncoder, ModelError, Neighbourhood, Options,
    Purpose, cell_model,
};
use celldag_shaders::Device;
use serde_json::json;

const STATES: f32 = 1e-4;
const EMBEDDINGS: f32 = 2e-5;
/// Genes of the run that cuts the vocabulary.
const CUT: usize = 500;

fn tokenizer(golden: &Golden, given: serde_json::Value) -> Result<Tokenizer, ModelError> {
    Tokenizer::new(&golden.checkpoint(), &golden.genes, &options(given))
}

fn load(folder: &Path, device: &Device, given: serde_json::Value) -> Result<Encoder, ModelError> {
    let adapters = Adapters::default();
    Encoder::load(LoadEncoder { checkpoint: folder, device, options: &options(given), adapters: &adapters })
}

fn encoder(golden: &Golden, device: &Device) -> Encoder {
    load(&golden.checkpoint(), device, json!({})).unwrap()
}

fn all_genes(golden: &Golden) -> Vec<CellTokens> {
    golden.tokenized(&tokenizer(golden, json!({})).unwrap())
}

fn first_genes(golden: &Golden) -> Vec<CellTokens> {
    golden.tokenized(&tokenizer(golden, json!({ "max_genes": CUT })).unwrap())
}

/// Sequences of one block of keys and a bit, of different lengths.
fn short_tokens(golden: &Golden) -> Vec<CellTokens> {
    let cells = first_genes(golden).into_iter().skip(5).take(5).enumerate();
    cells.map(|(number, cell)| cell.ids[..257 - 50 * number].to_vec().into()).collect()
}

fn read(encoder: &Encoder, cells: &[CellTokens], readout: Readout) -> Vec<f32> {
    encoder.read(cells, readout).unwrap().read().unwrap()
}

fn ids(cells: &[CellTokens]) -> Vec<i64> {
    cells.iter().flat_map(|cell| cell.ids.iter().map(|&id| i64::from(id))).collect()
}

#[test]
fn tokens_are_those_of_the_authors() {
    let Some(golden) = Golden::open("scbert") else { return };
    assert!(ids(&all_genes(&golden)) == golden.i64s("tokens"), "all genes");
    assert!(ids(&first_genes(&golden)) == golden.i64s("tokens_first_L"), "the first genes");
    let tokenizer = tokenizer(&golden, json!({ "max_genes": CUT })).unwrap();
    let info = tokenizer.info();
    assert_eq!((info.context, info.vocabulary_size), (CUT + 1, 7));
    let coverage = tokenizer.coverage();
    assert_eq!((coverage.matched, coverage.vocabulary_genes, coverage.by_symbol), (968, 1000, 968));
}

#[test]
fn cells_with_few_genes_are_left_out_on_request() {
    let Some(golden) = Golden::open("scbert") else { return };
    let cells = golden.tokenized(&tokenizer(&golden, json!({ "min_genes": 200 })).unwrap());
    let kept: Vec<u8> = cells.iter().map(|cell| u8::from(!cell.is_empty())).collect();
    assert_eq!(kept, golden.u8s("kept_min200"));
}

#[test]
fn hidden_states_agree_on_every_backend() {
    let Some(golden) = Golden::open("scbert") else { return };
    for device in devices() {
        let encoder = encoder(&golden, &device);
        let what = |array: &str| format!("{array} on {}", device.info().backend);
        if !device.info().software {
            let cells = all_genes(&golden);
            let layers = golden.f32s("hidden_layers_full_cell0");
            let size = layers.len() / 4;
            // The layers below the last, which are read before the final normalisation.
            for (layer, want) in [-4, -3, -2].into_iter().zip(layers.chunks_exact(size)) {
                let got = encoder.hidden(&cells[0], layer).unwrap();
                assert_close(&got, want, STATES, &what(&format!("hidden_layers_full_cell0 {layer}")));
            }
            let got: Vec<f32> = cells[..2].iter().flat_map(|c| encoder.hidden(c, -1).unwrap()).collect();
            assert_close(&got, &golden.f32s("hidden_final_full"), STATES, &what("hidden_final_full"));
        }
        let cells = first_genes(&golden);
        let got: Vec<f32> = cells[..2].iter().flat_map(|c| encoder.hidden(c, -1).unwrap()).collect();
        assert_close(&got, &golden.f32s("hidden_final_first_L"), STATES, &what("hidden_final_first_L"));
    }
}

#[test]
fn embeddings_agree_on_every_backend_and_do_not_depend_on_the_batch() {
    let Some(golden) = Golden::open("scbert") else { return };
    let first = first_genes(&golden);
    for device in devices() {
        let encoder = encoder(&golden, &device);
        let what = |array: &str| format!("{array} on {}", device.info().backend);
        let readout = encoder.readout();
        assert_eq!(readout, Readout { layer: -1, pooling: Pooling::Mean, key_maximum: KeyMaximum::Cell });
        let cells = if device.info().software { &first[..2] } else { &first };
        let whole = read(&encoder, cells, readout);
        let want = golden.f32s("emb_mean_first_L");
        assert_close(&whole, &want[..whole.len()], EMBEDDINGS, &what("emb_mean_first_L"));
        let short = short_tokens(&golden);
        let whole = read(&encoder, &short, readout);
        for size in [1, 3] {
            let parts: Vec<f32> = short.chunks(size).flat_map(|b| read(&encoder, b, readout)).collect();
            assert!(parts == whole, "batches of {size} give other bits");
        }
        if device.info().software {
            continue;
        }
        let got = read(&encoder, cells, Readout { key_maximum: KeyMaximum::Batch, ..readout });
        let want = golden.f32s("emb_mean_first_L_one_batch");
        assert_close(&got, &want, EMBEDDINGS, &what("emb_mean_first_L_one_batch"));
        let cells = all_genes(&golden);
        let got = read(&encoder, &cells, readout);
        assert_close(&got, &golden.f32s("emb_mean_full"), EMBEDDINGS, &what("emb_mean_full"));
        let got = read(&encoder, &cells, Readout { pooling: Pooling::Cls, ..readout });
        assert_close(&got, &golden.f32s("emb_last_full"), STATES, &what("emb_last_full"));
    }
}

#[test]
fn options_decide_what_is_read() {
    let Some(golden) = Golden::open("scbert") else { return };
    let device = Device::cpu(1).unwrap();
    let given = json!({ "layer": -2, "pooling": "cls", "key_maximum": "batch" });
    let encoder = load(&golden.checkpoint(), &device, given).unwrap();
    let want = Readout { layer: -2, pooling: Pooling::Cls, key_maximum: KeyMaximum::Batch };
    assert_eq!(encoder.readout(), want);
    assert_eq!(encoder.info().neighbourhood, Neighbourhood::All);
    assert_eq!((encoder.info().layers, encoder.info().dim), (3, 40));
    assert_eq!(
        encoder.info().options,
        *json!({ "layer": -2, "pooling": "cls", "key_maximum": "batch" }).as_object().unwrap()
    );
    for (given, words) in [
        (json!({ "layer": -5 }), ["layer -5", "3 layers"]),
        (json!({ "pooling": "max" }), ["max", "mean"]),
        (json!({ "key_maximum": "file" }), ["file", "batch"]),
    ] {
        let message = load(&golden.checkpoint(), &device, given).unwrap_err().to_string();
        assert!(words.iter().all(|word| message.contains(word)), "{message}");
    }
}

#[test]
fn lora_learns_as_with_peft() {
    let Some(golden) = Golden::open("scbert") else { return };
    let cells = &first_genes(&golden);
    let device = Device::cpu(2).unwrap();
    for recompute in [false, true] {
        learn(&golden, &device, recompute, |adapters| {
            let checkpoint = &golden.checkpoint();
            let load = LoadEncoder { checkpoint, device: &device, options: &Options::default(), adapters };
            let encoder = Encoder::load(load).unwrap();
            // The run has all cells in one forward pass.
            let readout = Readout { key_maximum: KeyMaximum::Batch, ..Readout::default() };
            Box::new(move || encoder.read(cells, readout).unwrap())
        });
    }
}

#[test]
fn exactly_the_files_that_are_read_are_named() {
    let Some(golden) = Golden::open("scbert") else { return };
    let model = cell_model("scbert").unwrap();
    let names = |purpose| -> Vec<String> {
        let files = model.files(&golden.checkpoint(), purpose, &Options::default()).unwrap();
        files.iter().map(|f| f.file_name().unwrap().to_string_lossy().into_owned()).collect()
    };
    assert_eq!(names(Purpose::Tokenize), ["panglao_10000.h5ad"]);
    assert_eq!(names(Purpose::Embed), ["panglao_10000.h5ad", "panglao_pretrain.pth"]);
}

#[test]
fn tokens_out_of_range_are_refused() {
    let Some(golden) = Golden::open("scbert") else { return };
    let encoder = encoder(&golden, &Device::cpu(1).unwrap());
    for cell in [vec![], vec![7], vec![0; 1002]] {
        let refused = encoder.read(&[cell.into()], encoder.readout());
        assert!(matches!(refused, Err(ModelError::Tokens(_))));
    }
    assert!(encoder.read(&[vec![0; 1001].into()], encoder.readout()).is_ok());
}
