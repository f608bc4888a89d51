//! Every weight file of the golden fixtures, bit by bit against what PyTorch reads.

use std::collections::BTreeMap;
use std::path::Path;

use celldag_data::checkpoint::{Stored, Weights};
use celldag_data::vocabulary::{
    read_columns, read_indexed, read_integers, read_names, read_numbers, read_texts,
};
use flate2::Crc;

use crate::checkpoints::files::{golden, open, own};

#[derive(serde::Deserialize)]
struct Summary {
    tensors: usize,
    crc32: u32,
}

/// CRC-32 over name, kind, shape and values of all tensors, as `make_checkpoints.py` computes it.
fn crc(weights: &Weights) -> u32 {
    let mut crc = Crc::new();
    for name in weights.names() {
        let shape = weights.shape(name).unwrap();
        let (kind, bytes) = if weights.dtype(name).unwrap().is_float() {
            match weights.take_stored(name, shape).unwrap() {
                Stored::F16(bits) => ("f16", bytemuck::cast_slice(&bits).to_vec()),
                Stored::Bf16(bits) => ("bf16", bytemuck::cast_slice(&bits).to_vec()),
                Stored::F32(values) => ("f32", bytemuck::cast_slice(&values).to_vec()),
                Stored::F64(values) => ("f64", bytemuck::cast_slice(&values).to_vec()),
            }
        } else {
            ("int", bytemuck::cast_slice(&weights.take_integers(name, shape).unwrap()).to_vec())
        };
        crc.update(format!("{name} {kind} {shape:?}\n").as_bytes());
        crc.update(&bytes);
    }
    crc.sum()
}

#[test]
fn every_published_layout_is_read_bit_by_bit() {
    let Some(root) = golden() else { return };
    let expected: BTreeMap<String, Summary> =
        serde_json::from_slice(&fs_err::read(own("golden.json")).unwrap()).unwrap();
    assert!(expected.len() >= 30, "{}", expected.len());
    for (file, wanted) in expected {
        let weights = open(&root.join(&file));
        assert_eq!(weights.names().count(), wanted.tensors, "{file}");
        assert_eq!(crc(&weights), wanted.crc32, "{file}");
    }
}

#[test]
fn the_parts_of_scfoundation() {
    let Some(root) = golden() else { return };
    let folder = root.join("scfoundation/checkpoint");
    let weights = open(&folder.join("models/models.ckpt"));
    assert_eq!(weights.parts().into_iter().collect::<Vec<_>>(), ["cell", "gene", "rde"]);
    let config = weights.data(&["cell", "config"]).unwrap();
    assert_eq!(config["model"], "mae_autobin");
    let cell = weights.below("cell.state_dict.model.").unwrap();
    assert_eq!(cell.shape("token_emb.mlp.weight"), Some([100, 1].as_slice()));
    let genes = read_indexed(&folder.join("OS_scRNA_gene_index.19264.tsv"), "gene_name", "index").unwrap();
    assert_eq!((genes.len(), genes["A1BG"]), (19_264, 0));
    assert_eq!(cell.shape("pos_emb.weight").unwrap()[0], genes.len() + 3);
}

#[test]
fn the_files_of_uce() {
    let Some(root) = golden() else { return };
    let folder = root.join("uce/checkpoint");
    let tokens = open(&folder.join("all_tokens.torch"));
    assert_eq!(tokens.names().collect::<Vec<_>>(), ["tensor"]);
    let human = open(&folder.join("protein_embeddings/Homo_sapiens.GRCh38.gene_symbol_to_embedding_ESM2.pt"));
    let first = human.names_in_order().next().unwrap();
    let width = human.shape(first).unwrap()[0];
    // The rows of the token table are the species' genes in the order of the dictionary.
    let offsets = read_integers(&folder.join("species_offsets.pkl")).unwrap();
    let row = usize::try_from(offsets["human"]).unwrap();
    assert_eq!(human.take(first, &[width]).unwrap(), tokens.rows("tensor", row..row + 1).unwrap());
    let columns = read_columns(&folder.join("species_chrom.csv"), &["gene_symbol", "start"]).unwrap();
    assert!(columns[0].len() > 2000 && columns[1].iter().all(|start| start.parse::<u64>().is_ok()));
}

#[test]
fn arrays_and_dictionaries() {
    let Some(root) = golden() else { return };
    for (file, shape) in
        [("scbert/checkpoint/gene2vec_16906.npy", 2), ("celllm/checkpoint/gene2vec_19379_512.npy", 2)]
    {
        let weights = open(&root.join(file));
        assert_eq!(weights.shape("tensor").unwrap().len(), shape);
        assert!(matches!(weights.rows_stored("tensor", 0..3).unwrap(), Stored::F64(_)));
    }
    for (folder, suffix) in [
        ("geneformer-v1/checkpoint/geneformer/gene_dictionaries_30m", "gc30M"),
        ("geneformer-v2/checkpoint/geneformer", "gc104M"),
    ] {
        let file = |name: &str| root.join(folder).join(format!("{name}_{suffix}.pkl"));
        assert_eq!(read_integers(&file("token_dictionary")).unwrap()["<pad>"], 0);
        assert!(read_numbers(&file("gene_median_dictionary")).unwrap().values().all(|&m| m > 0.0));
        assert!(!read_texts(&file("gene_name_id_dict")).unwrap().is_empty());
        assert!(!read_texts(&file("ensembl_mapping_dict")).unwrap().is_empty());
    }
    for folder in
        ["scgpt/checkpoint", "molformer/checkpoint", "chemberta_zinc/checkpoint", "chemberta_77m/checkpoint"]
    {
        assert!(!read_integers(&root.join(folder).join("vocab.json")).unwrap().is_empty());
    }
    assert!(read_names(&root.join("molformer/checkpoint/original_ibm/bert_vocab.txt")).unwrap().len() > 20);
    llama(&root.join("llama/checkpoint"));
}

fn llama(folder: &Path) {
    let index = celldag_data::checkpoint::find_weights(folder).unwrap();
    assert!(index.ends_with("model.safetensors.index.json"));
    assert_eq!(celldag_data::checkpoint::weight_files(&index).unwrap().len(), 4);
    let weights = open(&index);
    let single: Vec<_> =
        (1..=3).map(|n| folder.join(format!("model-0000{n}-of-00003.safetensors"))).collect();
    assert_eq!(crc(&weights), crc(&Weights::open(&single).unwrap()));
    let shape = weights.shape("model.embed_tokens.weight").unwrap().to_vec();
    let part = weights.rows_stored("model.embed_tokens.weight", 5..7).unwrap();
    assert!(matches!(&part, Stored::Bf16(bits) if bits.len() == 2 * shape[1]));
    let whole = weights.take("model.embed_tokens.weight", &shape).unwrap();
    assert_eq!(part.widen(), whole[5 * shape[1]..7 * shape[1]]);
}
