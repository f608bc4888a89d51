//! UCE against the reference: sentences exactly, states and embeddings within 1e-5 on every backend.

use std::collections::{BTreeMap, BTreeSet};

use crate::common::learning::Learning;
use crate::common::uce::{encoder, golden_tokens, plain};
use crate::common::{Golden, assert_close, devices, embed, options};
use celldag_models::uce::{Checkpoint, Mt19937, Tokenizer};
use celldag_models::{
    Adapters, Batch, CellCounts, CellEncoder, CellTokenizer, CellTokens, Lora, ModelError, Options, Slot,
};
use celldag_shaders::Device;
use serde_json::{Value, json};

const TOLERANCE: f32 = 1e-5;

fn numpy() -> Value {
    json!({"rng": "numpy", "seed": 0, "filter": false, "sample_size": 1024, "pad_length": 1536})
}

fn tokenizer(golden: &Golden, values: &Value) -> Result<Tokenizer, ModelError> {
    Tokenizer::new(&Checkpoint::find(&golden.checkpoint())?, &golden.genes, &options(values.clone()))
}

/// All cells in their order, as the kind `tokenize` does it.
fn sentences(golden: &Golden, tokenizer: &mut Tokenizer) -> Vec<CellTokens> {
    let names: Vec<String> = (0..golden.counts.rows()).map(|cell| cell.to_string()).collect();
    let cells: Vec<CellCounts<'_>> = golden
        .counts
        .iter()
        .zip(&names)
        .map(|((columns, counts), name)| CellCounts { name, columns, counts })
        .collect();
    if tokenizer.surveys() {
        cells.iter().for_each(|cell| tokenizer.survey(cell).unwrap());
        tokenizer.surveyed();
    }
    cells
        .iter()
        .map(|cell| {
            let tokens = tokenizer.tokenize(cell).unwrap();
            tokenizer.in_order(tokens)
        })
        .collect()
}

#[test]
fn numpys_generator_gives_the_same_bits() {
    let Some(golden) = Golden::open("uce") else { return };
    let mut twister = Mt19937::new(0);
    for bits in golden.i64s("rng.first8_doubles_bits") {
        assert_eq!(twister.next_uniform().to_bits(), bits.cast_unsigned());
    }
}

#[test]
fn genes_and_their_places_are_those_of_the_authors() {
    let Some(golden) = Golden::open("uce") else { return };
    let tokenizer = tokenizer(&golden, &numpy()).unwrap();
    let known: Vec<(usize, _)> =
        tokenizer.loci().iter().enumerate().filter_map(|(column, locus)| Some((column, (*locus)?))).collect();
    let columns: Vec<i32> = known.iter().map(|(column, _)| i32::try_from(*column).unwrap()).collect();
    let tokens: Vec<i32> = known.iter().map(|(_, locus)| i32::try_from(locus.token).unwrap()).collect();
    let codes: Vec<i32> = known.iter().map(|(_, l)| i32::try_from(l.chromosome).unwrap() - 3131).collect();
    let starts: Vec<i64> = known.iter().map(|(_, locus)| locus.start).collect();
    assert_eq!(columns, golden.i32s("genes.kept_columns"));
    assert_eq!(tokens, golden.i32s("genes.token_index"));
    assert_eq!(codes, golden.i32s("genes.chrom_code"));
    assert_eq!(starts, golden.i64s("genes.start"));
}

#[test]
fn sentences_are_those_of_the_authors() {
    let Some(golden) = Golden::open("uce") else { return };
    let mut tokenizer = tokenizer(&golden, &numpy()).unwrap();
    assert!(sentences(&golden, &mut tokenizer) == golden_tokens(&golden));
}

#[test]
fn the_filter_is_that_of_the_authors() {
    let Some(golden) = Golden::open("uce") else { return };
    let mut tokenizer = tokenizer(&golden, &json!({})).unwrap();
    let tokens = sentences(&golden, &mut tokenizer);
    let genes: Vec<u8> = (0..golden.genes.symbols.len()).map(|c| u8::from(tokenizer.keeps(c))).collect();
    assert_eq!(genes, golden.u8s("filter.genes_kept"));
    let cells: Vec<u8> = tokens.iter().map(|cell| u8::from(!cell.is_empty())).collect();
    assert_eq!(cells, golden.u8s("filter.cells_kept"));
}

#[test]
fn each_cell_has_its_own_stream() {
    let Some(golden) = Golden::open("uce") else { return };
    let of = |values: &Value| sentences(&golden, &mut tokenizer(&golden, values).unwrap());
    let one = of(&json!({"filter": false}));
    assert!(
        one == of(&json!({"filter": false, "seed": 0})) && one != of(&json!({"filter": false, "seed": 1}))
    );
    // The same cell alone, without the cells in front of it.
    let tokenizer = tokenizer(&golden, &json!({"filter": false})).unwrap();
    let (columns, counts) = golden.counts.row(7);
    assert!(tokenizer.tokenize(&CellCounts { name: "7", columns, counts }).unwrap() == one[7]);
    assert!(tokenizer.tokenize(&CellCounts { name: "8", columns, counts }).unwrap() != one[7]);
    // Draws follow the weights: genes with an even token are drawn as often as their share says, within five standard
    // deviations.
    let (mut drawn, mut expected, mut variance) = (0.0, 0.0, 0.0);
    for (cell, (columns, counts)) in one.iter().zip(golden.counts.iter()) {
        let weighted = columns.iter().zip(counts).filter_map(|(&column, &count)| {
            tokenizer.loci()[column as usize].map(|locus| (locus.token, f64::from(count).ln_1p()))
        });
        let weights: BTreeMap<u32, f64> = weighted.collect();
        let chosen: BTreeSet<u32> = weights.keys().copied().filter(|token| token % 2 == 0).collect();
        let share = chosen.iter().map(|token| weights[token]).sum::<f64>() / weights.values().sum::<f64>();
        drawn +=
            cell.ids[1..].iter().filter(|id| **id > 3 && **id < 3131 && chosen.contains(id)).count() as f64;
        expected += 1024.0 * share;
        variance += 1024.0 * share * (1.0 - share);
        assert_eq!(cell.ids.iter().filter(|id| weights.contains_key(id)).count(), 1024);
    }
    assert!((drawn - expected).abs() < 5.0 * f64::sqrt(variance), "{drawn} of {expected}");
}

/// States are not of length 1: the tolerance is relative to the largest.
fn assert_states(got: &[f32], want: &[f32], what: &str) {
    let largest = want.iter().fold(1.0_f32, |largest, value| largest.max(value.abs()));
    assert_close(got, want, TOLERANCE * largest, what);
}

#[test]
fn hidden_states_agree_on_every_backend() {
    let Some(golden) = Golden::open("uce") else { return };
    let tokens = golden_tokens(&golden);
    for device in devices() {
        let encoder = plain(&golden, &device);
        for depth in 0..=4 {
            let array = format!("hid.cell0.layer{depth}");
            let got = encoder.hidden(&tokens[0].ids, depth - 5).unwrap();
            let what = format!("{array} on {}", device.info().backend);
            assert_states(&got, &golden.f32s(&array), &what);
            if device.info().software && depth == 1 {
                break;
            }
        }
        let got = encoder.hidden(&tokens[1].ids, -1).unwrap();
        let what = format!("hid.cell1.final on {}", device.info().backend);
        assert_states(&got, &golden.f32s("hid.cell1.final"), &what);
    }
}

#[test]
fn embeddings_agree_on_every_backend_and_do_not_depend_on_the_batch() {
    let Some(golden) = Golden::open("uce") else { return };
    let all = golden_tokens(&golden);
    for device in devices() {
        let software = device.info().software;
        // From the 7th cell on: among them is the shortest.
        let tokens = if software { &all[7..10] } else { &all[..] };
        let encoder = plain(&golden, &device);
        let dim = encoder.info().dim;
        let want = golden.f32s("emb.single");
        let want = if software { &want[7 * dim..10 * dim] } else { &want[..] };
        let whole = embed(&encoder, tokens);
        assert_close(&whole, want, TOLERANCE, &format!("emb.single on {}", device.info().backend));
        for size in [1, 3].into_iter().filter(|size| *size < tokens.len()) {
            let parts: Vec<f32> =
                tokens.chunks(size).take(4).flat_map(|cells| embed(&encoder, cells)).collect();
            assert!(parts == whole[..parts.len()], "batches of {size} give other bits");
        }
        // A rehearsal leaves nothing behind.
        let fresh = plain(&golden, &device);
        let batch = Batch { cells: &tokens[..1], neighbourhoods: &[1] };
        device.rehearse(|| fresh.embed(batch)).unwrap();
        assert!(fresh.embed(batch).unwrap() == whole[..dim], "a rehearsal changes bits");
    }
}

#[test]
fn readouts_differ_and_the_default_has_length_one() {
    let Some(golden) = Golden::open("uce") else { return };
    let device = Device::cpu(2).unwrap();
    let tokens = &golden_tokens(&golden)[..2];
    let of = |values: &Value| {
        embed(&encoder(&golden.checkpoint(), &device, values, &Adapters::default()).unwrap(), tokens)
    };
    let default = of(&json!({}));
    assert_eq!(default, of(&json!({"version": "4layer_model", "layer": -1, "chrom_token_offset": 3131})));
    let raw = of(&json!({"normalize": "none"}));
    for (unit, raw) in default.chunks_exact(32).zip(raw.chunks_exact(32)) {
        let length = raw.iter().map(|v| v * v).sum::<f32>().sqrt();
        let scaled: Vec<f32> = raw.iter().map(|v| v / length).collect();
        assert_close(unit, &scaled, 1e-6, "length 1");
    }
    assert!(default != of(&json!({"layer": -2})) && default != of(&json!({"pooling": "mean"})));
}

#[test]
fn lora_learns_as_in_the_reference() {
    let Some(golden) = Golden::open("uce") else { return };
    let tokens = golden_tokens(&golden);
    let device = Device::cpu(2).unwrap();
    let learning = Learning::new(&golden, &device);
    let encoder = encoder(&golden.checkpoint(), &device, &json!({}), &learning.adapters()).unwrap();
    let cells = learning.cells(&tokens);
    learning.agrees(&encoder, &cells, 5, false);
}

#[test]
fn every_linear_layer_takes_an_adapter() {
    let Some(golden) = Golden::open("uce") else { return };
    let device = Device::cpu(2).unwrap();
    let tokens = &golden_tokens(&golden)[..1];
    let without = embed(&plain(&golden, &device), tokens);
    for (name, inputs, outputs) in [
        ("encoder.0", 32, 40),
        ("transformer_encoder.layers.0.self_attn", 40, 120),
        ("transformer_encoder.layers.1.self_attn.out_proj", 40, 40),
        ("transformer_encoder.layers.2.linear1", 40, 96),
        ("transformer_encoder.layers.3.linear2", 96, 40),
        ("decoder.0.0", 40, 1024),
        ("decoder.3", 32, 32),
    ] {
        let values = |n: usize| (0..n).map(|i| 0.05 * ((i % 7) as f32 - 3.0)).collect::<Vec<f32>>();
        let slot =
            |shape: [usize; 2]| Slot::new(device.upload(&shape, &values(shape[0] * shape[1])).unwrap());
        let lora = Lora::new(slot([4, inputs]), slot([outputs, 4]), 1.0);
        let adapters = Adapters::new(BTreeMap::from([(name.to_owned(), lora)]));
        let adapted = encoder(&golden.checkpoint(), &device, &json!({}), &adapters).unwrap();
        assert!(embed(&adapted, tokens) != without, "{name} changes nothing");
    }
}

#[test]
fn mistakes_are_explained() {
    let Some(golden) = Golden::open("uce") else { return };
    let refused = |values: Value| tokenizer(&golden, &values).unwrap_err().to_string();
    let mouse = refused(json!({"species": "mouse", "gene_aliases": "hgnc"}));
    assert!(mouse.contains("human genes only") && mouse.contains("mouse"), "{mouse}");
    let message = refused(json!({"species": "axolotl"}));
    assert!(message.contains("axolotl") && message.contains("human"), "{message}");
    assert!(refused(json!({"rng": "dice"})).contains("numpy"));
    assert!(refused(json!({"rng": "numpy", "seed": 1_u64 << 40})).contains("2^32"));
    assert!(refused(json!({"sample_size": 1534})).contains("pad_length"));
    // Too short for all chromosomes of most cells: they get no tokens.
    let mut short = tokenizer(&golden, &json!({"filter": false, "pad_length": 1030})).unwrap();
    assert!(sentences(&golden, &mut short).iter().all(CellTokens::is_empty));
    let device = Device::cpu(1).unwrap();
    let load = |values: Value| {
        let checkpoint = golden.checkpoint();
        encoder(&checkpoint, &device, &values, &Adapters::default()).unwrap_err().to_string()
    };
    assert!(load(json!({"version": "33l"})).contains("4layer_model"));
    assert!(load(json!({"layer": -6})).contains("4 layers"));
    assert!(load(json!({"chrom_token_offset": 4000})).contains("chrom_token_offset"));
    let encoder = plain(&golden, &device);
    let refused = |ids: Vec<u32>| {
        let cells = [ids.into()];
        encoder.embed(Batch { cells: &cells, neighbourhoods: &[1] }).unwrap_err().to_string()
    };
    assert!(refused(vec![3, 3161]).contains("3161"));
    assert!(refused(vec![3; 1537]).contains("1536"));
    assert!(refused(Vec::new()).contains("no gene"));
}

#[test]
fn genes_of_another_naming_are_refused() {
    let Some(golden) = Golden::open("uce") else { return };
    let mut genes = golden.genes.clone();
    genes.symbols.iter_mut().for_each(|symbol| *symbol = None);
    let checkpoint = Checkpoint::find(&golden.checkpoint()).unwrap();
    let error = Tokenizer::new(&checkpoint, &genes, &Options::default()).unwrap_err();
    assert!(matches!(error, ModelError::NoGenes { .. }), "{error}");
}
