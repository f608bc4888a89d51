//! How the genes of the files are covered by the dictionaries, and the vocabulary by the genes of each file.

use celldag_engine::Step;
use celldag_models::Coverage;

/// Genes of all files, as facts: the same however cells are divided into files.
#[derive(Default)]
pub(super) struct Covered {
    largest: usize,
    matched: Option<usize>,
}

impl Covered {
    /// Takes the genes of a file, and warns when the dictionaries do not know most of them.
    pub(super) fn add(&mut self, step: &Step<'_>, file: &str, coverage: &Coverage) {
        let Coverage { genes, matched, unmatched_examples, .. } = coverage;
        self.largest = self.largest.max(*genes);
        self.matched = Some(self.matched.map_or(*matched, |least| least.min(*matched)));
        if 2 * matched < *genes {
            step.warn(format!(
                "{file}: {} of the {genes} genes are not in the dictionaries, for example {}; the model will not know them",
                genes - matched,
                unmatched_examples.join(", ")
            ));
        }
    }

    /// Genes of the largest file, and those that the dictionaries know in the file where they know the fewest.
    pub(super) fn report(&self, step: &Step<'_>) {
        step.fact("genes_of_largest_file", self.largest);
        step.fact("genes_matched_at_least", self.matched.unwrap_or_default());
    }
}

/// Warns when a file lacks most genes of the vocabulary: ranks of its cells are those of what is left.
pub(super) fn of_vocabulary(step: &Step<'_>, file: &str, coverage: &Coverage) {
    let Coverage { tokens, vocabulary_genes, .. } = coverage;
    if 2 * tokens < *vocabulary_genes {
        step.warn(format!(
            "{file} has only {tokens} of the {vocabulary_genes} genes of the vocabulary, which are those of all files: its cells \
             look as if they did not express the rest; give files of the same genes"
        ));
    }
}
