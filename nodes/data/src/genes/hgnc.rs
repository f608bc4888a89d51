//! What human genes are and were called: approved symbols, Ensembl ids, previous and alias symbols, as the HUGO Gene
//! Nomenclature Committee lists them (`nodes/data/hgnc` says which release).

use std::collections::BTreeMap;
use std::collections::btree_map::Entry;
use std::io::Read;
use std::sync::OnceLock;

use flate2::read::GzDecoder;

static TABLE: &[u8] = include_bytes!("../../hgnc/names.tsv.gz");
/// Between the names of a list.
const SEPARATOR: char = '|';

/// How a name belongs to a gene, the surest first.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum NameKind {
    /// The symbol of today.
    Approved,
    /// The approved symbol of an earlier day.
    Previous,
    /// Used for the gene, but never its approved symbol.
    Alias,
}

/// A human gene.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct HumanGene {
    /// The approved symbol.
    pub symbol: &'static str,
    /// The Ensembl id, without version; some genes have none.
    pub ensembl: Option<&'static str>,
    previous: &'static str,
    aliases: &'static str,
}

/// All genes with an approved symbol, by their names.
#[derive(Debug)]
pub struct HumanGenes {
    genes: Vec<HumanGene>,
    names: BTreeMap<&'static str, Named>,
    /// `None`: an id of several genes.
    ids: BTreeMap<&'static str, Option<usize>>,
}

#[derive(Debug)]
struct Named {
    gene: usize,
    kind: NameKind,
    ambiguous: bool,
}

impl HumanGenes {
    /// The table, unpacked when it is first asked for.
    #[must_use]
    pub fn get() -> &'static Self {
        static GENES: OnceLock<HumanGenes> = OnceLock::new();
        GENES.get_or_init(|| Self::of(text()))
    }

    fn of(text: &'static str) -> Self {
        let genes: Vec<HumanGene> = text.lines().map(HumanGene::of).collect();
        let mut out = Self { names: BTreeMap::new(), ids: BTreeMap::new(), genes };
        for (at, gene) in out.genes.iter().enumerate() {
            let named = Named { gene: at, kind: NameKind::Approved, ambiguous: false };
            out.names.insert(gene.symbol, named);
            if let Some(id) = gene.ensembl {
                out.ids.entry(id).and_modify(|gene| *gene = None).or_insert(Some(at));
            }
        }
        for kind in [NameKind::Previous, NameKind::Alias] {
            for (at, gene) in out.genes.iter().enumerate() {
                for name in gene.of_kind(kind) {
                    match out.names.entry(name) {
                        Entry::Vacant(vacant) => {
                            vacant.insert(Named { gene: at, kind, ambiguous: false });
                        }
                        // Who writes a symbol that is approved means the gene that has it.
                        Entry::Occupied(taken) if taken.get().kind == NameKind::Approved => {}
                        Entry::Occupied(mut taken) => taken.get_mut().ambiguous |= taken.get().gene != at,
                    }
                }
            }
        }
        out
    }

    /// All genes, by symbol.
    #[must_use]
    pub fn genes(&self) -> &[HumanGene] {
        &self.genes
    }

    /// The gene of a name, as it is written, and how the name belongs to it. `None` for names that nobody knows, and for
    /// previous and alias symbols of several genes.
    #[must_use]
    pub fn named(&self, name: &str) -> Option<(&HumanGene, NameKind)> {
        let found = self.names.get(name).filter(|found| !found.ambiguous)?;
        Some((&self.genes[found.gene], found.kind))
    }

    /// The gene of an Ensembl id without version; `None` for ids of several genes.
    #[must_use]
    pub fn with_id(&self, id: &str) -> Option<&HumanGene> {
        self.ids.get(id).copied().flatten().map(|gene| &self.genes[gene])
    }

    /// Everything that means this gene and no other: its symbol, its id, its previous and its alias symbols.
    pub fn names_of(&self, gene: &HumanGene) -> impl Iterator<Item = &'static str> {
        let own = move |name: &&str| self.named(name).is_some_and(|(found, _)| found.symbol == gene.symbol);
        let id = gene.ensembl.filter(|id| self.with_id(id).is_some());
        let old = [NameKind::Previous, NameKind::Alias].into_iter().flat_map(move |kind| gene.of_kind(kind));
        std::iter::once(gene.symbol).chain(id).chain(old.filter(own))
    }

    /// Previous and alias symbols that belong to several genes and so find none.
    #[must_use]
    pub fn ambiguous(&self) -> usize {
        self.names.values().filter(|named| named.ambiguous).count()
    }
}

impl HumanGene {
    fn of(line: &'static str) -> Self {
        let mut fields = line.split('\t');
        let mut field = || fields.next().unwrap_or_default();
        let (symbol, id) = (field(), field());
        Self { symbol, ensembl: (!id.is_empty()).then_some(id), previous: field(), aliases: field() }
    }

    fn of_kind(self, kind: NameKind) -> impl Iterator<Item = &'static str> {
        let list = match kind {
            NameKind::Approved => self.symbol,
            NameKind::Previous => self.previous,
            NameKind::Alias => self.aliases,
        };
        list.split(SEPARATOR).filter(|name| !name.is_empty())
    }
}

fn text() -> &'static str {
    static TEXT: OnceLock<String> = OnceLock::new();
    TEXT.get_or_init(|| {
        let mut text = String::new();
        // The bytes are part of the program, and a test unpacks them: this cannot fail for a user.
        let unpacked = GzDecoder::new(TABLE).read_to_string(&mut text);
        debug_assert!(unpacked.is_ok(), "{unpacked:?}");
        text
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_table_is_that_of_the_release() {
        let genes = HumanGenes::get();
        assert_eq!(genes.genes().len(), 44_997);
        assert!(genes.genes().is_sorted_by(|a, b| a.symbol < b.symbol));
        let ids = || genes.genes().iter().filter_map(|gene| gene.ensembl);
        assert!(ids().all(|id| id.starts_with("ENSG") && id.len() == 15));
        assert!(ids().count() > 40_000);
    }

    #[test]
    fn old_names_lead_to_the_gene_of_today() {
        let genes = HumanGenes::get();
        let found = |name| genes.named(name).map(|(gene, kind)| (gene.symbol, kind));
        assert_eq!(found("TP53"), Some(("TP53", NameKind::Approved)));
        assert_eq!(found("MARCH1"), Some(("MARCHF1", NameKind::Previous)));
        assert_eq!(found("MLL"), Some(("KMT2A", NameKind::Previous)));
        assert_eq!(found("PD-L1"), Some(("CD274", NameKind::Alias)));
        for unknown in ["", "tp53", "no such gene"] {
            assert_eq!(found(unknown), None, "{unknown}");
        }
        let gene = genes.with_id("ENSG00000141510").unwrap();
        assert_eq!(gene.symbol, "TP53");
        let names: Vec<&str> = genes.names_of(gene).collect();
        assert_eq!(names[..2], ["TP53", "ENSG00000141510"]);
        assert!(names.contains(&"LFS1"), "{names:?}");
    }

    #[test]
    fn names_of_several_genes_find_none() {
        const LINES: &str = "A\tENSG1\tOLD|BOTH\tX|B\nB\tENSG2\tBOTH\tOLD2|X\nC\t\tX\tOLD2|NEW\n";
        let genes = HumanGenes::of(LINES);
        let found = |name| genes.named(name).map(|(gene, kind)| (gene.symbol, kind));
        assert_eq!(found("OLD"), Some(("A", NameKind::Previous)));
        assert_eq!(found("NEW"), Some(("C", NameKind::Alias)));
        assert_eq!(found("B"), Some(("B", NameKind::Approved)), "an approved symbol is never an alias");
        assert_eq!([found("BOTH"), found("X"), found("OLD2")], [None; 3]);
        assert_eq!(genes.ambiguous(), 3);
        let names = |symbol| genes.names_of(genes.named(symbol).unwrap().0).collect::<Vec<_>>();
        assert_eq!(names("A"), ["A", "ENSG1", "OLD"]);
        assert_eq!(names("C"), ["C", "NEW"]);
        assert_eq!(genes.with_id("ENSG2").map(|gene| gene.symbol), Some("B"));
        assert_eq!(genes.with_id(""), None);
    }
}
