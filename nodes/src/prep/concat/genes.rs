//! Which genes of several files are the same, and which of them stay.

use std::collections::BTreeSet;

use celldag_data::{Column, GeneIds, Table};
use indexmap::IndexMap;

/// What makes two genes of two files one.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Match {
    /// The name in the index of `var`, letter by letter.
    Name,
    /// The Ensembl id without version.
    Ensembl,
}

/// Genes of the result, and where each file's columns go.
#[derive(Debug)]
pub(crate) struct Common {
    /// One row a gene: its name in the first file that has it (the key where that name is taken), and its Ensembl id and
    /// symbol as far as any file tells.
    pub(super) var: Table,
    /// File → its column → column of the result; `None` for a gene that is left out.
    pub(crate) target: Vec<Vec<Option<u32>>>,
    /// File → genes left out because an earlier gene of the same file has their key.
    pub(super) repeated: Vec<usize>,
    /// File → genes left out because nothing tells which gene they are: matched by id, they have none.
    pub(super) keyless: Vec<Vec<String>>,
}

/// One gene of any file.
struct Gene {
    name: String,
    ensembl: Option<String>,
    symbol: Option<String>,
    /// Number of files that have it.
    files: usize,
}

/// Finds the genes that all files have, or with `outer` those that any has, in the order of the first file that has them.
pub(crate) fn common(vars: &[&Table], by: Match, outer: bool) -> Common {
    let mut genes: IndexMap<String, Gene> = IndexMap::new();
    let (mut positions, mut repeated, mut keyless) = (Vec::new(), Vec::new(), Vec::new());
    for var in vars {
        let found = of_file(var, by, &mut genes);
        let without: Vec<String> = found
            .iter()
            .zip(&var.index)
            .filter(|(spot, _)| spot.is_none())
            .map(|(_, name)| name.clone())
            .collect();
        let once = first_of_each(found, genes.len());
        for &position in once.iter().flatten() {
            genes[position].files += 1;
        }
        repeated.push(once.iter().filter(|spot| spot.is_none()).count() - without.len());
        keyless.push(without);
        positions.push(once);
    }
    let (mut place, mut kept) = (Vec::with_capacity(genes.len()), Vec::new());
    for (key, gene) in &genes {
        let stays = outer || gene.files == vars.len();
        place.push(stays.then_some(kept.len() as u32));
        if stays {
            kept.push((key.as_str(), gene));
        }
    }
    let moved = |columns: Vec<Option<usize>>| columns.into_iter().map(|at| place[at?]).collect();
    Common { var: table(&kept), target: positions.into_iter().map(moved).collect(), repeated, keyless }
}

/// Position among all genes of each column of a file; `None` for one without a key. New genes are added.
fn of_file(var: &Table, by: Match, genes: &mut IndexMap<String, Gene>) -> Vec<Option<usize>> {
    let ids = GeneIds::detect(var);
    let column = |(column, name): (usize, &String)| {
        let key = match by {
            Match::Name => Some(name),
            Match::Ensembl => ids.ensembl[column].as_ref(),
        }?;
        let entry = genes.entry(key.clone());
        let position = entry.index();
        let gene =
            entry.or_insert_with(|| Gene { name: name.clone(), ensembl: None, symbol: None, files: 0 });
        gene.ensembl = gene.ensembl.take().or_else(|| ids.ensembl[column].clone());
        gene.symbol = gene.symbol.take().or_else(|| ids.symbols[column].clone());
        Some(position)
    };
    var.index.iter().enumerate().map(column).collect()
}

/// Keeps the first column of each gene.
fn first_of_each(mut columns: Vec<Option<usize>>, genes: usize) -> Vec<Option<usize>> {
    let mut seen = vec![false; genes];
    for spot in &mut columns {
        if spot.is_some_and(|position| std::mem::replace(&mut seen[position], true)) {
            *spot = None;
        }
    }
    columns
}

fn table(genes: &[(&str, &Gene)]) -> Table {
    let mut taken = BTreeSet::new();
    let name = |(key, gene): &(&str, &Gene)| {
        if taken.insert(gene.name.clone()) { gene.name.clone() } else { (*key).to_owned() }
    };
    let mut table = Table::new(genes.iter().map(name).collect());
    let columns = [
        ("ensembl_id", genes.iter().map(|(_, gene)| gene.ensembl.clone()).collect::<Vec<_>>()),
        ("gene_symbol", genes.iter().map(|(_, gene)| gene.symbol.clone()).collect()),
    ];
    for (name, values) in columns {
        if values.iter().any(Option::is_some) {
            // Other columns of `var` are statistics over the cells of one file, which hold no longer.
            let texts = values.into_iter().map(|value| Some(value.unwrap_or_default())).collect();
            table.columns.insert(name.to_owned(), Column::Text(texts));
        }
    }
    table
}

#[cfg(test)]
mod tests {
    use super::*;

    fn var(genes: &[(&str, &str)]) -> Table {
        let mut table = Table::new(genes.iter().map(|(name, _)| (*name).to_owned()).collect());
        let ids = genes.iter().map(|(_, id)| Some((*id).to_owned())).collect();
        table.insert("ensembl_id", Column::Text(ids)).expect("length");
        table
    }

    const A: &str = "ENSG00000000001";
    const B: &str = "ENSG00000000002";
    const C: &str = "ENSG00000000003";

    #[test]
    fn genes_are_matched_by_name_or_by_id() {
        let first = var(&[("a", A), ("b", B), ("c", C), ("b", B)]);
        let second = var(&[("old_c", C), ("b", B), ("d", "")]);
        let inner = common(&[&first, &second], Match::Name, false);
        assert_eq!(inner.var.index, ["b"]);
        assert_eq!(inner.target, [vec![None, Some(0), None, None], vec![None, Some(0), None]]);
        assert_eq!(inner.repeated, [1, 0]);

        let by_id = common(&[&first, &second], Match::Ensembl, false);
        assert_eq!(by_id.var.index, ["b", "c"]);
        assert_eq!(by_id.target, [vec![None, Some(0), Some(1), None], vec![Some(1), Some(0), None]]);
        assert_eq!(by_id.var.text("ensembl_id", 1).as_deref(), Some(C));

        assert!(inner.keyless.iter().all(Vec::is_empty), "every gene has a name");
        assert_eq!(by_id.keyless, [Vec::<String>::new(), vec!["d".to_owned()]]);

        let outer = common(&[&first, &second], Match::Name, true);
        assert_eq!(outer.var.index, ["a", "b", "c", "old_c", "d"]);
        assert_eq!(outer.target[1], [Some(3), Some(1), Some(4)]);
        assert_eq!(outer.var.text("ensembl_id", 4).as_deref(), Some(""));
    }

    #[test]
    fn two_genes_of_one_name_keep_apart_by_their_ids() {
        let outer = common(&[&var(&[("x", A)]), &var(&[("x", B)])], Match::Ensembl, true);
        assert_eq!(outer.var.index, ["x", B]);
    }
}
