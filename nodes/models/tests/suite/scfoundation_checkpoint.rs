//! scFoundation from other files than the published one, and files that cannot be it.

use std::path::Path;

use crate::common::saved::{Tensors, copy, save, tensors};
use crate::common::{Golden, embed, options};
use celldag_data::checkpoint::Weights;
use celldag_data::{GeneIds, Table};
use celldag_models::scfoundation::{Checkpoint, Encoder, Tokenizer};
use celldag_models::{Adapters, CellTokens, ModelError};
use celldag_shaders::Device;
use serde_json::json;

const GENES: &str = "OS_scRNA_gene_index.19264.tsv";

fn load(folder: &Path, chosen: serde_json::Value) -> Result<Encoder, ModelError> {
    let device = Device::cpu(2).unwrap();
    Encoder::load(&Checkpoint::find(folder)?, &device, &options(chosen), &Adapters::default())
}

/// One model of the published file in a folder of its own, with other names.
fn alone(golden: &Golden, folder: &Path, rename: impl Fn(&str) -> Option<String>) {
    let file = golden.checkpoint().join("models/models.ckpt");
    let config = Weights::open(&[&file]).unwrap().data(&["cell", "config"]).unwrap();
    fs_err::write(folder.join("config.json"), config.to_string()).unwrap();
    copy(&golden.checkpoint(), folder, &[GENES]);
    let of_cell =
        |(name, tensor): (String, _)| Some((rename(name.strip_prefix("cell.state_dict.model.")?)?, tensor));
    let renamed: Tensors = tensors(&file).into_iter().filter_map(of_cell).collect();
    save(&folder.join("model.safetensors"), &renamed);
}

#[test]
fn one_model_alone_gives_the_same_under_all_names() {
    let Some(golden) = Golden::open("scfoundation") else { return };
    let checkpoint = Checkpoint::find(&golden.checkpoint()).unwrap();
    let tokenizer = Tokenizer::new(&checkpoint, &golden.genes, &options(json!({}))).unwrap();
    let cells = &golden.tokenized(&tokenizer)[..2];
    let want = embed(&load(&golden.checkpoint(), json!({})).unwrap(), cells);
    for place in ["models", "models/models.ckpt"] {
        assert!(embed(&load(&golden.checkpoint().join(place), json!({})).unwrap(), cells) == want, "{place}");
    }
    for prefix in ["", "model.", "module.model.", "model_state_dict.", "state_dict.module."] {
        let folder = tempfile::tempdir().unwrap();
        alone(&golden, folder.path(), |name| Some(format!("{prefix}{name}")));
        assert!(embed(&load(folder.path(), json!({})).unwrap(), cells) == want, "{prefix}");
        let message = load(folder.path(), json!({"key": "cell"})).unwrap_err().to_string();
        assert!(message.contains("leave `key` out"), "{message}");
    }
}

#[test]
fn damaged_checkpoints_are_refused_with_all_that_is_wrong() {
    let Some(golden) = Golden::open("scfoundation") else { return };
    let folder = tempfile::tempdir().unwrap();
    alone(&golden, folder.path(), |name| match name {
        "encoder.norm.weight" | "pos_emb.weight" => None,
        "token_emb.mlp.bias" => Some("token_emb.mlp3.bias".to_owned()),
        other => Some(other.to_owned()),
    });
    let message = load(folder.path(), json!({})).unwrap_err().to_string();
    for name in ["encoder.norm.weight", "pos_emb.weight", "token_emb.mlp.bias", "token_emb.mlp3.bias"] {
        assert!(message.contains(name), "{message}");
    }
    let list = folder.path().join(GENES);
    let text = fs_err::read_to_string(&list).unwrap();
    let shorter: Vec<&str> = text.lines().take(101).collect();
    fs_err::write(&list, shorter.join("\n")).unwrap();
    let message = load(folder.path(), json!({})).unwrap_err().to_string();
    assert!(message.contains("100 genes") && message.contains("19264"), "{message}");
    fs_err::remove_file(&list).unwrap();
    let message = load(folder.path(), json!({})).unwrap_err().to_string();
    assert!(message.contains("no list of genes"), "{message}");
}

#[test]
fn genes_of_another_species_are_refused() {
    let Some(golden) = Golden::open("scfoundation") else { return };
    let checkpoint = Checkpoint::find(&golden.checkpoint()).unwrap();
    let names = ["Lyz2", "Cd3d", "Gapdh"].map(str::to_owned).to_vec();
    let message = Tokenizer::new(&checkpoint, &GeneIds::detect(&Table::new(names)), &options(json!({})));
    let message = message.unwrap_err().to_string();
    assert!(message.contains("Lyz2") && message.contains("scFoundation"), "{message}");
}

#[test]
fn a_sample_with_nearly_all_genes_is_read() {
    let Some(golden) = Golden::open("scfoundation") else { return };
    let genes: Vec<u32> = (0..18_000).collect();
    let values: Vec<f32> = genes.iter().map(|&gene| 0.1 + (gene % 50) as f32 / 10.0).collect();
    let ids = genes.into_iter().chain([19_264, 19_265]).collect();
    let cell = CellTokens { ids, values: values.into_iter().chain([4.0, 4.0]).collect() };
    let got = embed(&load(&golden.checkpoint(), json!({})).unwrap(), &[cell]);
    assert!(got.len() == 64 && got.iter().all(|value| value.is_finite()));
}
