//! `OS_scRNA_gene_index.19264.tsv`: the gene of each position.

use std::collections::BTreeMap;
use std::path::Path;

use celldag_data::vocabulary::{check_ids, read_indexed};

use crate::error::ModelError;
use crate::vocabulary::digest;

/// Gene symbols and their positions. Behind the genes lie the positions of T and S.
#[derive(Clone, Debug)]
pub struct Vocabulary {
    /// Gene symbol → position.
    pub genes: BTreeMap<String, u32>,
    /// Position of T, the read depth that is asked for: the number of genes.
    pub target: u32,
    /// Position of S, the read depth that the cell has.
    pub source: u32,
    /// BLAKE3 of the sorted lines `name<TAB>position<LF>`, hex.
    pub digest: String,
}

impl Vocabulary {
    /// Reads a list with the columns `gene_name` and `index`.
    ///
    /// # Errors
    /// When the file cannot be read, a name stands twice, or its indexes are not exactly 0, 1, ...
    pub fn read(path: &Path) -> Result<Self, ModelError> {
        let refuse = |reason: String| ModelError::Config { path: path.to_path_buf(), reason };
        let list = read_indexed(path, "gene_name", "index")?;
        check_ids(path, &list, list.len())?;
        if list.is_empty() {
            return Err(refuse("the list has no genes".to_owned()));
        }
        let mut genes = BTreeMap::new();
        for (name, index) in list {
            let index =
                u32::try_from(index).map_err(|_| refuse(format!("`{name}` has the index {index}")))?;
            genes.insert(name, index);
        }
        let target = u32::try_from(genes.len()).map_err(|e| refuse(e.to_string()))?;
        Ok(Self { digest: digest(&genes), genes, target, source: target + 1 })
    }

    /// Positions of a cell: genes, T and S. Token ids are below it.
    #[must_use]
    pub fn positions(&self) -> usize {
        self.genes.len() + 2
    }
}
