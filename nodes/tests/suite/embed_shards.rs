//! `tokenize` and `embed` cut into shards: put together, the parts give the whole, byte for byte.

use std::path::{Path, PathBuf};

use crate::common::lora::{bytes, vectors};
use crate::common::shards::{Done, Golden, Work};
use celldag_data::CellsFile;
use celldag_engine::registry::Registered;
use celldag_engine::{FailureCause, Portion};
use celldag_nodes::embed::Tokenize;
use serde_json::json;

const CELLS: usize = 11;
/// Of 11 cells: the whole as a shard, shards of other lengths, and some without cells.
const NUMBERS: &[u32] = &[1, 2, 3, 7, 14];

/// `empty` cells get no tokens.
fn both(name: &str, tokenize: &[(&str, &str)], embed: &[(&str, &str)], empty: usize) {
    let Some(golden) = Golden::new(name, CELLS) else { return };
    let tokens = golden.tokenize("tokenize", tokenize).compare(NUMBERS);
    let facts = &tokens.0.facts;
    assert_eq!([&facts["cells"], &facts["cells_without_counts"]], [&json!(CELLS), &json!(empty)]);
    let (said, _) = golden.embed("embed", (&tokens, false), embed).compare(NUMBERS);
    let without = said.warnings.iter().any(|warning| warning.contains("NaN"));
    assert_eq!(without, empty > 0, "{:?}", said.warnings);
}

#[test]
fn an_adapter_lies_over_the_model_of_every_shard() {
    let Some(golden) = Golden::new("geneformer-v1", CELLS) else { return };
    let tokens = golden.tokenize("tokens", &[("model", "geneformer")]).whole();
    // As bits: two of the cells have no numbers.
    let values = |name, adapter| -> Vec<u32> {
        let (_, done) = golden.embed(name, (&tokens, adapter), &[]).compare(NUMBERS);
        vectors(&done).into_iter().map(f32::to_bits).collect()
    };
    assert_ne!(values("with", true), values("without", false), "the adapter counts");
}

#[test]
fn geneformer_ranks() {
    both("geneformer-v1", &[("model", "geneformer")], &[], 2);
}

#[test]
fn scgpt_bins_and_their_values() {
    both("scgpt", &[("model", "scgpt")], &[], 2);
}

#[test]
fn uce_draws_from_one_stream_over_all_cells() {
    let tokenize = [("model", "uce"), ("rng", "numpy"), ("filter", "false"), ("sample_size", "64")];
    both("uce", &tokenize, &[("model", "uce")], 2);
}

#[test]
fn cellplm_looks_at_cells_together() {
    // Of a cell without genes it makes a token of zeros, as the authors do.
    for neighbourhood in ["obs:batch", "all"] {
        let embed = [("model", "cellplm"), ("neighbourhood", neighbourhood)];
        both("cellplm", &[("model", "cellplm")], &embed, 0);
    }
}

/// The golden cells of UCE are 24: of eight, as a shard of three has them, no gene is seen in the ten that the filter asks for.
#[test]
fn uce_filters_by_what_all_cells_have() {
    let Some(golden) = Golden::new("uce", 24) else { return };
    let tokens = |name, with: &[(&str, &str)]| {
        let with = [&[("model", "uce"), ("sample_size", "64")], with].concat();
        golden.tokenize(name, &with).compare(&[3, 5])
    };
    let kept = tokens("filter", &[]);
    assert_eq!(kept.0.facts["cells_without_counts"], json!(2));
    // The filter is on, it matters, and so does the stream that cells are drawn from after it.
    let others = [tokens("all", &[("filter", "false")]), tokens("stream", &[("rng", "numpy")])];
    assert!(others.iter().all(|other| bytes(&other.1) != bytes(&kept.1)));
}

#[test]
fn scfoundation_scales_bulk_samples_to_the_median_of_all() {
    let Some(golden) = Golden::new("scfoundation", CELLS) else { return };
    let bulk = [("model", "scfoundation"), ("input", "bulk")];
    let bulk = golden.tokenize("bulk", &bulk).compare(NUMBERS);
    let cells = golden.tokenize("cells", &[("model", "scfoundation")]).whole();
    assert!(bytes(&bulk.1) != bytes(&cells.1));
}

/// One stabiliser for the keys of all cells: the first shard has all the work, and the others have none.
#[test]
fn keys_under_one_maximum_are_not_cut() {
    for model in ["scbert", "celllm"] {
        let Some(golden) = Golden::new(model, 5) else { return };
        let tokens = golden.tokenize("tokens", &[("model", model)]).whole();
        let vectors = |name, with: &[(&str, &str)]| golden.embed(name, (&tokens, false), with).compare(&[2]);
        let together = vectors("together", &[("key_maximum", "batch"), ("batch_tokens", "1")]);
        let alone = vectors("alone", &[("batch_tokens", "1")]);
        let bits = |done: &Done| -> Vec<u32> {
            let array = format!("X_{model}");
            let file = CellsFile::open(&done.1["embedding"]).expect("file");
            file.obsm(&array).expect("vectors").2.into_iter().map(f32::to_bits).collect()
        };
        assert_ne!(bits(&together), bits(&alone), "{model}: cells see each other");
    }
}

#[test]
fn parts_of_something_else_are_refused() {
    let cells = crate::common::lora::pipelines().join("data/pbmc68k_700.h5ad");
    let temp = tempfile::tempdir().expect("folder");
    let checkpoint = crate::common::lora::mini();
    let inputs: [(&str, &str, &Path); 2] = [("cells", "", &cells), ("checkpoint", "", &checkpoint)];
    let work = |with, name: &str| Work {
        kind: Registered::new(Tokenize),
        with,
        inputs: inputs.to_vec(),
        folder: temp.path().join(name),
    };
    let here: Work<'_> = work(&[("model", "geneformer")], "here");
    let there = work(&[("model", "geneformer"), ("gene_aliases", "hgnc")], "there");
    let (first, second, other) = (here.part(0, 2), here.part(1, 2), there.part(1, 2));
    let refused = |parts: &[&PathBuf]| {
        let parts = Portion::Parts(parts.iter().copied().cloned().collect());
        let error = here.run("all", &parts).expect_err("refused");
        assert_eq!(error.cause, FailureCause::Data);
        error.message
    };
    let message = refused(&[&first, &other]);
    assert!(message.contains("parameter gene_aliases changed hgnc → "), "{message}");
    assert!(refused(&[&second]).contains("shard 0"));
    let mut damaged = fs_err::read(&second).expect("a part");
    *damaged.last_mut().expect("bytes") ^= 1;
    fs_err::write(&other, damaged).expect("written");
    assert!(refused(&[&first, &other]).ends_with("is damaged"));
}
