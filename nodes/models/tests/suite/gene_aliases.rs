//! How many genes of real cells each published vocabulary knows, by the names in the file and by other names besides.

use std::path::Path;

use crate::common::{fixture, options};
use celldag_data::{CellsFile, GeneIds, HumanGenes, IdSource};
use celldag_models::{
    Coverage, GeneAliases, Matched, ModelError, Options, Repeats, Symbols, cell_model, scfoundation, scgpt,
    tgpt,
};
use serde_json::json;

fn pbmc4k() -> Option<GeneIds> {
    let cells = CellsFile::open(fixture("data/pbmc4k_annotated/pbmc4k_annotated.h5ad")?).unwrap();
    let genes = GeneIds::detect(cells.var());
    assert_eq!(genes.symbols.len(), 33_694);
    Some(genes)
}

fn matched(
    genes: &GeneIds,
    size: usize,
    find: &dyn Fn(&str) -> Option<u32>,
    aliases: GeneAliases,
) -> Result<Matched, ModelError> {
    let vocabulary =
        Symbols { model: "m", genes: size, examples: String::new(), help: "", find, aliases: Some(aliases) };
    Matched::by_symbol(genes, Repeats::First, &vocabulary)
}

/// Coverage without and with other names; checks that what was found without stays where it was.
fn both(genes: &GeneIds, size: usize, find: &dyn Fn(&str) -> Option<u32>) -> (Coverage, Coverage) {
    let plain = matched(genes, size, find, GeneAliases::None).unwrap();
    let more = matched(genes, size, find, GeneAliases::Hgnc).unwrap();
    assert_eq!(plain.coverage.aliases_would_find, more.coverage.by_alias);
    assert_eq!(
        plain.coverage.tokens + more.coverage.by_alias,
        more.coverage.tokens,
        "a gene was found twice"
    );
    for (before, after) in plain.ids.iter().zip(&more.ids) {
        assert!(before.is_none() || before == after, "{before:?} became {after:?}");
    }
    println!("{:?}\n{:?}", plain.coverage, more.coverage);
    (plain.coverage, more.coverage)
}

fn without_ids(genes: &GeneIds) -> GeneIds {
    GeneIds { ensembl: vec![None; genes.ensembl.len()], source: IdSource::None, ..genes.clone() }
}

#[test]
fn symbols_of_real_cells_are_found_as_others_counted_them() {
    let Some(genes) = pbmc4k() else { return };
    let vocab = fixture("data/vocab").unwrap();
    let list =
        scfoundation::Vocabulary::read(&vocab.join("scfoundation/OS_scRNA_gene_index.19264.tsv")).unwrap();
    let find = |name: &str| list.genes.get(name).copied();
    // By symbols alone. 784 old symbols lead to one gene of the list that the file lacks (797 with those of several genes); for
    // the rest the list has the older name.
    let (plain, more) = both(&without_ids(&genes), list.genes.len(), &find);
    assert_eq!((plain.by_symbol, plain.by_id, more.by_alias), (18_092, 0, 803));
    let (plain, more) = both(&genes, list.genes.len(), &find);
    assert_eq!((plain.by_symbol, plain.by_id, more.by_alias), (18_092, 0, 884));

    let list = scgpt::Vocabulary::read(&vocab.join("scgpt/default_gene_vocab.json"), "<pad>").unwrap().genes;
    let (plain, more) = both(&genes, list.len(), &|name| list.get(name).copied());
    assert_eq!((plain.by_symbol, plain.by_id, more.by_alias), (21_130, 0, 3691));

    let words = tgpt::Vocabulary::read(&vocab.join("tgpt/tokenizer.json"), 21_150).unwrap();
    let find = |name: &str| match words.of_symbol(name)[..] {
        [token] if token != words.unknown => Some(token),
        _ => None,
    };
    let (plain, more) = both(&genes, words.genes, &find);
    // Counted with `.` left as it is, 19,094 are found by symbol; the authors write it `_`.
    assert_eq!((plain.by_symbol, plain.by_id, more.by_alias), (19_122, 0, 188));
}

/// The coverage of real cells through a model's tokenizer, without and with other names.
fn through(model: &str, checkpoint: &Path, genes: &GeneIds) -> [Coverage; 2] {
    ["none", "hgnc"].map(|aliases| {
        let chosen = options(json!({"gene_aliases": aliases}));
        let tokenizer = cell_model(model).unwrap().tokenizer(checkpoint, genes, &chosen).unwrap();
        assert_eq!(tokenizer.info().options["gene_aliases"], json!(aliases));
        tokenizer.coverage().clone()
    })
}

/// A Geneformer of the published V1 dictionaries, without weights.
fn geneformer(with_names: bool) -> tempfile::TempDir {
    let (folder, vocab) = (tempfile::tempdir().unwrap(), fixture("data/vocab/geneformer").unwrap());
    let golden = fixture("golden/geneformer-v1/checkpoint/Geneformer-V1-10M/config.json").unwrap();
    let config =
        fs_err::read_to_string(golden).unwrap().replace("\"vocab_size\": 4202", "\"vocab_size\": 25426");
    fs_err::write(folder.path().join("config.json"), config).unwrap();
    fs_err::write(folder.path().join("pytorch_model.bin"), "").unwrap();
    let names = ["token_dictionary.pkl", "gene_median_dictionary.pkl", "gene_name_id_dict.pkl"];
    for name in &names[..if with_names { 3 } else { 2 }] {
        fs_err::copy(vocab.join(name), folder.path().join(name)).unwrap();
    }
    folder
}

#[test]
fn ids_of_real_cells_are_found_as_others_counted_them() {
    let Some(genes) = pbmc4k() else { return };
    let folder = geneformer(true);
    let [plain, more] = through("geneformer", folder.path(), &genes);
    assert_eq!((plain.by_id, plain.by_symbol, plain.aliases_would_find), (19_899, 0, 14));
    assert_eq!(
        (more.by_id, more.by_alias, more.matched, more.tokens),
        (19_899, 14, 19_913, plain.tokens + 14)
    );
    assert_eq!((plain.summed, more.summed), (0, 0));

    let cellplm = fixture("data/vocab/cellplm").unwrap();
    let [plain, more] = through("cellplm", &cellplm, &genes);
    assert_eq!((plain.by_id, plain.by_symbol, plain.aliases_would_find), (19_028, 0, 61));
    assert_eq!((more.by_id, more.by_alias, more.matched), (19_028, 61, 19_089));
}

#[test]
fn symbols_find_ids_and_ids_find_symbols_without_a_table_of_the_model() {
    let Some(genes) = pbmc4k() else { return };
    let (symbols, ids) = (without_ids(&genes), GeneIds { symbols: vec![None; 33_694], ..genes.clone() });
    let chosen = options(json!({"gene_aliases": "hgnc"}));
    let folder = geneformer(false);
    let tokenizer = |model: &str, checkpoint: &Path, genes: &GeneIds, chosen: &Options| {
        cell_model(model).unwrap().tokenizer(checkpoint, genes, chosen)
    };
    let cellplm = fixture("data/vocab/cellplm").unwrap();
    let scfoundation = fixture("data/vocab/scfoundation").unwrap();
    for (model, checkpoint, genes) in [
        ("geneformer", folder.path(), &symbols),
        ("cellplm", &cellplm, &symbols),
        ("scfoundation", &scfoundation, &ids),
    ] {
        let refused = tokenizer(model, checkpoint, genes, &Options::default()).err().unwrap().to_string();
        assert!(refused.contains("gene_aliases = hgnc"), "{model}: {refused}");
        let found = tokenizer(model, checkpoint, genes, &chosen).unwrap();
        let Coverage { matched, by_alias, tokens, .. } = *found.coverage();
        println!("{model}: {matched} genes");
        assert!(matched > 18_000 && by_alias == matched && tokens == matched, "{model}: {matched}");
    }
    // What the names lead to is what the ids of the same columns say.
    let human = HumanGenes::get();
    let differing = symbols.symbols.iter().zip(&genes.ensembl).filter(|(symbol, id)| {
        let by_symbol =
            symbol.as_deref().and_then(|name| human.named(name)).and_then(|(gene, _)| gene.ensembl);
        by_symbol
            .is_some_and(|found| id.as_deref().is_some_and(|id| human.with_id(id).is_some() && id != found))
    });
    let differing = differing.count();
    println!("{differing} symbols lead to another gene than the id beside them");
    assert_eq!(differing, 17);
}
