//! Geneformer V1 and V2 against the reference: tokens to the bit, states and embeddings within 2e-5 on every backend.

use std::path::Path;

use crate::common::{Golden, assert_close, devices, fixture, tokenized};
use celldag_models::geneformer::{Checkpoint, Encoder, Pooling, Readout, Tokenizer};
use celldag_models::{
    CellEncoder, CellTokenizer, CellTokens, Cells, Loaded, ModelError, Options, Purpose, cell_model,
    embed_cells,
};
use celldag_shaders::{Device, DeviceOptions};

const TOLERANCE: f32 = 2e-5;
const VARIANTS: [&str; 2] = ["geneformer-v1", "geneformer-v2"];

fn tokenizer(golden: &Golden) -> Tokenizer {
    Tokenizer::new(&Checkpoint::find(&golden.checkpoint()).unwrap(), &golden.genes, &Options::default())
        .unwrap()
}

fn encoder(folder: &Path, device: &Device) -> Encoder {
    Encoder::load(&Checkpoint::find(folder).unwrap(), device).unwrap()
}

fn loaded<'a>(golden: &'a Golden, device: &Device) -> Loaded<'a> {
    let load = |device: &Device| Ok(Box::new(encoder(&golden.checkpoint(), device)) as Box<dyn CellEncoder>);
    Loaded::new(device, load).unwrap()
}

/// Vectors of a batch, read back.
fn read(encoder: &Encoder, cells: &[CellTokens], readout: Readout) -> Vec<f32> {
    encoder.read(cells, readout).unwrap().read().unwrap()
}

fn at(layer: i32, pooling: Pooling) -> Readout {
    Readout { layer, pooling }
}

#[test]
fn tokens_are_those_of_the_authors() {
    for name in VARIANTS {
        let Some(golden) = Golden::open(name) else { return };
        let tokenizer = tokenizer(&golden);
        let tokens = golden.tokenized(&tokenizer);
        assert!(tokens == golden.tokens(), "{name}: tokens differ");
        assert_eq!(format!("geneformer-{}", tokenizer.info().variant.to_lowercase()), name);
    }
}

#[test]
fn rank_values_have_the_same_bits() {
    for (name, frame) in [("geneformer-v1", 0), ("geneformer-v2", 1)] {
        let Some(golden) = Golden::open(name) else { return };
        let tokenizer = tokenizer(&golden);
        for cell in 0..2 {
            let (columns, values) = golden.counts.row(cell);
            let got: Vec<f64> = tokenizer.rank(columns, values).unwrap().iter().map(|(v, _)| *v).collect();
            let want = golden.f64s(&format!("tok.values.cell{cell}"));
            assert_eq!(got, want[frame..want.len() - frame], "{name} cell {cell}");
        }
    }
}

#[test]
fn hidden_states_agree_on_every_backend() {
    for device in devices() {
        for name in VARIANTS {
            let Some(golden) = Golden::open(name) else { return };
            let encoder = encoder(&golden.checkpoint(), &device);
            let tokens = golden.tokens();
            let what = |array: &str| format!("{name} {array} on {}", device.info().backend);
            for (depth, layer) in (-4..0).enumerate() {
                let array = format!("hidden.cell0.{depth}");
                let got = encoder.hidden(&tokens[0].ids, layer).unwrap();
                assert_close(&got, &golden.f32s(&array), TOLERANCE, &what(&array));
            }
            let got = encoder.hidden(&tokens[1].ids, -1).unwrap();
            assert_close(&got, &golden.f32s("hidden.cell1.last"), TOLERANCE, &what("hidden.cell1.last"));
        }
    }
}

#[test]
fn embeddings_agree_on_every_backend_and_do_not_depend_on_the_batch() {
    let v1: &[(Readout, &str)] =
        &[(at(-2, Pooling::Mean), "emb.mean_second_to_last"), (at(-1, Pooling::Mean), "emb.mean_last")];
    let v2: &[(Readout, &str)] = &[
        (at(-2, Pooling::Cls), "emb.cls_second_to_last"),
        (at(-1, Pooling::Cls), "emb.cls_last"),
        (at(-2, Pooling::Mean), "emb.mean_second_to_last"),
        (at(-1, Pooling::Mean), "emb.mean_last"),
    ];
    for device in devices() {
        for (name, cases) in [("geneformer-v1", v1), ("geneformer-v2", v2)] {
            let Some(golden) = Golden::open(name) else { return };
            let encoder = encoder(&golden.checkpoint(), &device);
            assert_eq!(encoder.readout(), cases[0].0, "the first case is the authors' default");
            let tokens = golden.tokens();
            // The last two cells fill the context and cost more than all others, so only one readout has them.
            let short = &tokens[..tokens.len() - 2];
            for (case, &(readout, array)) in cases.iter().enumerate() {
                let what = format!("{name} {array} on {}", device.info().backend);
                let want = golden.f32s(array);
                let cells = if case == 0 { tokens.as_slice() } else { short };
                let whole = read(&encoder, cells, readout);
                let rows = cells.len() * encoder.info().dim;
                assert_close(&whole, &want[..rows], TOLERANCE, &what);
                for size in [1, 3].into_iter().filter(|_| case == 0) {
                    let parts: Vec<f32> =
                        short.chunks(size).flat_map(|b| read(&encoder, b, readout)).collect();
                    assert!(parts == whole[..parts.len()], "{what}: batches of {size} give other bits");
                }
            }
        }
    }
}

#[test]
fn results_do_not_depend_on_threads_or_token_budget() {
    let Some(golden) = Golden::open("geneformer-v1") else { return };
    let mut tokens = golden.tokens();
    tokens.insert(2, CellTokens::default());
    let lengths: Vec<usize> = tokens.iter().map(CellTokens::len).collect();
    let run = |threads, batch_tokens| {
        let mut loaded = loaded(&golden, &Device::cpu(threads).unwrap());
        let all = Cells { lengths: &lengths, neighbourhoods: None, batch_tokens };
        let read = |cells: &[usize]| Ok::<_, ModelError>(cells.iter().map(|&c| tokens[c].clone()).collect());
        embed_cells(&mut loaded, all, read).unwrap()
    };
    let bits = |rows: Vec<f32>| rows.into_iter().map(f32::to_bits).collect::<Vec<_>>();
    let one = run(1, 1);
    let dim = one.len() / lengths.len();
    assert!(one[2 * dim..3 * dim].iter().all(|v| v.is_nan()), "the empty cell");
    assert_close(
        &one[3 * dim..],
        &golden.f32s("emb.mean_second_to_last")[2 * dim..],
        TOLERANCE,
        "rows behind it",
    );
    let one = bits(one);
    assert!(one == bits(run(2, 1000)) && one == bits(run(2, 1_000_000)));
}

/// Embeds all cells with all tokens in one batch at first; `before` sees the device before each batch.
fn in_one_batch(
    golden: &Golden,
    device: &Device,
    mut before: impl FnMut(usize, &Device),
) -> (Vec<f32>, Vec<usize>, u64) {
    let tokens = golden.tokens();
    let tokens = &tokens[..tokens.len() - 2];
    let lengths: Vec<usize> = tokens.iter().map(CellTokens::len).collect();
    let mut loaded = loaded(golden, device);
    let all = Cells { lengths: &lengths, neighbourhoods: None, batch_tokens: 1 << 20 };
    let (mut sizes, device) = (Vec::new(), device.clone());
    let read = |cells: &[usize]| {
        before(sizes.len(), &device);
        sizes.push(cells.len());
        Ok::<_, ModelError>(cells.iter().map(|&c| tokens[c].clone()).collect())
    };
    let rows = embed_cells(&mut loaded, all, read).unwrap();
    (rows, sizes, loaded.peak())
}

#[test]
fn a_memory_limit_halves_batches_and_keeps_the_bits() {
    let Some(golden) = Golden::open("geneformer-v1") else { return };
    for device in devices() {
        let (whole, sizes, peak) = in_one_batch(&golden, &device, |_, _| {});
        assert_eq!(sizes.len(), 1);
        let weights = loaded(&golden, &device).device().memory().live;
        let limit = weights + (peak - weights) / 2;
        let choice =
            if device.info().backend == "cpu" { "cpu".to_owned() } else { device.info().name.clone() };
        let options = DeviceOptions { memory_limit: Some(limit), ..DeviceOptions::new(&choice, 2) };
        let tight = Device::open_with(&options).unwrap();
        let (parts, sizes, peak) = in_one_batch(&golden, &tight, |_, _| {});
        assert!(sizes.len() > 2, "{sizes:?} on {tight:?}");
        assert!(peak <= limit, "{peak} of {limit} on {tight:?}");
        assert!(whole.iter().map(|v| v.to_bits()).eq(parts.iter().map(|v| v.to_bits())), "{tight:?}");
    }
}

#[test]
fn a_lost_device_is_opened_again_and_the_bits_are_the_same() {
    let Some(golden) = Golden::open("geneformer-v1") else { return };
    for device in devices().into_iter().filter(|device| device.info().backend == "gpu") {
        let (whole, ..) = in_one_batch(&golden, &device, |_, _| {});
        let lose_first = |batch: usize, device: &Device| {
            if batch == 0 {
                celldag_shaders::testing::destroy(device);
            }
        };
        let (again, sizes, _) = in_one_batch(&golden, &device, lose_first);
        assert_eq!(sizes.len(), 2, "the batch is repeated");
        assert!(whole.iter().map(|v| v.to_bits()).eq(again.iter().map(|v| v.to_bits())));
    }
}

#[test]
fn the_fine_tuned_classifier_holds_the_same_encoder() {
    let Some(golden) = Golden::open("geneformer-v1") else { return };
    let device = Device::cpu(2).unwrap();
    let tuned = golden
        .checkpoint()
        .join("fine_tuned_models/Geneformer-V1-10M_CellClassifier_cardiomyopathies_220224");
    let tokens = golden.tokens();
    let embed = |folder: &Path| read(&encoder(folder, &device), &tokens[..4], at(-1, Pooling::Mean));
    assert_eq!(embed(&tuned), embed(&golden.checkpoint()));
}

#[test]
fn exactly_the_files_that_are_read_are_named() {
    let Some(golden) = Golden::open("geneformer-v1") else { return };
    let model = cell_model("geneformer").unwrap();
    let names = |purpose| -> Vec<String> {
        let files = model.files(&golden.checkpoint(), purpose, &Options::default()).unwrap();
        files.iter().map(|f| f.file_name().unwrap().to_string_lossy().into_owned()).collect()
    };
    assert_eq!(
        names(Purpose::Tokenize),
        [
            "config.json",
            "ensembl_mapping_dict_gc30M.pkl",
            "gene_median_dictionary_gc30M.pkl",
            "gene_name_id_dict_gc30M.pkl",
            "token_dictionary_gc30M.pkl"
        ]
    );
    assert_eq!(names(Purpose::Embed), ["config.json", "pytorch_model.bin", "token_dictionary_gc30M.pkl"]);
}

#[test]
fn the_toy_checkpoint_loads_and_reads_real_cells() {
    let Some(folder) = fixture("models/geneformer-mini") else { return };
    let Some(file) = fixture("data/pbmc68k_700/pbmc68k_700.h5ad") else { return };
    let cells = celldag_data::CellsFile::open(file).unwrap();
    let matrix = cells.counts_matrix(&celldag_data::CountsSource::Auto).unwrap();
    let genes = celldag_data::GeneIds::detect(matrix.var());
    let checkpoint = Checkpoint::find(&folder).unwrap();
    let tokenizer = Tokenizer::new(&checkpoint, &genes, &Options::default()).unwrap();
    let counts = cells.read_matrix(&matrix).unwrap();
    let tokens = tokenized(&tokenizer, counts.iter().take(50));
    assert!(tokens.iter().all(|t| !t.is_empty() && t.len() <= 256));
    let encoder = Encoder::load(&checkpoint, &Device::cpu(2).unwrap()).unwrap();
    let rows = read(&encoder, &tokens, encoder.readout());
    assert_eq!(rows.len(), 50 * 64);
    assert!(rows.iter().all(|v| v.is_finite()));
    assert!(rows[..64] != rows[64..128], "cells differ");
}

#[test]
fn layers_and_poolings_that_do_not_exist_are_explained() {
    let Some(golden) = Golden::open("geneformer-v1") else { return };
    let encoder = encoder(&golden.checkpoint(), &Device::cpu(1).unwrap());
    let tokens = golden.tokens();
    let error = encoder.read(&tokens[..1], at(-5, Pooling::Mean)).unwrap_err().to_string();
    assert!(error.contains("layer -5") && error.contains("3 layers"), "{error}");
    let error = encoder.read(&tokens[..1], at(-1, Pooling::Cls)).unwrap_err().to_string();
    assert!(error.contains("<cls>") && error.contains("mean"), "{error}");
    assert!(matches!(encoder.read(&[vec![4202].into()], at(-1, Pooling::Mean)), Err(ModelError::Tokens(_))));
    assert!(matches!(
        encoder.read(&[vec![5; 2049].into()], at(-1, Pooling::Mean)),
        Err(ModelError::Tokens(_))
    ));
    assert!(matches!(encoder.read(&[vec![].into()], at(-1, Pooling::Mean)), Err(ModelError::Tokens(_))));
}
