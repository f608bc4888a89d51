//! Folders of scBERT and CellLM: gene lists in all forms, weights in all wrappings, and what is refused with which words.

use std::path::Path;

use crate::common::saved::{Tensors, copy, save, tensors};
use crate::common::{Golden, embed, options};
use celldag_data::{CellsFile, GeneIds, Table};
use celldag_models::{Adapters, CellModel, CellTokens, LoadEncoder, Options, Purpose, cell_model};
use celldag_shaders::Device;
use serde_json::json;

/// A model, its golden folder, and the names of its published files.
struct Case {
    model: &'static dyn CellModel,
    golden: Golden,
    weights: &'static str,
    genes: &'static str,
    /// Rows of the gene table that are no genes.
    extra: usize,
}

fn cases() -> Vec<Case> {
    let case = |name, weights, genes, extra| {
        Some(Case { model: cell_model(name).unwrap(), golden: Golden::open(name)?, weights, genes, extra })
    };
    let scbert = case("scbert", "panglao_pretrain.pth", "panglao_10000.h5ad", 1);
    let celllm = case("celllm", "checkpoint4_fixed.pth", "zheng68k_hgnc.h5ad", 2);
    scbert.into_iter().chain(celllm).collect()
}

impl Case {
    fn names(&self) -> Vec<String> {
        CellsFile::open(self.golden.checkpoint().join(self.genes)).unwrap().var().index.clone()
    }

    /// The weights under their plain names, without what else the file holds.
    fn tensors(&self) -> Tensors {
        let all = tensors(&self.golden.checkpoint().join(self.weights));
        let plain = |name: &str| name.strip_prefix("model_state_dict.").map(str::to_owned);
        all.into_iter().filter_map(|(name, tensor)| Some((plain(&name)?, tensor))).collect()
    }

    fn tokens(&self, folder: &Path) -> Vec<CellTokens> {
        let name = if self.extra == 1 { "max_genes" } else { "max_seq_len" };
        let given = options(json!({ name: 60 }));
        let tokenizer = self.model.tokenizer(folder, &self.golden.genes, &given).unwrap();
        self.golden.tokenized(tokenizer.as_ref())
    }

    fn embed(&self, folder: &Path) -> Vec<f32> {
        let device = Device::cpu(2).unwrap();
        let (options, adapters) = (Options::default(), Adapters::default());
        let load =
            LoadEncoder { checkpoint: folder, device: &device, options: &options, adapters: &adapters };
        embed(self.model.encoder(load).unwrap().as_ref(), &self.tokens(folder)[..3])
    }

    /// Why the encoder is refused.
    fn refused(&self, folder: &Path) -> String {
        let device = Device::cpu(1).unwrap();
        let (options, adapters) = (Options::default(), Adapters::default());
        let load =
            LoadEncoder { checkpoint: folder, device: &device, options: &options, adapters: &adapters };
        self.model.encoder(load).map(drop).unwrap_err().to_string()
    }
}

#[test]
fn gene_lists_in_text_are_as_good_as_the_example_data() {
    for case in cases() {
        let want = case.embed(&case.golden.checkpoint());
        let names = case.names();
        let numbered: Vec<String> =
            names.iter().enumerate().map(|(i, name)| format!("{i}\t{name}")).collect();
        for (file, text) in [
            ("genes.txt", names.join("\n")),
            ("gene_list.txt", format!("gene_name\r\n{}\r\n", names.join("\r\n"))),
            ("genes.csv", names.join("\n")),
            ("genes.tsv", format!("row\tgene_symbol\n{}\n", numbered.join("\n"))),
            ("gene_names.json", serde_json::to_string(&names).unwrap()),
        ] {
            let folder = tempfile::tempdir().unwrap();
            copy(&case.golden.checkpoint(), folder.path(), &[case.weights]);
            fs_err::write(folder.path().join(file), text).unwrap();
            // What is no list of genes does not count.
            fs_err::write(folder.path().join("README.txt"), "weights").unwrap();
            assert!(case.embed(folder.path()) == want, "{file} of {}", case.model.name());
        }
    }
}

#[test]
fn weights_are_the_same_in_every_wrapping() {
    for case in cases() {
        let want = case.embed(&case.golden.checkpoint());
        for prefix in ["", "module.", "model_state_dict.module.", "state_dict."] {
            let folder = tempfile::tempdir().unwrap();
            copy(&case.golden.checkpoint(), folder.path(), &[case.genes]);
            let named = case.tensors().into_iter().map(|(name, tensor)| (format!("{prefix}{name}"), tensor));
            save(&folder.path().join("weights.safetensors"), &named.collect());
            assert!(case.embed(folder.path()) == want, "`{prefix}` of {}", case.model.name());
        }
    }
}

#[test]
fn a_missing_or_ambiguous_gene_list_is_explained() {
    for case in cases() {
        let folder = tempfile::tempdir().unwrap();
        copy(&case.golden.checkpoint(), folder.path(), &[case.weights]);
        let refused = || {
            let message = |purpose| {
                case.model.files(folder.path(), purpose, &Options::default()).unwrap_err().to_string()
            };
            assert_eq!(message(Purpose::Tokenize), message(Purpose::Embed));
            message(Purpose::Tokenize)
        };
        let message = refused();
        assert!(message.contains("no list of the genes") && message.contains("genes.txt"), "{message}");
        copy(&case.golden.checkpoint(), folder.path(), &[case.genes]);
        copy(&case.golden.folder, folder.path(), &["input.h5ad"]);
        let message = refused();
        assert!(message.contains("2 gene lists") && message.contains("`input.h5ad`"), "{message}");
        fs_err::write(folder.path().join("genes.txt"), "A\nB\nA\n").unwrap();
        let message = case.refused(folder.path());
        assert!(message.contains("`A` stands twice"), "{message}");
        fs_err::write(folder.path().join("genes.txt"), "A\nB\n").unwrap();
        let message = case.refused(folder.path());
        let known = format!("names 2 genes, the weights know {}", case.names().len());
        assert!(message.contains(&known), "{message}");
    }
}

#[test]
fn a_list_in_another_order_is_another_vocabulary() {
    for case in cases() {
        let folder = tempfile::tempdir().unwrap();
        let mut names = case.names();
        names.swap(0, 1);
        fs_err::write(folder.path().join("genes.txt"), names.join("\n")).unwrap();
        let vocabulary = |folder: &Path| {
            let tokenizer = case.model.tokenizer(folder, &case.golden.genes, &Options::default()).unwrap();
            tokenizer.info().vocabulary.clone()
        };
        let right = vocabulary(&case.golden.checkpoint());
        assert_ne!(vocabulary(folder.path()), right);
        let device = Device::cpu(1).unwrap();
        let (options, adapters) = (Options::default(), Adapters::default());
        let checkpoint = &case.golden.checkpoint();
        let load = LoadEncoder { checkpoint, device: &device, options: &options, adapters: &adapters };
        assert_eq!(case.model.encoder(load).unwrap().info().vocabulary, right);
    }
}

#[test]
fn tensors_that_do_not_fit_are_all_named() {
    for case in cases() {
        let folder = tempfile::tempdir().unwrap();
        copy(&case.golden.checkpoint(), folder.path(), &[case.genes]);
        let file = folder.path().join("weights.safetensors");
        let layer = "performer.net.layers.1.";
        let projection = format!("{layer}0.fn.fast_attention.projection_matrix");
        let mut damaged = case.tensors();
        damaged.remove(&projection).unwrap();
        damaged.get_mut("norm.bias").unwrap().0.push(1);
        damaged.insert(format!("{layer}0.fn.to_gate.weight"), (vec![1], vec![0.0]));
        save(&file, &damaged);
        let message = case.refused(folder.path());
        for name in [projection.as_str(), "norm.bias", "to_gate.weight"] {
            assert!(message.contains(name), "{name} is missing in: {message}");
        }
        // Without this tensor not even the sizes are known.
        let mut damaged = case.tensors();
        damaged.remove("performer.net.layers.0.0.fn.to_q.weight").unwrap();
        save(&file, &damaged);
        let message = case.refused(folder.path());
        assert!(message.contains("performer.net.layers.0.0.fn.to_q.weight"), "{message}");
    }
}

#[test]
fn one_model_is_not_taken_for_the_other() {
    let cases = cases();
    let [scbert, celllm] = cases.as_slice() else { return };
    for (case, other) in [(scbert, celllm), (celllm, scbert)] {
        let folder = tempfile::tempdir().unwrap();
        copy(&other.golden.checkpoint(), folder.path(), &[other.weights]);
        let mut names = other.names();
        // As many genes as the model would have.
        names.resize(names.len() + other.extra, String::new());
        names.truncate(names.len() - case.extra);
        let named: Vec<String> = names
            .iter()
            .enumerate()
            .map(|(i, n)| if n.is_empty() { format!("x{i}") } else { n.clone() })
            .collect();
        fs_err::write(folder.path().join("genes.txt"), named.join("\n")).unwrap();
        let message = case.refused(folder.path());
        assert!(message.contains("levels"), "{message}");
        copy(&case.golden.checkpoint(), folder.path(), &[case.weights]);
        let message = case.refused(folder.path());
        assert!(message.contains("2 files of weights") && message.contains(other.weights), "{message}");
    }
}

#[test]
fn genes_of_another_species_are_explained() {
    for case in cases() {
        let mouse = ["Cd3d", "Lyz2", "Ptprc"].map(str::to_owned).to_vec();
        let genes = GeneIds::detect(&Table::new(mouse));
        let refused = case.model.tokenizer(&case.golden.checkpoint(), &genes, &Options::default());
        let message = refused.map(drop).unwrap_err().to_string();
        assert!(message.contains("Cd3d") && message.contains("human gene symbols"), "{message}");
    }
}
