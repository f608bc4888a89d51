use std::path::PathBuf;

use super::*;
use crate::blocks::BertConfig;
use crate::geneformer::checkpoint::Dictionaries;

/// A checkpoint of genes `A`, `B`, ... with medians 1, 2, 4 ..., its dictionaries as JSON in `folder`.
struct Small {
    folder: tempfile::TempDir,
    checkpoint: Checkpoint,
}

fn small(genes: &[&str], framed: bool, context: usize) -> Small {
    let folder = tempfile::tempdir().unwrap();
    let mut tokens: IndexMap<String, i64> = IndexMap::new();
    let special: &[&str] = if framed { &["<pad>", "<mask>", "<cls>", "<eos>"] } else { &["<pad>", "<mask>"] };
    for (id, name) in special.iter().chain(genes).enumerate() {
        tokens.insert((*name).to_owned(), i64::try_from(id).unwrap());
    }
    let medians: IndexMap<&str, f64> =
        genes.iter().enumerate().map(|(i, &g)| (g, f64::from(1_u32 << i))).collect();
    let file = folder.path().join("gene_median_dictionary.json");
    fs_err::write(&file, serde_json::to_string(&medians).unwrap()).unwrap();
    let config: BertConfig = serde_json::from_value(serde_json::json!({
        "vocab_size": tokens.len(), "hidden_size": 4, "num_hidden_layers": 1, "num_attention_heads": 1,
        "intermediate_size": 4, "max_position_embeddings": context, "hidden_act": "relu",
    }))
    .unwrap();
    let checkpoint = Checkpoint {
        config,
        tokens,
        config_file: PathBuf::new(),
        weights_file: PathBuf::new(),
        dictionaries: Dictionaries {
            tokens: PathBuf::from("tokens"),
            medians: file,
            mapping: None,
            names: None,
        },
    };
    Small { folder, checkpoint }
}

impl Small {
    fn with(mut self, kind: &str, entries: &[(&str, &str)]) -> Self {
        let file = self.folder.path().join(format!("{kind}.json"));
        let map: IndexMap<&str, &str> = entries.iter().copied().collect();
        fs_err::write(&file, serde_json::to_string(&map).unwrap()).unwrap();
        let dictionaries = &mut self.checkpoint.dictionaries;
        *(if kind == "mapping" { &mut dictionaries.mapping } else { &mut dictionaries.names }) = Some(file);
        self
    }

    fn tokenizer(&self, ids: &[&str]) -> Tokenizer {
        Tokenizer::new(&self.checkpoint, &by_id(ids), &Options::default()).unwrap()
    }
}

fn by_id(ids: &[&str]) -> GeneIds {
    GeneIds {
        ensembl: ids.iter().map(|id| (!id.is_empty()).then(|| (*id).to_owned())).collect(),
        symbols: vec![None; ids.len()],
        source: IdSource::Column,
        source_name: "ensembl_id".to_owned(),
        versions_removed: 0,
    }
}

fn ids(tokenizer: &Tokenizer, columns: &[u32], counts: &[f32]) -> Result<Vec<u32>, UnusableCount> {
    Ok(tokenizer.tokenize(&CellCounts { name: "cell", columns, counts })?.ids)
}

#[test]
fn genes_are_ranked_by_count_over_median_and_ties_keep_column_order() {
    // Medians A 1, B 2, C 4; ids A 2, B 3, C 4.
    let small = small(&["A", "B", "C"], false, 8);
    let tokenizer = small.tokenizer(&["C", "X", "A", "B", ""]);
    assert_eq!(ids(&tokenizer, &[0, 1, 2, 3, 4], &[4.0, 9.0, 1.0, 4.0, 9.0]).unwrap(), [3, 4, 2]);
    assert_eq!(tokenizer.coverage().matched, 3);
    assert_eq!(tokenizer.coverage().unmatched_examples.len(), 2);
    let ranked = tokenizer.rank(&[0, 1, 3], &[4.0, 3.0, 3.0]).unwrap();
    // The total holds the unknown gene too.
    let scale = 1.0 / 10.0;
    assert_eq!(ranked, [(3.0 * scale * 10_000.0 * 0.5, 3), (4.0 * scale * 10_000.0 * 0.25, 4)]);
}

#[test]
fn stored_zeros_give_no_token_and_unknown_cells_none_at_all() {
    let small = small(&["A", "B"], true, 8);
    let tokenizer = small.tokenizer(&["A", "B", "X"]);
    assert_eq!(ids(&tokenizer, &[0, 1], &[0.0, 2.0]).unwrap(), [2, 5, 3]);
    assert!(ids(&tokenizer, &[2], &[5.0]).unwrap().is_empty());
    assert!(ids(&tokenizer, &[0], &[0.0]).unwrap().is_empty());
    assert!(ids(&tokenizer, &[], &[]).unwrap().is_empty());
}

#[test]
fn cells_are_cut_to_the_context() {
    let genes = ["A", "B", "C", "D"];
    let counts = [1.0, 4.0, 16.0, 64.0];
    let v1 = small(&genes, false, 3);
    assert_eq!(ids(&v1.tokenizer(&genes), &[0, 1, 2, 3], &counts).unwrap(), [5, 4, 3]);
    let v2 = small(&genes, true, 4);
    assert_eq!(ids(&v2.tokenizer(&genes), &[0, 1, 2, 3], &counts).unwrap(), [2, 7, 6, 3]);
}

#[test]
fn columns_of_one_gene_are_summed_behind_all_others() {
    // Old and new id of A: sum 2, so A ties with B (4 / 2) although its column is first.
    let identity = [("A", "A"), ("OLD", "A"), ("B", "B"), ("GONE", "NOT IN VOCABULARY")];
    let small = small(&["A", "B"], false, 8).with("mapping", &identity);
    let tokenizer = small.tokenizer(&["OLD", "B", "A", "GONE"]);
    assert_eq!(ids(&tokenizer, &[0, 1, 2], &[1.0, 4.0, 1.0]).unwrap(), [3, 2]);
    assert_eq!(ids(&tokenizer, &[0, 1, 2], &[1.0, 4.0, 2.0]).unwrap(), [2, 3]);
    assert_eq!(tokenizer.coverage().summed, 2);
    assert_eq!(tokenizer.coverage().tokens, 2);
}

#[test]
fn a_repeated_id_gives_two_tokens_unless_something_else_collapses() {
    let identity = [("A", "A"), ("OLD", "A"), ("B", "B")];
    let small = small(&["A", "B"], false, 8).with("mapping", &identity);
    let twice = small.tokenizer(&["B", "A", "B"]);
    assert_eq!(ids(&twice, &[0, 1, 2], &[6.0, 1.0, 4.0]).unwrap(), [3, 3, 2]);
    let collapsing = small.tokenizer(&["B", "A", "B", "OLD"]);
    assert_eq!(ids(&collapsing, &[0, 1, 2], &[6.0, 1.0, 4.0]).unwrap(), [3, 2]);
    assert_eq!(collapsing.coverage().summed, 4);
}

#[test]
fn symbols_are_only_used_when_there_are_no_ids() {
    let small = small(&["ENSG00000000001", "ENSG00000000002"], false, 8)
        .with("names", &[("TP53", "ENSG00000000001"), ("MYC", "ENSG00000000002")]);
    let mut genes = by_id(&["", ""]);
    genes.symbols = vec![Some("myc".to_owned()), Some("TP53".to_owned())];
    genes.source = IdSource::None;
    let tokenizer = Tokenizer::new(&small.checkpoint, &genes, &Options::default()).unwrap();
    assert!(tokenizer.coverage().by_symbol > 0);
    assert_eq!(ids(&tokenizer, &[0, 1], &[1.0, 1.0]).unwrap(), [2, 3]);
    genes.source = IdSource::Column;
    assert!(matches!(
        Tokenizer::new(&small.checkpoint, &genes, &Options::default()),
        Err(ModelError::NoGenes { genes: 2, .. })
    ));
}

#[test]
fn values_that_are_no_counts_are_refused() {
    let small = small(&["A", "B"], false, 8);
    let tokenizer = small.tokenizer(&["A", "X"]);
    for bad in [-1.0, f32::NAN, f32::INFINITY] {
        let refused = ids(&tokenizer, &[0, 1], &[1.0, bad]).unwrap_err();
        assert_eq!(refused.column, 1);
    }
}

#[test]
fn dictionaries_must_belong_together() {
    let mut without_median = small(&["A"], false, 8);
    without_median.checkpoint.tokens.insert("B".to_owned(), 3);
    let error = Tokenizer::new(&without_median.checkpoint, &by_id(&["A"]), &Options::default())
        .unwrap_err()
        .to_string();
    assert!(error.contains("no median of `B`"), "{error}");
    for (name, id, expected) in [("B", 2, "same id"), ("B", 9, "id 9"), ("<cls>", 3, "only one of")] {
        let mut broken = small(&["A"], false, 8);
        broken.checkpoint.tokens.insert(name.to_owned(), id);
        let error =
            Tokenizer::new(&broken.checkpoint, &by_id(&["A"]), &Options::default()).unwrap_err().to_string();
        assert!(error.contains(expected), "{error}");
    }
}
