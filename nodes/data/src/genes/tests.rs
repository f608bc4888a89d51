use indexmap::IndexMap;

use super::{Coverage, GeneIds, IdSource, ensembl_id};
use crate::{Column, Table};

fn table(names: &[&str]) -> Table {
    Table::new(names.iter().map(|&n| n.to_owned()).collect())
}

#[test]
fn ids_are_recognised_and_cleaned() {
    let id = |name| ensembl_id(name).map(|(id, _)| id);
    assert_eq!(id("ENSG00000000003").as_deref(), Some("ENSG00000000003"));
    assert_eq!(ensembl_id("ENSG00000000003.12"), Some(("ENSG00000000003".to_owned(), true)));
    assert_eq!(id("ensmusg00000000001").as_deref(), Some("ENSMUSG00000000001"));
    assert_eq!(id("ENSG00000182378.15_PAR_Y").as_deref(), Some("ENSG00000182378"));
    for not in [
        "TP53",
        "ENSG0000000003",
        "ENST00000000003",
        "ENSG00000000003.",
        "ENSG00000000003.a",
        "RP11-34P13.3",
        "ENS",
        "",
    ] {
        assert_eq!(id(not), None, "{not}");
    }
}

#[test]
fn symbols_are_looked_up_and_reported() {
    let ids = GeneIds::detect(&table(&["TP53", "egfr", "NOPE", "TP53.1"]));
    assert_eq!(ids.source, IdSource::None);
    let map: IndexMap<String, String> = [("TP53", "ENSG00000141510"), ("EGFR", "ENSG00000146648")]
        .map(|(k, v)| (k.to_owned(), v.to_owned()))
        .into_iter()
        .collect();
    let (resolved, coverage) = ids.resolve(&map);
    assert_eq!(resolved[1].as_deref(), Some("ENSG00000146648"));
    let unmatched_examples = vec!["NOPE".to_owned(), "TP53.1".to_owned()];
    assert_eq!(
        coverage,
        Coverage { genes: 4, matched: 2, by_id: 0, by_symbol: 2, duplicates: 0, unmatched_examples }
    );
}

#[test]
fn a_column_wins_and_gaps_are_filled_by_symbol() {
    let mut var = table(&["A", "B", "C"]);
    let column =
        vec![Some("ENSG00000000001.2".to_owned()), Some(String::new()), Some("ENSG00000000001".to_owned())];
    var.insert("gene_ids", Column::Text(column)).unwrap();
    let ids = GeneIds::detect(&var);
    assert_eq!(
        (ids.source, ids.source_name.as_str(), ids.versions_removed),
        (IdSource::Column, "gene_ids", 1)
    );
    let map = std::iter::once(("B".to_owned(), "ENSG00000000002".to_owned())).collect();
    let (_, coverage) = ids.resolve(&map);
    assert_eq!((coverage.matched, coverage.by_id, coverage.by_symbol, coverage.duplicates), (3, 2, 1, 1));
}

#[test]
fn an_index_of_ids_is_used() {
    let ids = GeneIds::detect(&table(&["ENSG00000000001.1", "ENSG00000000002.1", "MT-ND1"]));
    assert_eq!((ids.source, ids.versions_removed), (IdSource::Index, 2));
    assert_eq!(ids.symbols, [None, None, Some("MT-ND1".to_owned())]);
    assert_eq!(ids.coverage_in(|name| name == "MT-ND1" || name == "ENSG00000000001").matched, 2);
}
