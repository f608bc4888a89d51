//! scFoundation against the reference: tokens, states, vectors of cells and what the decoder says of genes within 2e-5 on
//! every backend.

use crate::common::learning::Learning;
use crate::common::{Golden, assert_close, devices, embed, options, tokenized};
use celldag_models::scfoundation::{Checkpoint, Encoder, Tokenizer, Vocabulary};
use celldag_models::{
    Adapters, CellCounts, CellEncoder, CellTokenizer, CellTokens, GeneEncoder, LoadEncoder, Loaded,
    ModelError, Options, Purpose, cell_model, mean_over_cells,
};
use celldag_shaders::Device;
use serde_json::{Value, json};

const TOLERANCE: f32 = 2e-5;
const GENES: usize = 19_264;

fn open() -> Option<(Golden, Checkpoint)> {
    let golden = Golden::open("scfoundation")?;
    let checkpoint = Checkpoint::find(&golden.checkpoint()).unwrap();
    Some((golden, checkpoint))
}

fn tokenizer(golden: &Golden, checkpoint: &Checkpoint, chosen: Value) -> Result<Tokenizer, ModelError> {
    Tokenizer::new(checkpoint, &golden.genes, &options(chosen))
}

fn tokens(golden: &Golden, checkpoint: &Checkpoint, chosen: Value) -> Vec<CellTokens> {
    golden.tokenized(&tokenizer(golden, checkpoint, chosen).unwrap())
}

fn load(checkpoint: &Checkpoint, device: &Device, chosen: Value) -> Result<Encoder, ModelError> {
    Encoder::load(checkpoint, device, &options(chosen), &Adapters::default())
}

/// Rows of stored values, as a matrix of `columns` columns has them.
fn rows(values: &[f32], columns: usize) -> Vec<(Vec<u32>, Vec<f32>)> {
    values.chunks(columns).map(|row| (0_u32..).zip(row).filter(|(_, v)| **v != 0.0).unzip()).collect()
}

#[test]
fn tokens_are_those_of_the_authors() {
    let Some((golden, checkpoint)) = open() else { return };
    let got = tokens(&golden, &checkpoint, json!({}));
    let lengths: Vec<i32> = got.iter().map(|cell| i32::try_from(cell.len()).unwrap()).collect();
    assert_eq!(lengths, golden.i32s("tok.t4.lengths"));
    let ids = got.iter().flat_map(|cell| cell.ids.iter().map(|&id| i32::try_from(id).unwrap()));
    assert!(ids.eq(golden.i32s("tok.t4.positions")));
    let values: Vec<f32> = got.iter().flat_map(|cell| cell.values.clone()).collect();
    let want = golden.f32s("tok.t4.values");
    let other = values.iter().zip(&want).filter(|(a, b)| a.to_bits() != b.to_bits()).count();
    println!("{other} of {} values have other bits", want.len());
    assert_close(&values, &want, 5e-7, "tok.t4.values");
}

#[test]
fn values_and_states_agree_on_every_backend() {
    let Some((golden, checkpoint)) = open() else { return };
    let cells = tokens(&golden, &checkpoint, json!({}));
    for device in devices() {
        let encoder = load(&checkpoint, &device, json!({})).unwrap();
        let what = |array: &str| format!("{array} on {}", device.info().backend);
        let grid = golden.f32s("autobin.grid");
        let values = encoder.model().values();
        let got = values.weights(&grid).unwrap().read().unwrap();
        assert_close(&got, &golden.f32s("autobin.weights"), TOLERANCE, &what("autobin.weights"));
        let got = values.embed(&grid).unwrap().read().unwrap();
        assert_close(&got, &golden.f32s("autobin.emb"), TOLERANCE, &what("autobin.emb"));
        for layer in 0..=3 {
            let array = format!("hid.cell0.layer{layer}");
            let got = encoder.model().states(&cells[..1], layer).unwrap().0.read().unwrap();
            assert_close(&got, &golden.f32s(&array), TOLERANCE, &what(&array));
        }
        for (number, cell) in cells.iter().enumerate().take(2) {
            let array = format!("hid.cell{number}.final");
            let got = encoder.hidden(cell, -1).unwrap();
            assert_close(&got, &golden.f32s(&array), TOLERANCE, &what(&array));
        }
        let before = encoder.hidden(&cells[0], -2).unwrap();
        assert_close(&before, &golden.f32s("hid.cell0.layer2"), TOLERANCE, &what("layer -2"));
    }
}

#[test]
fn vectors_agree_on_every_backend_and_do_not_depend_on_the_batch() {
    let Some((golden, checkpoint)) = open() else { return };
    let cases = [
        ("emb.cell.t4.F", json!({}), json!({})),
        ("emb.cell.t4.F", json!({"target_depth": "t4"}), json!({"key": "cell", "pooling": "stmm"})),
        ("emb.cell.f1.F", json!({"target_depth": "f1"}), json!({})),
        ("emb.cell.t4.F.poolmax", json!({}), json!({"pooling": "max"})),
        ("emb.rde.a5.F", json!({"target_depth": "a5"}), json!({"key": "rde"})),
        ("emb.rde.f2.F", json!({"target_depth": "f2"}), json!({"key": "rde"})),
        ("emb.rde.t4.5.F", json!({"target_depth": "t4.5"}), json!({"key": "rde"})),
    ];
    for device in devices() {
        for (number, (array, of_tokens, readout)) in cases.iter().enumerate() {
            let all = tokens(&golden, &checkpoint, of_tokens.clone());
            // A software driver takes long for many cells.
            let cells = if device.info().software { &all[..4] } else { &all[..] };
            let encoder = load(&checkpoint, &device, readout.clone()).unwrap();
            let what = format!("{array} on {}", device.info().backend);
            let whole = embed(&encoder, cells);
            assert_close(&whole, &golden.f32s(array)[..whole.len()], TOLERANCE, &what);
            if number == 0 {
                for size in [1, 3] {
                    let parts: Vec<f32> = cells.chunks(size).flat_map(|c| embed(&encoder, c)).collect();
                    assert!(parts == whole, "{what}: batches of {size} give other bits");
                }
            }
        }
    }
}

#[test]
fn logarithms_and_given_totals_are_read_as_the_authors_do() {
    let Some((golden, checkpoint)) = open() else { return };
    let encoder = load(&checkpoint, &Device::cpu(2).unwrap(), json!({})).unwrap();
    let logarithms = |counts: &[f32], total: f64| -> Vec<f32> {
        counts.iter().map(|&c| (f64::from(c) / total * 1e4).ln_1p() as f32).collect()
    };
    let sum = |counts: &[f32]| -> f64 { counts.iter().map(|&c| f64::from(c)).sum() };
    let cells: Vec<(Vec<u32>, Vec<f32>)> =
        golden.counts.iter().map(|(at, counts)| (at.to_vec(), logarithms(counts, sum(counts)))).collect();
    let read = |tokenizer: &Tokenizer, cells: &[(Vec<u32>, Vec<f32>)]| {
        embed(&encoder, &tokenized(tokenizer, cells.iter().map(|(a, b)| (a.as_slice(), b.as_slice()))))
    };
    let plain = tokenizer(&golden, &checkpoint, json!({"pre_normalized": "T"})).unwrap();
    assert_close(&read(&plain, &cells), &golden.f32s("emb.cell.t4.T"), TOLERANCE, "emb.cell.t4.T");

    // The same with a column more, which holds the totals of the genes of the list.
    let (mut genes, totals) = (golden.genes.clone(), golden.f32s("prep.total_count"));
    genes.symbols.push(Some("total".to_owned()));
    genes.ensembl.push(None);
    let column = u32::try_from(golden.genes.symbols.len()).unwrap();
    let cells: Vec<(Vec<u32>, Vec<f32>)> = golden
        .counts
        .iter()
        .zip(&totals)
        .map(|((at, counts), &total)| {
            let values = logarithms(counts, f64::from(total));
            (at.iter().copied().chain([column]).collect(), values.into_iter().chain([total]).collect())
        })
        .collect();
    let chosen = options(json!({"pre_normalized": "A", "target_depth": "f1"}));
    let given = Tokenizer::new(&checkpoint, &genes, &chosen).unwrap();
    assert_close(&read(&given, &cells), &golden.f32s("emb.cell.f1.A"), TOLERANCE, "emb.cell.f1.A");
    genes.symbols.push(Some("LYZ".to_owned()));
    genes.ensembl.push(None);
    let message = Tokenizer::new(&checkpoint, &genes, &chosen).unwrap_err().to_string();
    assert!(message.contains("`LYZ` is a gene"), "{message}");
}

#[test]
fn bulk_samples_are_scaled_to_their_median() {
    let Some((golden, checkpoint)) = open() else { return };
    let values = golden.f32s("bulk.input");
    let samples = rows(&values, values.len() / 2);
    let device = Device::cpu(2).unwrap();
    let mut raw = tokenizer(&golden, &checkpoint, json!({"input": "bulk"})).unwrap();
    assert!(raw.surveys());
    for (columns, counts) in &samples {
        raw.survey(&CellCounts { name: "", columns, counts }).unwrap();
    }
    raw.surveyed();
    let read = |tokenizer: &Tokenizer, samples: &[(Vec<u32>, Vec<f32>)], readout: Value| {
        let cells = tokenized(tokenizer, samples.iter().map(|(a, b)| (a.as_slice(), b.as_slice())));
        embed(&load(&checkpoint, &device, readout).unwrap(), &cells)
    };
    assert_close(&read(&raw, &samples, json!({})), &golden.f32s("emb.bulk.F"), TOLERANCE, "emb.bulk.F");
    let given = tokenizer(&golden, &checkpoint, json!({"input": "bulk", "pre_normalized": "T"})).unwrap();
    assert!(!given.surveys());
    let list = golden.i32s("prep.column_to_gene_index");
    let logarithms: Vec<(Vec<u32>, Vec<f32>)> = samples
        .iter()
        .map(|(at, counts)| {
            let in_list = at.iter().zip(counts).filter(|(column, _)| list[**column as usize] >= 0);
            let total: f64 = in_list.map(|(_, &c)| f64::from(c)).sum();
            let log = |&c: &f32| (f64::from(c) / total * 1e4).ln_1p() as f32;
            (at.clone(), counts.iter().map(log).collect())
        })
        .collect();
    let got = read(&given, &logarithms, json!({}));
    assert_close(&got, &golden.f32s("emb.bulk.T"), TOLERANCE, "emb.bulk.T");
    let got = read(&given, &logarithms, json!({"pooling": "max"}));
    assert_close(&got, &golden.f32s("emb.bulk.T.poolmax"), TOLERANCE, "emb.bulk.T.poolmax");
}

#[test]
fn genes_are_decoded_on_every_backend() {
    let Some((golden, checkpoint)) = open() else { return };
    let all = tokens(&golden, &checkpoint, json!({}));
    let index: Vec<usize> =
        golden.i32s("gene.index").iter().map(|&gene| usize::try_from(gene).unwrap()).collect();
    for device in devices() {
        let cells = if device.info().software { 1 } else { 3 };
        let encoder = load(&checkpoint, &device, json!({"output": "expression"})).unwrap();
        assert_eq!((encoder.info().dim, encoder.info().variant.as_str()), (GENES, "gene"));
        let what = |array: &str| format!("{array} on {}", device.info().backend);
        let (mut vectors, mut means) = (Vec::new(), Vec::new());
        for cell in &all[..cells] {
            let genes = encoder.gene_embeddings(cell).unwrap();
            let width = genes.len() / GENES;
            vectors.extend(index.iter().flat_map(|&gene| genes[gene * width..][..width].to_vec()));
            let mean = |j| genes.chunks(width).map(|row| f64::from(row[j])).sum::<f64>() / GENES as f64;
            means.extend((0..width).map(|j| mean(j) as f32));
        }
        assert_close(&vectors, &golden.f32s("gene.emb")[..vectors.len()], TOLERANCE, &what("gene.emb"));
        let want = &golden.f32s("gene.emb_mean_over_19264")[..means.len()];
        assert_close(&means, want, TOLERANCE, &what("gene.emb_mean_over_19264"));
        let whole = embed(&encoder, &all[..cells]);
        let picked: Vec<f32> =
            whole.chunks(GENES).flat_map(|cell| index.iter().map(|&gene| cell[gene])).collect();
        let want = &golden.f32s("gene.expression")[..picked.len()];
        assert_close(&picked, want, TOLERANCE, &what("gene.expression"));
        if !device.info().software {
            let together = encoder.expression(&all[..cells]).unwrap().read().unwrap();
            assert!(together == whole, "{}: cells change each other", what("gene.expression"));
        }
    }
}

#[test]
fn genes_are_the_mean_over_cells_on_every_backend() {
    let Some((golden, checkpoint)) = open() else { return };
    let all = tokens(&golden, &checkpoint, json!({}));
    let index: Vec<usize> =
        golden.i32s("gene.index").iter().map(|&gene| usize::try_from(gene).unwrap()).collect();
    let list = Vocabulary::read(&checkpoint.gene_list).unwrap().genes;
    let (folder, chosen, adapters) = (golden.checkpoint(), options(json!({})), Adapters::default());
    let load = |device: &Device| {
        let load = LoadEncoder { checkpoint: &folder, device, options: &chosen, adapters: &adapters };
        cell_model("scfoundation").unwrap().gene_encoder(load)
    };
    for device in devices() {
        let cells = if device.info().software { 1 } else { 3 };
        let mut loaded: Loaded<'_, dyn GeneEncoder> = Loaded::new(&device, load).unwrap();
        let (genes, dim) = (loaded.encoder().genes(), loaded.encoder().info().dim);
        assert!(genes.len() == GENES && (0..).zip(genes).all(|(place, name)| list[name] == place));
        assert_eq!(loaded.encoder().info().options["key"], json!("gene"));
        // A cell without tokens does not count.
        let read = all[..cells].iter().cloned().chain([CellTokens::default()]).map(Ok);
        let mean = mean_over_cells(&mut loaded, read, || Ok::<_, ModelError>(())).unwrap();
        assert!(mean.cells.iter().all(|&n| n as usize == cells));
        let got: Vec<f32> =
            index.iter().flat_map(|&gene| mean.values[gene * dim..][..dim].to_vec()).collect();
        let stored = golden.f32s("gene.emb");
        let size = index.len() * dim;
        let sum = |at| stored.chunks(size).take(cells).map(|cell| f64::from(cell[at])).sum::<f64>();
        let want: Vec<f32> = (0..size).map(|at| (sum(at) / cells as f64) as f32).collect();
        assert_close(&got, &want, TOLERANCE, &format!("mean of gene.emb on {}", device.info().backend));
        assert!(loaded.peak() > 0);
    }
    let device = Device::cpu(1).unwrap();
    let load = LoadEncoder { checkpoint: &folder, device: &device, options: &chosen, adapters: &adapters };
    let refused = cell_model("scgpt").unwrap().gene_encoder(load).err().unwrap().to_string();
    assert!(refused.contains("scgpt gives no vectors of genes; scfoundation does"), "{refused}");
}

#[test]
fn adapters_change_the_output_and_learn() {
    let Some((golden, checkpoint)) = open() else { return };
    let all = tokens(&golden, &checkpoint, json!({}));
    for device in devices() {
        // A software driver takes long for a whole run: one step shows every gradient.
        let runs: &[(usize, bool)] =
            if device.info().software { &[(1, false)] } else { &[(5, false), (5, true)] };
        for &(steps, recompute) in runs {
            let learning = Learning::new(&golden, &device);
            let cells = learning.cells(&all);
            let adapted =
                Encoder::load(&checkpoint, &device, &options(json!({})), &learning.adapters()).unwrap();
            let plain = load(&checkpoint, &device, json!({})).unwrap();
            let (with, without) = (embed(&adapted, &cells[..1]), embed(&plain, &cells[..1]));
            let change = with.iter().zip(&without).map(|(a, b)| (a - b).abs()).fold(0.0, f32::max);
            assert!(change > 1e-3, "the adapter changes a vector by {change} only");
            learning.agrees(&adapted, &cells, steps, recompute);
        }
    }
}

#[test]
fn what_cannot_be_read_is_refused() {
    let Some((golden, checkpoint)) = open() else { return };
    let device = Device::cpu(1).unwrap();
    let of_tokens = |chosen| tokenizer(&golden, &checkpoint, chosen).unwrap_err().to_string();
    assert!(of_tokens(json!({"target_depth": "4"})).contains("t4"));
    assert!(of_tokens(json!({"input": "bulk", "pre_normalized": "A"})).contains("F or T"));
    let of_model = |chosen| load(&checkpoint, &device, chosen).unwrap_err().to_string();
    assert!(of_model(json!({"key": "rce"})).contains("rce"));
    assert!(of_model(json!({"output": "expression", "layer": -2})).contains("do not apply"));
    assert!(of_model(json!({"layer": -9})).contains("layer -9"));
    // One count: S is log10(1) = 0, which is no token.
    let plain = tokenizer(&golden, &checkpoint, json!({})).unwrap();
    let column = golden.i32s("prep.column_to_gene_index").iter().position(|&gene| gene >= 0).unwrap();
    let columns = [u32::try_from(column).unwrap()];
    let one = CellCounts { name: "a", columns: &columns, counts: &[1.0] };
    assert!(plain.tokenize(&one).unwrap().is_empty());
    let encoder = load(&checkpoint, &device, json!({})).unwrap();
    let cut = CellTokens { ids: vec![1, 2, 3], values: vec![1.0; 3] };
    let refused = encoder.hidden(&cut, -1).unwrap_err().to_string();
    assert!(refused.contains("not genes, T and S"), "{refused}");
    assert!(encoder.gene_embeddings(&cut).unwrap_err().to_string().contains("output = expression"));
    let files = |purpose| {
        cell_model("scfoundation")
            .unwrap()
            .files(&golden.checkpoint(), purpose, &Options::default())
            .unwrap()
            .len()
    };
    assert_eq!((files(Purpose::Tokenize), files(Purpose::Embed)), (1, 2));
}
