//! scGPT against the reference: bins and tokens to the bit, states and embeddings within 2e-5 on every backend.

use std::collections::BTreeSet;

use crate::common::learning::Learning;
use crate::common::{Golden, assert_close, devices, embed, options};
use celldag_models::scgpt::{Checkpoint, Encoder, Tokenizer, digits, edges, spread};
use celldag_models::{
    Adapters, CellCounts, CellEncoder, CellTokenizer, CellTokens, Options, Purpose, cell_model,
};
use celldag_shaders::Device;
use serde_json::{Value, json};

const TOLERANCE: f32 = 2e-5;
const BINS: usize = 51;

fn open() -> Option<(Golden, Checkpoint)> {
    let golden = Golden::open("scgpt")?;
    let checkpoint = Checkpoint::find(&golden.checkpoint()).unwrap();
    Some((golden, checkpoint))
}

fn tokenizer(golden: &Golden, checkpoint: &Checkpoint, chosen: Value) -> Tokenizer {
    Tokenizer::new(checkpoint, &golden.genes, &options(chosen)).unwrap()
}

fn encoder(checkpoint: &Checkpoint, device: &Device, chosen: Value) -> Encoder {
    Encoder::load(checkpoint, device, &options(chosen), &Adapters::default()).unwrap()
}

/// The slices of a ragged array.
fn ragged<T: Clone>(golden: &Golden, values: &[T]) -> Vec<Vec<T>> {
    let offsets: Vec<usize> =
        golden.i64s("tok.offsets").iter().map(|&at| usize::try_from(at).unwrap()).collect();
    offsets.windows(2).map(|pair| values[pair[0]..pair[1]].to_vec()).collect()
}

fn as_u32(values: &[i32]) -> Vec<u32> {
    values.iter().map(|&value| u32::try_from(value).unwrap()).collect()
}

/// Padded batches of the fixture as cells without padding.
fn given(golden: &Golden, checkpoint: &Checkpoint, genes: &str, values: &str) -> Vec<CellTokens> {
    let (genes, values) = (as_u32(&golden.i32s(genes)), golden.f32s(values));
    let cells = golden.counts.iter().count();
    let width = genes.len() / cells;
    let pad = u32::try_from(checkpoint.vocabulary.size - 3).unwrap();
    let cell = |(ids, values): (&[u32], &[f32])| {
        let length = ids.iter().take_while(|&&id| id != pad).count();
        CellTokens { ids: ids[..length].to_vec(), values: values[..length].to_vec() }
    };
    genes.chunks(width).zip(values.chunks(width)).map(cell).collect()
}

#[test]
fn edges_and_bins_have_the_same_bits() {
    let Some((golden, _)) = open() else { return };
    let expected = golden.f64s("tok.bin_edges");
    for (array, prefix) in [("tok.values_raw", "tok"), ("prep.log1p", "prep")] {
        let left = ragged(&golden, &golden.i32s(&format!("{prefix}.bin_left")));
        let right = ragged(&golden, &golden.i32s(&format!("{prefix}.bin_right")));
        for (cell, values) in ragged(&golden, &golden.f32s(array)).iter().enumerate() {
            let edges = edges(values, BINS);
            if prefix == "tok" {
                assert!(edges == expected[cell * 50..(cell + 1) * 50], "edges of cell {cell}");
            }
            let got: Vec<(usize, usize)> = values.iter().map(|&value| digits(value, &edges)).collect();
            let want = left[cell].iter().zip(&right[cell]);
            assert!(
                got.iter().zip(want).all(|(g, w)| (g.0 as i32, g.1 as i32) == (*w.0, *w.1)),
                "{array} {cell}"
            );
        }
    }
    let digits = golden.i32s("tok.bin_left").into_iter().zip(golden.i32s("tok.bin_right"));
    let drawn: Vec<i32> = digits
        .zip(golden.f64s("tok.bin_uniform"))
        .map(|((left, right), u)| spread((left as usize, right as usize), u) as i32)
        .collect();
    assert!(drawn == golden.i32s("tok.bin"), "bins of the reference's draws");
}

#[test]
fn tokens_are_those_of_the_authors() {
    let Some((golden, checkpoint)) = open() else { return };
    let genes = ragged(&golden, &as_u32(&golden.i32s("tok.gene_ids_unsampled")));
    let bins = ragged(&golden, &golden.i32s("tok.bin_left"));
    let all = golden.tokenized(&tokenizer(&golden, &checkpoint, json!({"max_length": 100_000})));
    let usual = tokenizer(&golden, &checkpoint, json!({}));
    assert!(usual.info().has_values && usual.info().context == 1200);
    let mut cut = 0;
    for (cell, tokens) in golden.tokenized(&usual).iter().enumerate() {
        let whole = &all[cell];
        let values: Vec<f32> = bins[cell].iter().map(|&bin| bin as f32).collect();
        assert!(whole.ids[1..] == genes[cell] && whole.values[1..] == values, "cell {cell}");
        assert!(
            tokens.ids[0] == checkpoint.vocabulary.cls && tokens.values[0].to_bits() == (-2.0_f32).to_bits()
        );
        if genes[cell].len() < 1200 {
            assert!(tokens == whole, "cell {cell}");
        } else {
            cut += 1;
            assert_eq!(tokens.len(), 1200);
            let pairs = |cell: &CellTokens| -> BTreeSet<(u32, u32)> {
                cell.ids.iter().copied().zip(cell.values.iter().map(|v| v.to_bits())).collect()
            };
            assert!(pairs(tokens).is_subset(&pairs(whole)) && pairs(tokens).len() == 1200, "cell {cell}");
        }
    }
    assert!(cut >= 2);
    let first = golden.tokenized(&tokenizer(&golden, &checkpoint, json!({"sampling": "first"})));
    let want = given(&golden, &checkpoint, "scdrugmap.gene", "scdrugmap.expr");
    assert!(first.iter().zip(&want).all(|(a, b)| a.ids == b.ids), "genes of the first columns");
    let draws = golden.f64s("scdrugmap.bin_uniform");
    let mut at = 0;
    for (cell, want) in want.iter().enumerate() {
        let counts = ragged(&golden, &golden.f32s("tok.values_raw"));
        let counts = &counts[cell][..want.len() - 1];
        let edges = edges(counts, BINS);
        let got = counts.iter().zip(&draws[at..]).map(|(&x, &u)| spread(digits(x, &edges), u) as f32);
        assert!(got.eq(want.values[1..].iter().copied()), "scdrugmap.expr {cell}");
        let left = counts.iter().map(|&x| digits(x, &edges).0 as f32);
        assert!(left.eq(first[cell].values[1..].iter().copied()));
        at += counts.len();
    }
}

#[test]
fn draws_are_keyed_by_seed_and_cell() {
    let Some((golden, checkpoint)) = open() else { return };
    let random = |seed: u64| tokenizer(&golden, &checkpoint, json!({"binning": "random", "seed": seed}));
    let long = golden.counts.iter().count() - 1;
    let tokens = |tokenizer: &Tokenizer, row, name| {
        let (columns, counts) = golden.counts.row(row);
        tokenizer.tokenize(&CellCounts { name, columns, counts }).unwrap()
    };
    for row in [0, long] {
        let a = tokens(&random(1), row, "a");
        assert_eq!(a, tokens(&random(1), row, "a"));
        assert_ne!(a, tokens(&random(1), row, "b"));
        assert_ne!(a, tokens(&random(2), row, "a"));
    }
    let whole = tokens(&tokenizer(&golden, &checkpoint, json!({"max_length": 100_000})), long, "a");
    let mut seen = vec![0_usize; whole.len()];
    let seeds = 200;
    for seed in 0..seeds {
        let chosen: BTreeSet<u32> = tokens(&random(seed), long, "a").ids.into_iter().collect();
        for (times, id) in seen.iter_mut().zip(&whole.ids) {
            *times += usize::from(chosen.contains(id));
        }
    }
    let expected = f64::from(1199) / (whole.len() - 1) as f64 * seeds as f64;
    let spread = (expected * (1.0 - expected / seeds as f64)).sqrt();
    assert!(seen[0] == seeds as usize, "<cls> always stays");
    assert!(seen[1..].iter().all(|&n| (n as f64 - expected).abs() < 5.0 * spread), "{expected} {spread}");
    let edges = edges(&golden.counts.row(0).1.iter().copied().filter(|&c| c > 0.0).collect::<Vec<_>>(), BINS);
    assert_eq!(edges.len(), 50);
    let left = golden.tokenized(&tokenizer(&golden, &checkpoint, json!({})));
    let drawn = golden.tokenized(&random(3));
    for (left, drawn) in left.iter().zip(&drawn).take(long - 1) {
        assert!(left.values.iter().zip(&drawn.values).all(|(l, d)| d <= l), "no bin is above the highest");
    }
}

#[test]
fn hidden_states_agree_on_every_backend() {
    let Some((golden, checkpoint)) = open() else { return };
    let tokens = given(&golden, &checkpoint, "tok.gene", "tok.expr");
    for device in devices() {
        let encoder = encoder(&checkpoint, &device, json!({}));
        let what = |array: &str| format!("{array} on {}", device.info().backend);
        for (depth, layer) in (-4..0).enumerate() {
            let array = format!("hidden.cell0.{depth}");
            let got = encoder.hidden(&tokens[0], layer).unwrap();
            assert_close(&got, &golden.f32s(&array), TOLERANCE, &what(&array));
        }
        let got = encoder.hidden(&tokens[1], -1).unwrap();
        assert_close(&got, &golden.f32s("hidden.cell1.last"), TOLERANCE, &what("hidden.cell1.last"));
    }
}

#[test]
fn embeddings_agree_on_every_backend_and_do_not_depend_on_the_batch() {
    let Some((golden, checkpoint)) = open() else { return };
    let cases = [
        ("emb.cls_l2", "tok.gene", "tok.expr", json!({})),
        ("emb.cls", "tok.gene", "tok.expr", json!({"normalize": "none"})),
        ("emb.cls_left_bins", "tok.gene", "tok.expr_left", json!({"normalize": "none", "pooling": "cls"})),
        ("emb.mean_all_tokens", "tok.gene", "tok.expr", json!({"normalize": "none", "pooling": "mean"})),
        ("emb.scdrugmap_code", "scdrugmap.gene", "scdrugmap.expr", json!({"normalize": "none"})),
    ];
    for device in devices() {
        for (array, genes, values, chosen) in &cases {
            let all = given(&golden, &checkpoint, genes, values);
            // A software driver takes long for the cells that fill the context.
            let cells = if device.info().software { &all[..6] } else { &all[..] };
            let encoder = encoder(&checkpoint, &device, chosen.clone());
            let what = format!("{array} on {}", device.info().backend);
            let whole = embed(&encoder, cells);
            assert_close(&whole, &golden.f32s(array)[..whole.len()], TOLERANCE, &what);
            if *array == "emb.cls_l2" {
                for size in [1, 3] {
                    let parts: Vec<f32> =
                        cells.chunks(size).flat_map(|cells| embed(&encoder, cells)).collect();
                    assert!(parts == whole, "{what}: batches of {size} give other bits");
                }
            }
        }
    }
}

#[test]
fn own_tokens_give_the_reference_with_left_bins() {
    let Some((golden, checkpoint)) = open() else { return };
    let tokens = golden.tokenized(&tokenizer(&golden, &checkpoint, json!({"binning": "left"})));
    let encoder = encoder(&checkpoint, &Device::cpu(2).unwrap(), json!({"normalize": "none"}));
    let got = embed(&encoder, &tokens);
    let rows = tokens.iter().filter(|cell| cell.len() < 1200).count() * encoder.info().dim;
    assert_close(
        &got[..rows],
        &golden.f32s("emb.cls_left_bins")[..rows],
        TOLERANCE,
        "cells within the context",
    );
}

#[test]
fn layers_and_means_are_read_as_asked() {
    let Some((golden, checkpoint)) = open() else { return };
    let tokens = given(&golden, &checkpoint, "tok.gene", "tok.expr");
    let device = Device::cpu(2).unwrap();
    let read = |chosen| embed(&encoder(&checkpoint, &device, chosen), &tokens[..1]);
    let states = golden.f32s("hidden.cell0.2");
    let got = read(json!({"layer": -2, "normalize": "none"}));
    assert_close(&got, &states[..32], TOLERANCE, "<cls> of the layer before the last");
    let genes = states.len() / 32 - 1;
    let mean: Vec<f32> =
        (0..32).map(|j| states.chunks(32).skip(1).map(|row| row[j]).sum::<f32>() / genes as f32).collect();
    let got = read(json!({"layer": -2, "normalize": "none", "pooling": "mean_genes"}));
    assert_close(&got, &mean, TOLERANCE, "mean of the genes");
    let length = mean.iter().map(|v| v * v).sum::<f32>().sqrt();
    let unit: Vec<f32> = mean.iter().map(|v| v / length).collect();
    let got = read(json!({"layer": -2, "pooling": "mean_genes"}));
    assert_close(&got, &unit, TOLERANCE, "of length 1");
}

#[test]
fn adapters_change_the_output_and_learn_as_with_peft() {
    let Some((golden, checkpoint)) = open() else { return };
    let chosen = || options(json!({"normalize": "none"}));
    let tokens = given(&golden, &checkpoint, "tok.gene", "tok.expr");
    for device in devices() {
        // A software driver takes long for a whole run: one step shows every gradient.
        let runs: &[(usize, bool)] =
            if device.info().software { &[(1, false)] } else { &[(5, false), (5, true)] };
        for &(steps, recompute) in runs {
            let learning = Learning::new(&golden, &device);
            let cells = learning.cells(&tokens);
            let adapted = Encoder::load(&checkpoint, &device, &chosen(), &learning.adapters()).unwrap();
            let plain = Encoder::load(&checkpoint, &device, &chosen(), &Adapters::default()).unwrap();
            let (with, without) = (embed(&adapted, &cells[..1]), embed(&plain, &cells[..1]));
            let change = with.iter().zip(&without).map(|(a, b)| (a - b).abs()).fold(0.0, f32::max);
            assert!(change > 1e-3, "the adapter changes an embedding by {change} only");
            learning.agrees(&adapted, &cells, steps, recompute);
        }
    }
}

#[test]
fn exactly_the_files_that_are_read_are_named() {
    let Some((golden, _)) = open() else { return };
    let names = |purpose| -> Vec<String> {
        let files =
            cell_model("scgpt").unwrap().files(&golden.checkpoint(), purpose, &Options::default()).unwrap();
        files.iter().map(|f| f.file_name().unwrap().to_string_lossy().into_owned()).collect()
    };
    assert_eq!(names(Purpose::Tokenize), ["args.json", "vocab.json"]);
    assert_eq!(names(Purpose::Embed), ["args.json", "best_model.pt", "vocab.json"]);
}
