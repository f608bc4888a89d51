//! What Cell Ranger writes: HDF5 files (version 2 with one group per genome, version 3 with features of several types)
//! and folders of Matrix Market text.

use std::sync::Arc;

use crate::cells::Kept;
use crate::{Column, GeneIds, IdSource, Table};

pub(crate) mod folder;
pub(crate) mod h5;
mod mtx;

/// The type of the features that are genes.
const GENE_EXPRESSION: &str = "Gene Expression";

/// The features of a 10x matrix, one entry per feature in each list that is not empty.
#[derive(Debug, Default)]
struct Features {
    ids: Vec<String>,
    names: Vec<String>,
    types: Vec<String>,
    genomes: Vec<String>,
}

impl Features {
    /// The table of genes, and which features they are if there are others. `genome` restricts them further.
    fn genes(self, genome: Option<&str>, warnings: &mut Vec<String>) -> (Arc<Table>, Option<Kept>) {
        let is_gene = |i: &usize| {
            self.types.get(*i).is_none_or(|kind| kind == GENE_EXPRESSION)
                && (self.genomes.is_empty() || genome.is_none_or(|wanted| self.genomes[*i] == wanted))
        };
        let columns: Vec<usize> = (0..self.names.len()).filter(is_gene).collect();
        let mut table = Table::new(self.names.clone());
        let text = |values: &[String]| Column::Text(values.iter().cloned().map(Some).collect());
        table.columns.insert("gene_ids".to_owned(), text(&self.ids));
        // The name that every step of ours uses for Ensembl ids; other kinds of ids keep the field's usual name.
        let detected = GeneIds::detect(&table);
        if detected.source == IdSource::Column && detected.ensembl.iter().all(Option::is_some) {
            let ids = table.columns.shift_remove("gene_ids");
            table.columns.extend(ids.map(|ids| ("ensembl_id".to_owned(), ids)));
        }
        for (name, values) in [("feature_types", &self.types), ("genome", &self.genomes)] {
            if !values.is_empty() {
                let values: Vec<Option<&String>> = values.iter().map(Some).collect();
                table.columns.insert(name.to_owned(), Column::categorical(&values));
            }
        }
        let kept = (columns.len() < self.names.len()).then(|| {
            let (others, all) = (self.names.len() - columns.len(), self.names.len());
            warnings.push(format!(
                "{others} of {all} features are no genes of the wanted kind and were left out"
            ));
            Kept { columns, names: self.names }
        });
        if let Some(kept) = &kept {
            table = table.select(&kept.columns);
        }
        if let Some((gene, first, second)) = table.first_duplicate() {
            warnings.push(format!("the gene name `{gene}` occurs twice, in rows {first} and {second}"));
        }
        (Arc::new(table), kept)
    }
}
