//! Checkpoint folders as people have them: other layouts, other formats, wrong dictionaries, damaged weights.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use crate::common::Golden;
use celldag_data::vocabulary::{read_integers, read_numbers, read_texts};
use celldag_models::geneformer::{Checkpoint, Encoder, Tokenizer};
use celldag_models::{Batch, CellEncoder, ModelError, Options};
use celldag_shaders::Device;
use safetensors::SafeTensors;
use safetensors::tensor::{Dtype, TensorView};

const V2: &str = "Geneformer-V2-104M";

/// A copy of the model folder of V2 that may be changed.
fn copy_of_v2(golden: &Golden, to: &Path) -> PathBuf {
    let folder = to.join(V2);
    fs_err::create_dir_all(&folder).unwrap();
    for name in ["config.json", "model.safetensors"] {
        fs_err::copy(golden.checkpoint().join(V2).join(name), folder.join(name)).unwrap();
    }
    folder
}

fn copy_dictionaries(golden: &Golden, to: &Path) {
    fs_err::create_dir_all(to).unwrap();
    for entry in fs_err::read_dir(golden.checkpoint().join("geneformer")).unwrap() {
        let file = entry.unwrap().path();
        fs_err::copy(&file, to.join(file.file_name().unwrap())).unwrap();
    }
}

/// Changes the tensors of a safetensors file.
fn edit(file: &Path, change: impl FnOnce(&mut BTreeMap<String, (Dtype, Vec<usize>, Vec<u8>)>)) {
    let bytes = fs_err::read(file).unwrap();
    let mut tensors: BTreeMap<String, (Dtype, Vec<usize>, Vec<u8>)> = SafeTensors::deserialize(&bytes)
        .unwrap()
        .tensors()
        .into_iter()
        .map(|(name, t)| (name, (t.dtype(), t.shape().to_vec(), t.data().to_vec())))
        .collect();
    change(&mut tensors);
    let views = tensors.iter().map(|(name, (dtype, shape, data))| {
        (name.as_str(), TensorView::new(*dtype, shape.clone(), data).unwrap())
    });
    fs_err::write(file, safetensors::serialize(views, None).unwrap()).unwrap();
}

fn load(folder: &Path) -> Result<Encoder, ModelError> {
    Encoder::load(&Checkpoint::find(folder)?, &Device::cpu(1).unwrap())
}

#[test]
fn dictionaries_as_json_beside_the_weights_are_the_same() {
    let Some(golden) = Golden::open("geneformer-v2") else { return };
    let temp = tempfile::tempdir().unwrap();
    let folder = copy_of_v2(&golden, temp.path());
    let from = |name: &str| golden.checkpoint().join(format!("geneformer/{name}_gc104M.pkl"));
    let to = |name: &str, text: String| fs_err::write(folder.join(format!("{name}.json")), text).unwrap();
    to(
        "token_dictionary",
        serde_json::to_string(&read_integers(&from("token_dictionary")).unwrap()).unwrap(),
    );
    let medians = read_numbers(&from("gene_median_dictionary")).unwrap();
    to("gene_median_dictionary", serde_json::to_string(&medians).unwrap());
    let mapping = read_texts(&from("ensembl_mapping_dict")).unwrap();
    to("ensembl_mapping_dict", serde_json::to_string(&mapping).unwrap());
    let tokenizer =
        Tokenizer::new(&Checkpoint::find(&folder).unwrap(), &golden.genes, &Options::default()).unwrap();
    assert!(golden.tokenized(&tokenizer) == golden.tokens());
    let (here, there) = (load(&folder).unwrap(), load(&golden.checkpoint()).unwrap());
    assert_eq!(here.info(), there.info());
}

#[test]
fn exports_without_prefix_or_in_half_precision_load() {
    let Some(golden) = Golden::open("geneformer-v2") else { return };
    let temp = tempfile::tempdir().unwrap();
    let folder = copy_of_v2(&golden, temp.path());
    copy_dictionaries(&golden, temp.path());
    let tokens = golden.tokens();
    let batch = Batch { cells: &tokens[..2], neighbourhoods: &[1, 1] };
    let embed = || load(&folder).unwrap().embed(batch).unwrap();
    let original = embed();
    edit(&folder.join("model.safetensors"), |tensors| {
        *tensors = std::mem::take(tensors)
            .into_iter()
            .map(|(name, t)| (name.strip_prefix("bert.").unwrap_or(&name).to_owned(), t))
            .collect();
    });
    assert_eq!(embed(), original);
    edit(&folder.join("model.safetensors"), |tensors| {
        for (dtype, _, data) in tensors.values_mut() {
            *dtype = Dtype::BF16;
            *data = data.as_chunks::<4>().0.iter().flat_map(|b| [b[2], b[3]]).collect();
        }
    });
    let halved = embed();
    assert!(halved != original, "bf16 rounds");
    crate::common::assert_close(&halved, &original, 0.1, "bf16 weights");
}

#[test]
fn the_dictionary_of_another_model_is_refused() {
    let (Some(v1), Some(v2)) = (Golden::open("geneformer-v1"), Golden::open("geneformer-v2")) else { return };
    let temp = tempfile::tempdir().unwrap();
    let folder = copy_of_v2(&v2, temp.path());
    let error = Checkpoint::find(&folder).unwrap_err().to_string();
    assert!(error.contains("no token dictionary") && error.contains("ensembl_mapping_dict"), "{error}");
    let package = temp.path().join("geneformer/gene_dictionaries_30m");
    fs_err::create_dir_all(&package).unwrap();
    for name in ["token_dictionary_gc30M.pkl", "gene_median_dictionary_gc30M.pkl"] {
        let from = v1.checkpoint().join("geneformer/gene_dictionaries_30m").join(name);
        fs_err::copy(from, package.join(name)).unwrap();
    }
    let error = Checkpoint::find(&folder).unwrap_err().to_string();
    for part in ["wrong dictionary", "6204", "4202", "token_dictionary_gc30M.pkl"] {
        assert!(error.contains(part), "{error}");
    }
    // With both generations in the repository, as the public one has them, the right one is taken.
    copy_dictionaries(&v2, &temp.path().join("geneformer"));
    assert_eq!(Checkpoint::find(&folder).unwrap().tokens.len(), 6204);
}

#[test]
fn repositories_with_several_models_ask_which() {
    let Some(golden) = Golden::open("geneformer-v2") else { return };
    let temp = tempfile::tempdir().unwrap();
    copy_of_v2(&golden, temp.path());
    copy_of_v2(&golden, &temp.path().join("fine_tuned_models"));
    copy_dictionaries(&golden, &temp.path().join("geneformer"));
    assert!(Checkpoint::find(temp.path()).is_ok(), "a fine-tuned model beside the base does not count");
    fs_err::rename(temp.path().join(V2), temp.path().join("A")).unwrap();
    copy_of_v2(&golden, temp.path());
    let error = Checkpoint::find(temp.path()).unwrap_err().to_string();
    assert!(error.contains("2 models: `A`, `Geneformer-V2-104M`"), "{error}");
    let empty = tempfile::tempdir().unwrap();
    let error = Checkpoint::find(empty.path()).unwrap_err().to_string();
    assert!(error.contains("config.json") && error.contains("pytorch_model.bin"), "{error}");
    assert!(Checkpoint::find(&empty.path().join("absent")).is_err());
}

#[test]
fn missing_left_over_and_misshapen_tensors_are_named() {
    let Some(golden) = Golden::open("geneformer-v2") else { return };
    let temp = tempfile::tempdir().unwrap();
    let folder = copy_of_v2(&golden, temp.path());
    copy_dictionaries(&golden, temp.path());
    let file = folder.join("model.safetensors");
    let query = "bert.encoder.layer.2.attention.self.query.weight";
    let mut removed = None;
    edit(&file, |tensors| removed = tensors.remove(query));
    let error = load(&folder).unwrap_err().to_string();
    assert!(error.contains(&format!("1 missing: `{query}`")), "{error}");
    edit(&file, |tensors| {
        tensors.insert(query.to_owned(), removed.take().unwrap());
        tensors
            .insert("bert.encoder.layer.3.output.dense.bias".to_owned(), (Dtype::F32, vec![1], vec![0; 4]));
    });
    let error = load(&folder).unwrap_err().to_string();
    assert!(error.contains("1 left over") && error.contains("encoder.layer.3.output.dense.bias"), "{error}");
    edit(&file, |tensors| {
        tensors.remove("bert.encoder.layer.3.output.dense.bias");
        if let Some((_, shape, _)) = tensors.get_mut(query) {
            *shape = vec![12, 48];
        }
    });
    let error = load(&folder).unwrap_err().to_string();
    assert!(error.contains(query) && error.contains("[12, 48]") && error.contains("[24, 24]"), "{error}");
}

#[test]
fn configurations_of_other_models_are_refused() {
    let Some(golden) = Golden::open("geneformer-v2") else { return };
    let temp = tempfile::tempdir().unwrap();
    let folder = copy_of_v2(&golden, temp.path());
    copy_dictionaries(&golden, temp.path());
    let file = folder.join("config.json");
    let text = fs_err::read_to_string(&file).unwrap();
    for (from, to, expected) in [
        ("\"bert\"", "\"gpt2\"", "`gpt2`"),
        ("\"relu\"", "\"mish\"", "`mish`"),
        ("\"absolute\"", "\"rotary\"", "`rotary`"),
        ("\"num_attention_heads\": 3", "\"num_attention_heads\": 5", "5 attention heads"),
        ("\"hidden_size\"", "\"hidden\"", "hidden_size"),
        ("{", "", "config.json"),
    ] {
        assert!(text.contains(from), "{from}");
        fs_err::write(&file, text.replacen(from, to, 1)).unwrap();
        let error = Checkpoint::find(&folder).unwrap_err().to_string();
        assert!(error.contains(expected), "{error}");
    }
}

#[test]
fn a_dictionary_that_wants_to_run_code_is_refused() {
    let Some(golden) = Golden::open("geneformer-v2") else { return };
    let temp = tempfile::tempdir().unwrap();
    let folder = copy_of_v2(&golden, temp.path());
    copy_dictionaries(&golden, temp.path());
    let evil = b"\x80\x04\x8c\x05posix\x8c\x06system\x93\x8c\x0etouch /tmp/own\x85R.";
    fs_err::write(temp.path().join("token_dictionary_gc104M.pkl"), evil).unwrap();
    let error = Checkpoint::find(&folder).unwrap_err().to_string();
    assert!(error.contains("posix.system") && error.contains("token_dictionary_gc104M.pkl"), "{error}");
}
