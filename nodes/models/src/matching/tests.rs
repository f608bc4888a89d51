use celldag_data::{IdSource, Table};

use super::*;

/// `names` in a vocabulary of `known`.
fn matched(
    genes: &GeneIds,
    known: &[&str],
    repeats: Repeats,
    aliases: Option<GeneAliases>,
) -> Result<Matched, ModelError> {
    let find = |name: &str| known.iter().position(|&k| k == name).and_then(|at| u32::try_from(at).ok());
    let vocabulary = Symbols {
        model: "m",
        genes: known.len(),
        examples: "CD3D".to_owned(),
        help: GIVE_SYMBOLS,
        find: &find,
        aliases,
    };
    Matched::by_symbol(genes, repeats, &vocabulary)
}

fn called(names: &[&str]) -> GeneIds {
    GeneIds::detect(&Table::new(names.iter().map(|&n| n.to_owned()).collect()))
}

/// Columns with an id and a symbol.
fn both(columns: &[(&str, &str)]) -> GeneIds {
    let text = |text: &str| (!text.is_empty()).then(|| text.to_owned());
    GeneIds {
        ensembl: columns.iter().map(|(id, _)| text(id)).collect(),
        symbols: columns.iter().map(|(_, symbol)| text(symbol)).collect(),
        source: IdSource::Column,
        source_name: "ensembl_id".to_owned(),
        versions_removed: 0,
    }
}

const HGNC: Option<GeneAliases> = Some(GeneAliases::Hgnc);
const NONE: Option<GeneAliases> = Some(GeneAliases::None);

fn ids(genes: &GeneIds, known: &[&str]) -> Vec<Option<u32>> {
    matched(genes, known, Repeats::Keep, HGNC).unwrap().ids
}

#[test]
fn symbols_then_ids_and_repeated_columns() {
    let known = ["CD3D", "LYZ", "ENSG00000000003"];
    let names = called(&["LYZ", "nothing", "CD3D", "LYZ", "ENSG00000000003.4"]);
    let kept = matched(&names, &known, Repeats::Keep, NONE).unwrap();
    assert_eq!(kept.ids, [Some(1), None, Some(0), Some(1), Some(2)]);
    let first = matched(&names, &known, Repeats::First, NONE).unwrap();
    assert_eq!(first.ids, [Some(1), None, Some(0), None, Some(2)]);
    let Coverage { matched, by_symbol, by_id, tokens, repeated, .. } = first.coverage;
    assert_eq!((matched, by_symbol, by_id, tokens, repeated), (3, 2, 1, 3, 1));
}

#[test]
fn no_known_gene_is_an_error_with_examples() {
    let refused = |names: &[&str], known: &[&str], aliases| {
        matched(&called(names), known, Repeats::Keep, aliases).unwrap_err().to_string()
    };
    let message = refused(&["a", "b"], &["CD3D"], NONE);
    assert!(message.contains("a, b") && message.contains("CD3D"), "{message}");
    assert!(!message.contains("gene_aliases"), "{message}");
    // TP53 by its id, and MLL, which is KMT2A today.
    let message = refused(&["ENSG00000141510", "MLL", "b"], &["TP53", "KMT2A"], NONE);
    assert!(message.contains("gene_aliases = hgnc, 2 of the 3"), "{message}");
    assert!(!refused(&["MLL"], &["KMT2A"], None).contains("gene_aliases"), "of another species");
}

#[test]
fn names_change_in_both_directions() {
    // File older than the vocabulary, vocabulary older than the file, and both older than HGNC.
    assert_eq!(ids(&called(&["MARCH1", "TP53"]), &["TP53", "MARCHF1"]), [Some(1), Some(0)]);
    assert_eq!(ids(&called(&["MARCHF1", "TP53"]), &["TP53", "MARCH1"]), [Some(1), Some(0)]);
    let by_alias = matched(&called(&["MARCH1"]), &["MARCHF1"], Repeats::First, HGNC).unwrap().coverage;
    assert_eq!((by_alias.matched, by_alias.by_alias, by_alias.by_symbol, by_alias.by_id), (1, 1, 0, 0));
    // Ids where the vocabulary wants symbols, and symbols where it wants ids.
    assert_eq!(ids(&called(&["ENSG00000141510.11"]), &["TP53"]), [Some(0)]);
    assert_eq!(ids(&called(&["p53", "TP53"]), &["ENSG00000141510"]), [None, Some(0)]);
}

#[test]
fn a_gene_is_never_found_twice_by_another_name() {
    // The approved symbol is there: its old name is left out, also where the vocabulary has the old one beside it.
    assert_eq!(ids(&called(&["MARCH1", "MARCHF1"]), &["MARCHF1"]), [None, Some(0)]);
    assert_eq!(ids(&called(&["RNF171", "MARCHF1"]), &["MARCHF1", "MARCH1"]), [None, Some(0)]);
    // Of two other names the surer one: an id before a previous symbol before an alias.
    assert_eq!(ids(&called(&["RNF171", "MARCH1"]), &["MARCHF1"]), [None, Some(0)]);
    assert_eq!(ids(&called(&["MARCH1", "MARCH1"]), &["MARCHF1"]), [Some(0), None]);
    let id = celldag_data::HumanGenes::get().named("MARCHF1").unwrap().0.ensembl.unwrap();
    assert_eq!(ids(&both(&[("", "MARCH1"), (id, "new")]), &["MARCHF1"]), [None, Some(0)]);
    // The id of the file is taken at its word.
    assert_eq!(ids(&both(&[("ENSG00000141510", "MLL")]), &["TP53", "KMT2A"]), [Some(0)]);
    assert!(matched(&both(&[("ENSG00000141510", "MLL")]), &["KMT2A"], Repeats::Keep, HGNC).is_err());
}

#[test]
fn without_the_option_nothing_is_renamed_but_counted() {
    let genes = called(&["MARCH1", "TP53"]);
    let plain = matched(&genes, &["TP53", "MARCHF1"], Repeats::Keep, NONE).unwrap();
    assert_eq!(plain.ids, [None, Some(0)]);
    assert_eq!((plain.coverage.by_alias, plain.coverage.aliases_would_find), (0, 1));
    let used = matched(&genes, &["TP53", "MARCHF1"], Repeats::Keep, HGNC).unwrap();
    assert_eq!((used.coverage.by_alias, used.coverage.aliases_would_find), (1, 0));
}

#[test]
fn blank_names_mean_no_gene() {
    let known = ["", " ", "CD3D"];
    for genes in [called(&["", "CD3D", " "]), both(&[("", ""), ("", "CD3D"), (" ", " ")])] {
        assert_eq!(ids(&genes, &known), [None, Some(2), None]);
    }
}
