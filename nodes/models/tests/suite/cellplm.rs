//! CellPLM against the reference: both versions, every kind of neighbourhood, within 2e-5 on every backend.

use std::collections::BTreeMap;
use std::path::Path;

use crate::common::learning::Learning;
use crate::common::{Golden, assert_close, devices, options};
use celldag_models::cellplm::{Encoder, Tokenizer};
use celldag_models::{
    Adapters, Batch, CellCounts, CellEncoder, CellTokenizer, CellTokens, LoadEncoder, Lora, ModelError,
    Neighbourhood, Options, Purpose, Slot, cell_model,
};
use celldag_shaders::Device;
use serde_json::{Value, json};

const TOLERANCE: f32 = 2e-5;
const VERSIONS: [(&str, &str); 2] = [("gmvae", "20230926_85M"), ("vae", "20231027_85M")];
const CELLS: usize = 24;

fn tokens(golden: &Golden, version: &str) -> Vec<CellTokens> {
    let made =
        Tokenizer::new(&golden.checkpoint(), &golden.genes, &options(json!({"version": version}))).unwrap();
    golden.tokenized(&made)
}

fn encoder(
    folder: &Path,
    device: &Device,
    values: Value,
    adapters: &Adapters,
) -> Result<Encoder, ModelError> {
    Encoder::load(LoadEncoder { checkpoint: folder, device, options: &options(values), adapters })
}

fn plain(golden: &Golden, device: &Device, version: &str) -> Encoder {
    encoder(&golden.checkpoint(), device, json!({"version": version}), &Adapters::default()).unwrap()
}

fn embed(encoder: &Encoder, cells: &[CellTokens], neighbourhoods: &[usize]) -> Vec<f32> {
    encoder.embed(Batch { cells, neighbourhoods }).unwrap()
}

#[test]
fn genes_are_those_of_the_authors() {
    let Some(golden) = Golden::open("cellplm") else { return };
    let made = Tokenizer::new(&golden.checkpoint(), &golden.genes, &Options::default()).unwrap();
    assert_eq!((made.info().variant.as_str(), made.info().has_values), ("20230926_85M", true));
    let places: BTreeMap<i32, i32> =
        golden.i32s("prep.kept_columns").into_iter().zip(golden.i32s("prep.gene_index")).collect();
    assert_eq!(made.coverage().matched, places.len());
    for (cell, (columns, counts)) in golden.tokenized(&made).iter().zip(golden.counts.iter()) {
        let kept = columns.iter().zip(counts).filter(|(_, count)| **count > 0.0);
        let (ids, values): (Vec<u32>, Vec<f32>) = kept
            .filter_map(|(&column, count)| {
                let row = places.get(&i32::try_from(column).unwrap())?;
                Some((u32::try_from(*row).unwrap(), f64::from(*count).ln_1p() as f32))
            })
            .unzip();
        assert!(cell.ids == ids && cell.values == values);
    }
}

#[test]
fn states_agree_on_every_backend() {
    let Some(golden) = Golden::open("cellplm") else { return };
    for device in devices() {
        for (name, version) in VERSIONS {
            let encoder = plain(&golden, &device, version);
            let cells = tokens(&golden, version);
            let steps = encoder.steps(Batch { cells: &cells, neighbourhoods: &[CELLS] }).unwrap();
            let arrays = ["gene_sum", "embedder", "layer0", "layer1", "layer2", "layer3", "pre_latent_norm"];
            assert_eq!(steps.len(), arrays.len());
            for (array, step) in arrays.iter().zip(steps) {
                let array = format!("hid.{name}.{array}");
                let what = format!("{array} on {}", device.info().backend);
                assert_close(&step.read().unwrap(), &golden.f32s(&array), TOLERANCE, &what);
            }
        }
    }
}

#[test]
fn embeddings_agree_on_every_backend_and_do_not_depend_on_the_batch() {
    let Some(golden) = Golden::open("cellplm") else { return };
    for device in devices() {
        let backend = device.info().backend;
        for (name, version) in VERSIONS {
            let encoder = plain(&golden, &device, version);
            let cells = tokens(&golden, version);
            let argmax = if name == "gmvae" { "gmvae.argmax" } else { "vae" };
            let check = |neighbourhoods: &[usize], array: &str| {
                let array = format!("emb.{argmax}.{array}");
                let got = embed(&encoder, &cells, neighbourhoods);
                assert_close(&got, &golden.f32s(&array), TOLERANCE, &format!("{array} on {backend}"));
                got
            };
            check(&[CELLS], "all_cells_one_batch");
            let chunks = check(&[7, 7, 7, 3], "chunks");
            let apart: Vec<f32> =
                cells.chunks(7).flat_map(|chunk| embed(&encoder, chunk, &[chunk.len()])).collect();
            assert!(chunks == apart, "{name}: chunks in one batch have other bits than apart");
            if name == "gmvae" {
                let alone = check(&[1; CELLS], "cell_by_cell");
                for size in [1, 3] {
                    let parts: Vec<f32> = cells
                        .chunks(size)
                        .flat_map(|cells| embed(&encoder, cells, &vec![1; cells.len()]))
                        .collect();
                    assert!(parts == alone, "{name}: batches of {size} give other bits");
                }
            }
        }
    }
}

#[test]
fn cells_of_a_sample_see_each_other() {
    let Some(golden) = Golden::open("cellplm") else { return };
    let device = Device::cpu(2).unwrap();
    let file = celldag_data::CellsFile::open(golden.folder.join("input.h5ad")).unwrap();
    let column = file.obs().column("sample").unwrap();
    let mut samples: BTreeMap<String, Vec<usize>> = BTreeMap::new();
    for cell in 0..CELLS {
        samples.entry(column.as_text(cell).unwrap().to_string()).or_default().push(cell);
    }
    let order: Vec<usize> = samples.values().flatten().copied().collect();
    let sizes: Vec<usize> = samples.values().map(Vec::len).collect();
    let all = tokens(&golden, "");
    let cells: Vec<CellTokens> = order.iter().map(|&cell| all[cell].clone()).collect();
    let options = json!({"neighbourhood": "obs:sample"});
    let encoder = encoder(&golden.checkpoint(), &device, options, &Adapters::default()).unwrap();
    assert_eq!(encoder.info().neighbourhood, Neighbourhood::Column("sample".to_owned()));
    let want = golden.f32s("emb.gmvae.argmax.by_sample");
    let want: Vec<f32> = order.iter().flat_map(|&cell| want[cell * 32..(cell + 1) * 32].to_vec()).collect();
    assert_close(&embed(&encoder, &cells, &sizes), &want, TOLERANCE, "emb.gmvae.argmax.by_sample");
}

#[test]
fn the_authors_noise_gives_the_authors_clusters() {
    let Some(golden) = Golden::open("cellplm") else { return };
    let device = Device::cpu(2).unwrap();
    let encoder = plain(&golden, &device, "");
    let cells = tokens(&golden, "");
    for (neighbourhoods, uniforms, array) in [
        (vec![CELLS], "gmvae.U", "emb.gmvae.all_cells_one_batch"),
        (vec![7, 7, 7, 3], "gmvae.chunks.U", "emb.gmvae.chunks"),
    ] {
        let batch = Batch { cells: &cells, neighbourhoods: &neighbourhoods };
        let got = encoder.drawn(batch, &golden.f32s(uniforms)).unwrap();
        assert_close(&got.read().unwrap(), &golden.f32s(array), TOLERANCE, array);
    }
}

#[test]
fn readouts_differ() {
    let Some(golden) = Golden::open("cellplm") else { return };
    let device = Device::cpu(2).unwrap();
    let cells = tokens(&golden, "");
    let of = |values: Value| {
        let encoder = encoder(&golden.checkpoint(), &device, values, &Adapters::default()).unwrap();
        let rows = embed(&encoder, &cells, &[CELLS]);
        assert_eq!(rows.len(), CELLS * encoder.info().dim);
        rows
    };
    let default = of(json!({}));
    assert_eq!(default, of(json!({"latent": "argmax", "layer": -1, "neighbourhood": "all"})));
    assert!(default != of(json!({"latent": "expectation"})) && default != of(json!({"layer": -2})));
    let states = of(json!({"latent": "none"}));
    assert_close(&states, &golden.f32s("hid.gmvae.pre_latent_norm"), TOLERANCE, "latent=none");
    // One Gaussian has nothing to choose.
    let vae = json!({"version": "20231027_85M", "latent": "expectation"});
    let encoder = encoder(&golden.checkpoint(), &device, vae, &Adapters::default()).unwrap();
    let cells = tokens(&golden, "20231027_85M");
    let got = embed(&encoder, &cells, &[CELLS]);
    assert_close(&got, &golden.f32s("emb.vae.all_cells_one_batch"), TOLERANCE, "expectation of one Gaussian");
}

#[test]
fn lora_learns_as_with_peft() {
    let Some(golden) = Golden::open("cellplm") else { return };
    let device = Device::cpu(2).unwrap();
    for (run, version) in [("ft", "20230926_85M"), ("ftvae", "20231027_85M")] {
        let cells = tokens(&golden, version);
        for recompute in [false, true] {
            let learning = Learning::of_run(&golden, &device, run, &[CELLS]);
            let values = json!({"version": version});
            let encoder = encoder(&golden.checkpoint(), &device, values, &learning.adapters()).unwrap();
            learning.agrees(&encoder, &cells, 5, recompute);
        }
    }
}

#[test]
fn every_linear_layer_takes_an_adapter() {
    let Some(golden) = Golden::open("cellplm") else { return };
    let device = Device::cpu(2).unwrap();
    let cells = tokens(&golden, "");
    let without = embed(&plain(&golden, &device, ""), &cells, &[CELLS]);
    for (name, inputs, outputs) in [
        ("embedder.extra_linear.0", 48, 48),
        ("encoder.layers.0.self_attn.query_projection", 48, 48),
        ("encoder.layers.1.self_attn.out_projection", 48, 48),
        ("encoder.layers.2._ff_block.0", 48, 96),
        ("encoder.layers.3._ff_block.3", 96, 48),
        ("latent.layers.1.inference.inference_qzyx.0", 64, 512),
        ("latent.layers.1.inference.inference_qzyx.2.mu", 512, 32),
    ] {
        let values = |n: usize| (0..n).map(|i| 0.05 * ((i % 7) as f32 - 3.0)).collect::<Vec<f32>>();
        let slot =
            |shape: [usize; 2]| Slot::new(device.upload(&shape, &values(shape[0] * shape[1])).unwrap());
        let lora = Lora::new(slot([4, inputs]), slot([outputs, 4]), 1.0);
        let adapters = Adapters::new(BTreeMap::from([(name.to_owned(), lora)]));
        let adapted = encoder(&golden.checkpoint(), &device, json!({}), &adapters).unwrap();
        assert!(embed(&adapted, &cells, &[CELLS]) != without, "{name} changes nothing");
    }
}

#[test]
fn a_wrong_configuration_is_refused() {
    let Some(golden) = Golden::open("cellplm") else { return };
    let device = Device::cpu(1).unwrap();
    let original = fs_err::read_to_string(golden.checkpoint().join("20230926_85M.config.json")).unwrap();
    let folder = tempfile::tempdir().unwrap();
    let root = folder.path();
    let weights = golden.checkpoint().join("20230926_85M.best.ckpt");
    fs_err::copy(weights, root.join("mine.best.ckpt")).unwrap();
    let refused = |change: &dyn Fn(&mut Value)| {
        let mut config: Value = serde_json::from_str(&original).unwrap();
        change(&mut config);
        fs_err::write(root.join("mine.config.json"), config.to_string()).unwrap();
        encoder(root, &device, json!({}), &Adapters::default()).map(drop)
    };
    refused(&|_| {}).unwrap();
    let message = |change: &dyn Fn(&mut Value)| refused(change).unwrap_err().to_string();
    let vae = message(&|config| config["latent_mod"] = json!("vae"));
    assert!(vae.contains("hid_2mu.weight") && vae.contains("inference_qyx"), "missing and left over: {vae}");
    let layers = message(&|config| config["enc_layers"] = json!(3));
    assert!(layers.contains("encoder.layers.3."), "{layers}");
    assert!(message(&|config| config["enc_layers"] = json!(5)).contains("encoder.layers.4."));
    assert!(message(&|config| config["num_clusters"] = json!(8)).contains("logits"));
    assert!(message(&|config| config["enc_hid"] = json!(40)).contains("embedder.feat_enc.emb"));
    let genes = |config: &mut Value| drop(config["gene_list"].as_array_mut().unwrap().pop());
    assert!(message(&genes).contains("embedder.feat_enc.emb"));
    assert!(message(&|config| config["enc_mod"] = json!("performer")).contains("flowformer"));
    assert!(message(&|config| config["norm"] = json!("layernorm")).contains("groupnorm"));
    assert!(message(&|config| config["latent_mod"] = json!("ae")).contains("gmvae"));
}

#[test]
fn mistakes_are_explained() {
    let Some(golden) = Golden::open("cellplm") else { return };
    let device = Device::cpu(1).unwrap();
    let load = |values: Value| {
        encoder(&golden.checkpoint(), &device, values, &Adapters::default())
            .map(drop)
            .unwrap_err()
            .to_string()
    };
    assert!(load(json!({"neighbourhood": "sample"})).contains("obs:COLUMN"));
    assert!(load(json!({"neighbourhood": "obs:"})).contains("obs:COLUMN"));
    assert!(load(json!({"version": "2024"})).contains("20231027_85M"));
    assert!(load(json!({"layer": -6})).contains("4 layers"));
    assert!(load(json!({"latent": "drawn"})).contains("argmax"));
    let mut genes = golden.genes.clone();
    genes.ensembl.iter_mut().flatten().for_each(|id| *id = id.replace("ENSG", "ENSMUSG"));
    let error = Tokenizer::new(&golden.checkpoint(), &genes, &Options::default()).unwrap_err();
    assert!(matches!(&error, ModelError::NoGenes { help, .. } if help.contains("Ensembl")), "{error}");
    let encoder = plain(&golden, &device, "");
    let refused = |cell: CellTokens, neighbourhoods: &[usize]| {
        let batch = Batch { cells: &[cell], neighbourhoods };
        encoder.embed(batch).unwrap_err().to_string()
    };
    assert!(refused(CellTokens { ids: vec![2100], values: vec![1.0] }, &[1]).contains("2100"));
    assert!(refused(vec![1].into(), &[1]).contains("no expression"));
    assert!(refused(CellTokens { ids: vec![1], values: vec![1.0] }, &[2]).contains("neighbourhoods"));
}

#[test]
fn symbols_are_looked_up_where_the_folder_has_a_table() {
    let Some(golden) = Golden::open("cellplm") else { return };
    let folder = tempfile::tempdir().unwrap();
    let root = folder.path();
    let config = "20230926_85M.config.json";
    fs_err::copy(golden.checkpoint().join(config), root.join(config)).unwrap();
    let mut genes = golden.genes.clone();
    let symbols: BTreeMap<String, String> = genes
        .symbols
        .iter()
        .zip(&genes.ensembl)
        .filter_map(|(symbol, id)| Some((symbol.clone()?, id.clone()?)))
        .collect();
    assert!(!symbols.is_empty());
    genes.ensembl.iter_mut().for_each(|id| *id = None);
    assert!(matches!(Tokenizer::new(root, &genes, &Options::default()), Err(ModelError::NoGenes { .. })));
    let table = root.join("gene_name_id_dict.json");
    fs_err::write(&table, serde_json::to_string(&symbols).unwrap()).unwrap();
    let made = Tokenizer::new(root, &genes, &Options::default()).unwrap();
    assert!(made.coverage().by_symbol > 1500 && made.coverage().by_id == 0, "{:?}", made.coverage());
    let model = cell_model("cellplm").unwrap();
    let files = model.files(root, Purpose::Tokenize, &Options::default()).unwrap();
    assert_eq!(files.len(), 2);
    assert!(
        model.files(root, Purpose::Embed, &Options::default()).unwrap_err().to_string().contains("best.ckpt")
    );
    let both = |given: Value| -> Vec<String> {
        let files = model.files(&golden.checkpoint(), Purpose::Embed, &options(given)).unwrap();
        files.iter().map(|file| file.file_name().unwrap().to_string_lossy().into_owned()).collect()
    };
    assert_eq!(both(json!({})), ["20230926_85M.best.ckpt", "20230926_85M.config.json"]);
    assert_eq!(
        both(json!({"version": "20231027_85M"})),
        ["20231027_85M.best.ckpt", "20231027_85M.config.json"]
    );
}

#[test]
fn a_cell_without_known_genes_is_seen_by_the_others() {
    let Some(golden) = Golden::open("cellplm") else { return };
    let device = Device::cpu(2).unwrap();
    let made = Tokenizer::new(&golden.checkpoint(), &golden.genes, &Options::default()).unwrap();
    let empty = made.tokenize(&CellCounts { name: "empty", columns: &[], counts: &[] }).unwrap();
    assert_eq!(empty, CellTokens { ids: vec![0], values: vec![0.0] });
    let encoder = plain(&golden, &device, "");
    let without = tokens(&golden, "");
    let cells = [without.as_slice(), &[empty]].concat();
    let batch = Batch { cells: &cells, neighbourhoods: &[CELLS + 1] };
    let steps = encoder.steps(batch).unwrap();
    let width = steps[0].shape()[1];
    assert!(steps[0].read().unwrap()[CELLS * width..].iter().all(|&sum| sum == 0.0), "its sum is zero");
    let seen = embed(&encoder, &cells, &[CELLS + 1]);
    let alone = embed(&encoder, &without, &[CELLS]);
    assert!(seen.iter().all(|value| value.is_finite()) && seen[..alone.len()] != alone);
}
