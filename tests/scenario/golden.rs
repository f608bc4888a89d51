//! `celldag embed` against the reference implementation's numbers, on both backends.

use std::path::Path;

use celldag_data::CellsFile;
use safetensors::SafeTensors;

use crate::sandbox::{Sandbox, fixtures};

/// One row of the parity table: which options of which model must give which array of expected.safetensors.
struct Case {
    fixture: &'static str,
    model: &'static str,
    options: &'static [&'static str],
    array: &'static str,
    /// Cells from the first on that are compared; the rest is beyond the context and drawn at random.
    cells: usize,
    /// What the fixture's README suggests.
    tolerance: f32,
}

const fn case(
    fixture: &'static str,
    model: &'static str,
    options: &'static [&'static str],
    array: &'static str,
) -> Case {
    Case { fixture, model, options, array, cells: usize::MAX, tolerance: 2e-5 }
}

const CASES: &[Case] = &[
    case("geneformer-v1", "geneformer", &[], "emb.mean_second_to_last"),
    case("geneformer-v1", "geneformer", &["layer=-1", "pooling=mean"], "emb.mean_last"),
    case("geneformer-v2", "geneformer", &[], "emb.cls_second_to_last"),
    case("geneformer-v2", "geneformer", &["layer=-1", "pooling=mean"], "emb.mean_last"),
    Case {
        cells: 22,
        ..case("scgpt", "scgpt", &["binning=left", "normalize=none", "pooling=cls"], "emb.cls_left_bins")
    },
    case("tgpt", "tgpt", &["token_types=true", "pooling=mean"], "emb.tgpt_docs"),
    case("tgpt", "tgpt", &["token_types=false", "pooling=mean"], "emb.tgpt_docs_no_token_type"),
    case("scfoundation", "scfoundation", &[], "emb.cell.t4.F"),
    case("scfoundation", "scfoundation", &["key=cell", "pooling=max"], "emb.cell.t4.F.poolmax"),
    case("scfoundation", "scfoundation", &["key=rde", "target_depth=f2"], "emb.rde.f2.F"),
    Case { tolerance: 1e-5, ..case("uce", "uce", &["rng=numpy", "seed=0", "filter=false"], "emb.single") },
    case("cellplm", "cellplm", &[], "emb.gmvae.argmax.all_cells_one_batch"),
    case("cellplm", "cellplm", &["neighbourhood=cell"], "emb.gmvae.argmax.cell_by_cell"),
    case("cellplm", "cellplm", &["neighbourhood=obs:sample"], "emb.gmvae.argmax.by_sample"),
    case("scbert", "scbert", &["max_genes=500"], "emb_mean_first_L"),
    case("celllm", "celllm", &["max_seq_len=300"], "emb_mean_seq"),
    case("llama", "llama", &["max_genes=128", "pooling=mean"], "emb_mean"),
];

fn expected(file: &Path, name: &str) -> (Vec<usize>, Vec<f32>) {
    let bytes = fs_err::read(file).expect("expected.safetensors");
    let tensors = SafeTensors::deserialize(&bytes).expect("safetensors");
    let array = tensors.tensor(name).expect("array");
    let values = array.data().chunks_exact(4).map(|b| f32::from_le_bytes([b[0], b[1], b[2], b[3]])).collect();
    (array.shape().to_vec(), values)
}

fn embeds_as_the_reference(device: &str) {
    let Some(fixtures) = fixtures() else { return };
    for Case { fixture, model, options, array, cells, tolerance } in CASES {
        let folder = fixtures.join("golden").join(fixture);
        let sandbox = Sandbox::new();
        let (input, checkpoint) = (folder.join("input.h5ad"), folder.join("checkpoint"));
        let mut args = vec!["embed", input.to_str().expect("path"), "--model", model, "--device", device];
        args.extend(["--checkpoint", checkpoint.to_str().expect("path"), "-o", "out.h5ad"]);
        args.extend(options.iter().flat_map(|option| ["--with", *option]));
        sandbox.ok(&args);
        let (shape, wanted) = expected(&folder.join("expected.safetensors"), array);
        let file = CellsFile::open(sandbox.join("out.h5ad")).expect("the output opens");
        let (rows, columns, found) = file.obsm(&format!("X_{model}")).expect("the embedding");
        assert_eq!(vec![rows, columns], shape, "{fixture} {array}");
        let compared = rows.min(*cells) * columns;
        let pairs = found[..compared].iter().zip(&wanted);
        // A NaN is no agreement.
        let worst =
            pairs.map(|(a, b)| (a - b).abs()).fold(0.0, |most: f32, d| if d <= most { most } else { d });
        assert!(worst <= *tolerance, "{fixture} {array} on {device}: off by {worst:e}");
        println!("{fixture} {array} on {device}: largest difference {worst:e}");
    }
}

#[test]
fn on_the_cpu() {
    embeds_as_the_reference("cpu");
}

#[test]
fn on_a_software_vulkan_driver() {
    if !celldag_shaders::list_adapters().iter().any(|adapter| adapter.software) {
        assert!(std::env::var("CI").is_err(), "CI needs a software Vulkan driver");
        println!("SKIP no software Vulkan driver is installed");
        return;
    }
    embeds_as_the_reference("software");
}

/// Options that say that the values are logarithms must let values in that are no counts.
#[test]
fn normalised_cells_are_read_where_an_option_says_so() {
    let Some(fixtures) = fixtures() else { return };
    let folder = fixtures.join("golden/scfoundation");
    let sandbox = Sandbox::new();
    let cells = format!("cells={}", folder.join("input.h5ad").display());
    sandbox.ok(&[
        "step",
        "normalize",
        "--in",
        &cells,
        "--with",
        "target_sum=1e4",
        "--out",
        "cells=normalized.h5ad",
    ]);
    let checkpoint = folder.join("checkpoint");
    let mut args =
        vec!["embed", "normalized.h5ad", "--model", "scfoundation", "--device", "cpu", "-o", "out.h5ad"];
    args.extend(["--checkpoint", checkpoint.to_str().expect("path"), "--with", "counts=X"]);
    args.extend(["--with", "pre_normalized=T"]);
    sandbox.ok(&args);
    let (_, wanted) = expected(&folder.join("expected.safetensors"), "emb.cell.t4.T");
    let (_, _, found) = CellsFile::open(sandbox.join("out.h5ad"))
        .and_then(|file| file.obsm("X_scfoundation"))
        .expect("the embedding");
    assert_eq!(found.len(), wanted.len());
    assert!(found.iter().zip(&wanted).all(|(a, b)| (a - b).abs() <= 2e-5));
}
