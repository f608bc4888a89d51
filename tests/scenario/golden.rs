//! `celldag embed` against the reference implementation's numbers, on both backends.

use std::path::Path;

use celldag_data::CellsFile;
use safetensors::SafeTensors;

use crate::sandbox::{Sandbox, fixtures};

/// Fixture, options, array of expected.safetensors (specs: parity).
const CASES: &[(&str, &[&str], &str)] = &[
    ("geneformer-v1", &[], "emb.mean_second_to_last"),
    ("geneformer-v1", &["layer=-1", "pooling=mean"], "emb.mean_last"),
    ("geneformer-v2", &[], "emb.cls_second_to_last"),
    ("geneformer-v2", &["layer=-1", "pooling=mean"], "emb.mean_last"),
];

/// What the fixtures' README suggests.
const TOLERANCE: f32 = 2e-5;

fn expected(file: &Path, name: &str) -> (Vec<usize>, Vec<f32>) {
    let bytes = fs_err::read(file).expect("expected.safetensors");
    let tensors = SafeTensors::deserialize(&bytes).expect("safetensors");
    let array = tensors.tensor(name).expect("array");
    let values = array.data().chunks_exact(4).map(|b| f32::from_le_bytes([b[0], b[1], b[2], b[3]])).collect();
    (array.shape().to_vec(), values)
}

fn embeds_as_the_reference(device: &str) {
    let Some(fixtures) = fixtures() else { return };
    for (fixture, options, array) in CASES {
        let folder = fixtures.join("golden").join(fixture);
        let sandbox = Sandbox::new();
        let (input, checkpoint) = (folder.join("input.h5ad"), folder.join("checkpoint"));
        let mut args =
            vec!["embed", input.to_str().expect("path"), "--model", "geneformer", "--device", device];
        args.extend(["--checkpoint", checkpoint.to_str().expect("path"), "-o", "out.h5ad"]);
        args.extend(options.iter().flat_map(|option| ["--with", *option]));
        sandbox.ok(&args);
        let (shape, wanted) = expected(&folder.join("expected.safetensors"), array);
        let file = CellsFile::open(sandbox.join("out.h5ad")).expect("the output opens");
        let (rows, columns, found) = file.obsm("X_geneformer").expect("X_geneformer");
        assert_eq!(vec![rows, columns], shape, "{fixture} {array}");
        let worst = found.iter().zip(&wanted).map(|(a, b)| (a - b).abs()).fold(0.0, f32::max);
        assert!(worst <= TOLERANCE, "{fixture} {array} on {device}: off by {worst:e}");
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
