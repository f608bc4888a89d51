//! What `inspect` says of folders.

use std::collections::BTreeMap;

use celldag_data::checkpoint::{Content, Format, inspect};

use crate::checkpoints::files::{golden, own};

#[test]
fn a_folder_is_described_file_by_file() {
    let files = inspect(&own("")).unwrap();
    let by_name: BTreeMap<String, Content> =
        files.into_iter().map(|file| (file.path.to_string_lossy().into_owned(), file.content)).collect();
    let Content::Weights { format, tensors, parameters, data } = &by_name["nested.pt"] else { panic!() };
    assert_eq!((*format, tensors.len(), *parameters), (Format::TorchZip, 7, 12 + 4 + 4 + 2 + 1 + 1));
    assert_eq!((tensors[1].name.as_str(), tensors[1].dtype.as_str()), ("model.state_dict.norm.bias", "f16"));
    assert_eq!(data.as_ref().unwrap()["config"]["width"], 4);
    assert!(matches!(&by_name["nested_legacy_2.pt"], Content::Weights { format: Format::TorchLegacy, .. }));
    assert!(matches!(&by_name["packed.npz"], Content::Weights { format: Format::Npz, .. }));
    assert!(matches!(&by_name["big.npy"], Content::Weights { format: Format::Npy, parameters: 6, .. }));
    let index = &by_name["sharded/model.safetensors.index.json"];
    assert!(matches!(index, Content::Weights { format: Format::Index, parameters: 8, .. }));
    let Content::Unreadable { problem } = &by_name["refused_global.pt"] else { panic!() };
    assert!(problem.contains("`decimal.Decimal`"), "{problem}");
    assert!(matches!(&by_name["plain_4.pkl"], Content::Data { value } if value["int"] == -3));
    assert!(inspect(&own("nothing")).is_err());
    let one = inspect(&own("bare.pt")).unwrap();
    assert!(matches!(&one[0].content, Content::Weights { parameters: 6, .. }) && one[0].bytes > 1000);
}

#[test]
fn published_folders() {
    let Some(root) = golden() else { return };
    let mut kinds: BTreeMap<&str, usize> = BTreeMap::new();
    for file in inspect(&root).unwrap() {
        let name = file.path.display().to_string();
        *kinds
            .entry(match &file.content {
                Content::Weights { tensors, .. } => {
                    assert!(!tensors.is_empty(), "{name}");
                    "weights"
                }
                Content::Dictionary { entries, values, ensembl, first } => {
                    assert_eq!(first.len(), (*entries).min(5), "{name}");
                    if name.contains("token_dictionary") {
                        assert!(values == "int" && *ensembl > entries - 10, "{name}: {ensembl} of {entries}");
                    }
                    "dictionary"
                }
                Content::Table { rows, columns } => {
                    assert!(columns.len() > 1 || *rows > 0, "{name}");
                    "table"
                }
                Content::Data { .. } => "data",
                Content::Unreadable { problem } => panic!("{name}: {problem}"),
                _ => "other",
            })
            .or_default() += 1;
    }
    println!("{kinds:?}");
    assert!(kinds["weights"] > 50 && kinds["dictionary"] > 8 && kinds["table"] >= 3 && kinds["data"] > 20);
}
