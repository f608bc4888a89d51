//! CellLM against the reference: tokens exact, states within 1e-4 and embeddings within 2e-5 on every backend.

use std::path::Path;

use crate::common::performer::learn;
use crate::common::{Golden, assert_close, devices, options};
use celldag_models::celllm::{Encoder, Pooling, Readout, Tokenizer};
use celldag_models::performer_lm::KeyMaximum;
use celldag_models::{
    Adapters, CellEncoder, CellTokenizer, CellTokens, LoadEncoder, ModelError, Neighbourhood, Options,
    Purpose, cell_model,
};
use celldag_shaders::Device;
use serde_json::json;

const STATES: f32 = 1e-4;
const EMBEDDINGS: f32 = 2e-5;
const LENGTH: usize = 300;
const GENES: usize = 900;
const DIM: usize = 64;

fn tokens(golden: &Golden, length: usize) -> Vec<CellTokens> {
    let given = options(json!({ "max_seq_len": length }));
    golden.tokenized(&Tokenizer::new(&golden.checkpoint(), &golden.genes, &given).unwrap())
}

fn load(folder: &Path, device: &Device, given: serde_json::Value) -> Result<Encoder, ModelError> {
    let adapters = Adapters::default();
    Encoder::load(LoadEncoder { checkpoint: folder, device, options: &options(given), adapters: &adapters })
}

fn encoder(golden: &Golden, device: &Device) -> Encoder {
    load(&golden.checkpoint(), device, json!({})).unwrap()
}

fn read(encoder: &Encoder, cells: &[CellTokens], readout: Readout) -> Vec<f32> {
    encoder.read(cells, readout).unwrap().read().unwrap()
}

/// Padding written out, as the authors' code has it: genes and levels of `LENGTH` tokens.
fn padded(cell: &CellTokens) -> (Vec<i64>, Vec<i64>) {
    let (mut genes, mut levels) = (Vec::new(), Vec::new());
    for (&gene, &value) in cell.ids.iter().zip(&cell.values) {
        let padding = gene as usize == GENES + 1;
        let times = if padding { value as usize } else { 1 };
        genes.extend(vec![i64::from(gene); times]);
        levels.extend(vec![if padding { 7 } else { value as i64 }; times]);
    }
    (genes, levels)
}

/// States of a cell with those of its padding written out.
fn padded_states(encoder: &Encoder, cell: &CellTokens, layer: i32) -> Vec<f32> {
    let states = encoder.hidden(cell, layer).unwrap();
    let mut rows: Vec<&[f32]> = states.chunks_exact(DIM).collect();
    let last = rows[rows.len() - 1];
    rows.resize(LENGTH, last);
    rows.concat()
}

#[test]
fn tokens_are_those_of_the_authors() {
    let Some(golden) = Golden::open("celllm") else { return };
    let cells = tokens(&golden, LENGTH);
    let (genes, levels): (Vec<_>, Vec<_>) = cells.iter().map(padded).unzip();
    assert!(genes.concat() == golden.i64s("gene_pos"), "genes");
    assert!(levels.concat() == golden.i64s("tokens"), "levels");
    let of_padding = |cell: &CellTokens| usize::from(*cell.ids.last().unwrap() as usize == GENES + 1);
    let lengths: Vec<usize> = cells.iter().map(|cell| cell.len() - of_padding(cell)).collect();
    let mask = golden.u8s("mask");
    let want: Vec<usize> =
        mask.chunks_exact(LENGTH).map(|row| row.iter().map(|&real| usize::from(real)).sum()).collect();
    assert_eq!(lengths, want);
    let longer = tokens(&golden, 6000);
    let default = Tokenizer::new(&golden.checkpoint(), &golden.genes, &Options::default()).unwrap();
    assert!(golden.tokenized(&default) == longer, "6000 is the default");
    assert_eq!(default.info().vocabulary_size, GENES + 2);
}

#[test]
fn hidden_states_agree_on_every_backend() {
    let Some(golden) = Golden::open("celllm") else { return };
    let cells = tokens(&golden, LENGTH);
    for device in devices() {
        let encoder = encoder(&golden, &device);
        let what = |array: &str| format!("{array} on {}", device.info().backend);
        let layers = golden.f32s("hidden_layers_cell0");
        // The layers below the last, which are read before the final normalisation and mask.
        for (layer, want) in [-3, -2].into_iter().zip(layers.chunks_exact(LENGTH * DIM)) {
            let got = padded_states(&encoder, &cells[0], layer);
            assert_close(&got, want, STATES, &what(&format!("hidden_layers_cell0 {layer}")));
        }
        let got: Vec<f32> = cells[..2].iter().flat_map(|c| padded_states(&encoder, c, -1)).collect();
        assert_close(&got, &golden.f32s("hidden_final"), STATES, &what("hidden_final"));
        if device.info().software {
            continue;
        }
        let cell = usize::try_from(golden.i64s("pad2x_cell")[0]).unwrap();
        let longer = &tokens(&golden, 2 * LENGTH)[cell];
        let got = encoder.hidden(longer, -1).unwrap();
        let want = golden.f32s("pad2x_hidden_valid_tokens");
        assert_close(&got[..want.len()], &want, STATES, &what("pad2x_hidden_valid_tokens"));
    }
}

#[test]
fn embeddings_agree_on_every_backend_and_do_not_depend_on_the_batch() {
    let Some(golden) = Golden::open("celllm") else { return };
    let cells = tokens(&golden, LENGTH);
    for device in devices() {
        let encoder = encoder(&golden, &device);
        let what = |array: &str| format!("{array} on {}", device.info().backend);
        let readout = encoder.readout();
        assert_eq!(readout, Readout { layer: -1, pooling: Pooling::Mean, key_maximum: KeyMaximum::Cell });
        let cells = if device.info().software { &cells[..4] } else { &cells };
        let agrees = |readout, array: &str, tolerance| {
            let got = read(&encoder, cells, readout);
            assert_close(&got, &golden.f32s(array)[..got.len()], tolerance, &what(array));
            got
        };
        let whole = agrees(readout, "emb_mean_seq", EMBEDDINGS);
        for size in [1, 3] {
            let cells = &cells[..4];
            let whole = &whole[..4 * DIM];
            let parts: Vec<f32> = cells.chunks(size).flat_map(|b| read(&encoder, b, readout)).collect();
            assert!(parts == whole, "batches of {size} give other bits");
        }
        if !device.info().software {
            agrees(Readout { pooling: Pooling::MeanTokens, ..readout }, "emb_mean_valid", EMBEDDINGS);
            agrees(Readout { pooling: Pooling::Cls, ..readout }, "emb_cls", STATES);
            let batch = Readout { key_maximum: KeyMaximum::Batch, ..readout };
            agrees(batch, "emb_mean_seq_one_batch", EMBEDDINGS);
        }
    }
}

#[test]
fn options_decide_what_is_read() {
    let Some(golden) = Golden::open("celllm") else { return };
    let device = Device::cpu(1).unwrap();
    let given = json!({ "layer": -2, "pooling": "mean_tokens", "key_maximum": "batch" });
    let encoder = load(&golden.checkpoint(), &device, given.clone()).unwrap();
    let want = Readout { layer: -2, pooling: Pooling::MeanTokens, key_maximum: KeyMaximum::Batch };
    assert_eq!(encoder.readout(), want);
    assert_eq!(encoder.info().neighbourhood, Neighbourhood::All);
    assert_eq!((encoder.info().layers, encoder.info().dim), (2, DIM));
    assert_eq!(encoder.info().variant, "checkpoint4_fixed, 900 genes");
    assert_eq!(encoder.info().options, *given.as_object().unwrap());
    for (given, words) in [
        (json!({ "layer": -4 }), ["layer -4", "2 layers"]),
        (json!({ "pooling": "max" }), ["max", "mean_tokens"]),
    ] {
        let message = load(&golden.checkpoint(), &device, given).unwrap_err().to_string();
        assert!(words.iter().all(|word| message.contains(word)), "{message}");
    }
    let none = options(json!({ "max_seq_len": 0 }));
    let refused = Tokenizer::new(&golden.checkpoint(), &golden.genes, &none).unwrap_err().to_string();
    assert!(refused.contains("max_seq_len"), "{refused}");
}

#[test]
fn lora_learns_as_with_peft() {
    let Some(golden) = Golden::open("celllm") else { return };
    let cells = &tokens(&golden, LENGTH);
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
    let Some(golden) = Golden::open("celllm") else { return };
    let model = cell_model("celllm").unwrap();
    let names = |purpose| -> Vec<String> {
        let files = model.files(&golden.checkpoint(), purpose, &Options::default()).unwrap();
        files.iter().map(|f| f.file_name().unwrap().to_string_lossy().into_owned()).collect()
    };
    assert_eq!(names(Purpose::Tokenize), ["zheng68k_hgnc.h5ad"]);
    assert_eq!(names(Purpose::Embed), ["checkpoint4_fixed.pth", "zheng68k_hgnc.h5ad"]);
}

#[test]
fn tokens_that_make_no_sense_are_refused() {
    let Some(golden) = Golden::open("celllm") else { return };
    let encoder = encoder(&golden, &Device::cpu(1).unwrap());
    let cell = |ids: &[u32], values: &[f32]| CellTokens { ids: ids.to_vec(), values: values.to_vec() };
    for (strange, why) in [
        (cell(&[], &[]), "no tokens"),
        (cell(&[900, 3], &[6.0]), "a level is missing"),
        (cell(&[900, 902], &[6.0, 1.0]), "a gene beyond the table"),
        (cell(&[900, 3], &[6.0, 8.0]), "a level beyond the table"),
        (cell(&[900, 3], &[6.0, 0.5]), "a level that is no whole number"),
        (cell(&[900, 901, 3], &[6.0, 9.0, 1.0]), "padding in the middle"),
        (cell(&[901], &[9.0]), "nothing but padding"),
        (cell(&[900, 901], &[6.0, 0.0]), "padding of no rows"),
    ] {
        let refused = encoder.read(&[strange], encoder.readout());
        assert!(matches!(refused, Err(ModelError::Tokens(_))), "{why}");
    }
    assert!(encoder.read(&[cell(&[900, 3, 901], &[6.0, 5.0, 297.0])], encoder.readout()).is_ok());
}
