//! Quality metrics of cells and genes: `calculate_qc_metrics` of Scanpy.

use crate::prep::Rows;

/// Ranks for which the share of the most expressed genes is reported.
pub const TOP_GENES: [usize; 3] = [20, 50, 100];

/// Genes of one sort (`mt`, `ribo`) whose share of a cell's counts is reported.
#[derive(Clone, Debug, PartialEq)]
pub struct GeneSet {
    /// Name used in column names (`pct_counts_mt`).
    pub name: String,
    /// Per gene: belongs to the set.
    pub members: Vec<bool>,
}

impl GeneSet {
    /// The genes whose name begins with one of `prefixes`; case does not matter, so that mouse `mt-` is found too.
    #[must_use]
    pub fn by_prefix(name: &str, prefixes: &[String], genes: &[String]) -> Self {
        let starts = |gene: &String| {
            prefixes.iter().any(|prefix| {
                gene.get(..prefix.len()).is_some_and(|begin| begin.eq_ignore_ascii_case(prefix))
            })
        };
        Self { name: name.to_owned(), members: genes.iter().map(starts).collect() }
    }

    /// Number of genes in the set.
    #[must_use]
    pub fn len(&self) -> usize {
        self.members.iter().filter(|&&member| member).count()
    }

    /// Whether no gene is in the set.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }
}

/// Metrics of cells, one element a cell. Shares of an empty cell are NaN: undefined.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct CellMetrics {
    /// Sum of counts.
    pub total_counts: Vec<f64>,
    /// Number of genes with a count.
    pub n_genes: Vec<u32>,
    /// Per rank of [`TOP_GENES`]: percentage (0 to 100) of counts in that many most expressed genes; 100 when the cell
    /// has fewer genes.
    pub pct_top: [Vec<f64>; TOP_GENES.len()],
    /// Per gene set: sum of its counts.
    pub set_counts: Vec<Vec<f64>>,
}

impl CellMetrics {
    /// Metrics of all cells of a count matrix.
    ///
    /// # Errors
    /// When the rows cannot be read.
    pub fn of<R: Rows>(counts: &R, sets: &[GeneSet]) -> Result<Self, R::Error> {
        let mut metrics = Self::default();
        counts.each_row(&mut |_, columns, values| metrics.add(columns, values, sets))?;
        Ok(metrics)
    }

    /// Adds one cell.
    pub fn add(&mut self, columns: &[u32], values: &[f64], sets: &[GeneSet]) {
        self.set_counts.resize_with(sets.len(), Vec::new);
        let total: f64 = values.iter().sum();
        self.total_counts.push(total);
        self.n_genes.push(values.len() as u32);
        let mut largest = values.to_vec();
        let deepest = TOP_GENES[TOP_GENES.len() - 1];
        if largest.len() > deepest {
            largest.select_nth_unstable_by(deepest, |a, b| b.total_cmp(a));
            largest.truncate(deepest);
        }
        largest.sort_unstable_by(|a, b| b.total_cmp(a));
        for (rank, shares) in TOP_GENES.into_iter().zip(&mut self.pct_top) {
            let top: f64 = largest.iter().take(rank).sum();
            // Exactly 100 by definition: a quotient of two sums may miss it by a rounding error.
            let all = values.len() <= rank && total > 0.0;
            shares.push(if all { 100.0 } else { top / total * 100.0 });
        }
        for (set, sums) in sets.iter().zip(&mut self.set_counts) {
            let members = columns.iter().zip(values).filter(|&(&column, _)| set.members[column as usize]);
            sums.push(members.map(|(_, &value)| value).sum());
        }
    }

    /// Number of cells.
    #[must_use]
    pub fn len(&self) -> usize {
        self.total_counts.len()
    }

    /// Whether there are no cells.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.total_counts.is_empty()
    }

    /// Share of gene set `set` in the counts of `cell`, 0 to 1; NaN for an empty cell.
    #[must_use]
    pub fn set_share(&self, set: usize, cell: usize) -> f64 {
        self.set_counts[set][cell] / self.total_counts[cell]
    }

    /// The metrics as the columns that Scanpy writes into `obs`, for the cells `cells`, in its order.
    #[must_use]
    pub fn columns(&self, sets: &[GeneSet], cells: &[usize]) -> Vec<(String, Vec<f64>)> {
        let take = |f: &dyn Fn(usize) -> f64| cells.iter().map(|&cell| f(cell)).collect::<Vec<_>>();
        let genes = |cell: usize| f64::from(self.n_genes[cell]);
        let mut out = vec![
            ("n_genes_by_counts".to_owned(), take(&genes)),
            ("log1p_n_genes_by_counts".to_owned(), take(&|c| genes(c).ln_1p())),
            ("total_counts".to_owned(), take(&|c| self.total_counts[c])),
            ("log1p_total_counts".to_owned(), take(&|c| self.total_counts[c].ln_1p())),
        ];
        for (rank, shares) in TOP_GENES.into_iter().zip(&self.pct_top) {
            out.push((format!("pct_counts_in_top_{rank}_genes"), take(&|c| shares[c])));
        }
        for (index, set) in sets.iter().enumerate() {
            let counts = &self.set_counts[index];
            out.push((format!("total_counts_{}", set.name), take(&|c| counts[c])));
            out.push((format!("log1p_total_counts_{}", set.name), take(&|c| counts[c].ln_1p())));
            out.push((
                format!("pct_counts_{}", set.name),
                take(&|c| counts[c] / self.total_counts[c] * 100.0),
            ));
        }
        out
    }
}

/// Metrics of genes, one element a gene, over the cells added so far.
#[derive(Clone, Debug, PartialEq)]
pub struct GeneMetrics {
    /// Number of cells.
    pub cells: usize,
    /// In how many cells the gene has a count.
    pub n_cells: Vec<u32>,
    /// Sum of counts.
    pub total_counts: Vec<f64>,
}

impl GeneMetrics {
    /// No cells yet.
    #[must_use]
    pub fn new(n_genes: usize) -> Self {
        Self { cells: 0, n_cells: vec![0; n_genes], total_counts: vec![0.0; n_genes] }
    }

    /// Metrics over all cells of a count matrix.
    ///
    /// # Errors
    /// When the rows cannot be read.
    pub fn of<R: Rows>(counts: &R) -> Result<Self, R::Error> {
        let mut metrics = Self::new(counts.n_cols());
        counts.each_row(&mut |_, columns, values| metrics.add(columns, values))?;
        Ok(metrics)
    }

    /// Adds one cell.
    pub fn add(&mut self, columns: &[u32], values: &[f64]) {
        self.cells += 1;
        for (&column, &value) in columns.iter().zip(values) {
            self.n_cells[column as usize] += 1;
            self.total_counts[column as usize] += value;
        }
    }

    /// The metrics as the columns that Scanpy writes into `var`, for the genes `genes`, in its order.
    #[must_use]
    pub fn columns(&self, genes: &[usize]) -> Vec<(String, Vec<f64>)> {
        let take = |f: &dyn Fn(usize) -> f64| genes.iter().map(|&gene| f(gene)).collect::<Vec<_>>();
        let cells = self.cells as f64;
        let seen = |gene: usize| f64::from(self.n_cells[gene]);
        let mean = |gene: usize| self.total_counts[gene] / cells;
        vec![
            ("n_cells_by_counts".to_owned(), take(&seen)),
            ("mean_counts".to_owned(), take(&mean)),
            ("log1p_mean_counts".to_owned(), take(&|g| mean(g).ln_1p())),
            ("pct_dropout_by_counts".to_owned(), take(&|g| (1.0 - seen(g) / cells) * 100.0)),
            ("total_counts".to_owned(), take(&|g| self.total_counts[g])),
            ("log1p_total_counts".to_owned(), take(&|g| self.total_counts[g].ln_1p())),
        ]
    }
}
