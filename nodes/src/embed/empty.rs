//! Cells that get no tokens: how many, which, and why. Their embeddings are NaN, which nobody should have to explain alone.

use std::collections::BTreeMap;

use celldag_engine::Step;
use celldag_models::WhyEmpty;

/// Cells named in a warning.
const EXAMPLES: usize = 3;

/// Cells without tokens, by the reason.
#[derive(Debug, Default)]
pub(super) struct Empty(BTreeMap<WhyEmpty, Cells>);

#[derive(Debug, Default)]
struct Cells {
    number: u64,
    examples: Vec<String>,
}

impl Empty {
    /// Counts a cell.
    pub(super) fn add(&mut self, why: WhyEmpty, cell: &str) {
        let cells = self.0.entry(why).or_default();
        cells.number += 1;
        if cells.examples.len() < EXAMPLES {
            cells.examples.push(format!("`{cell}`"));
        }
    }

    /// Number of cells.
    pub(super) fn cells(&self) -> u64 {
        self.0.values().map(|cells| cells.number).sum()
    }

    /// How many for which reason, in words.
    pub(super) fn in_words(&self) -> String {
        let part = |(why, cells): (&WhyEmpty, &Cells)| format!("{} {}", cells.number, words(why));
        self.0.iter().map(part).collect::<Vec<_>>().join("; ")
    }

    /// States the numbers as facts, and warns of each reason with examples.
    pub(super) fn report(&self, step: &Step<'_>, all: u64) {
        let of = |wanted: fn(&WhyEmpty) -> bool| -> u64 {
            self.0.iter().filter(|(why, _)| wanted(why)).map(|(_, cells)| cells.number).sum()
        };
        step.fact("cells_without_tokens", self.cells());
        step.fact("cells_without_counts", of(|why| *why == WhyEmpty::NoCounts));
        step.fact("cells_without_known_gene", of(|why| *why == WhyEmpty::NoKnownGene));
        step.fact("cells_left_out", of(|why| matches!(why, WhyEmpty::LeftOut(_))));
        for (why, Cells { number, examples }) in &self.0 {
            let more = if *number > examples.len() as u64 { ", ..." } else { "" };
            step.warn(format!(
                "{number} of {all} cells {} and get no tokens (their embedding will be NaN): {}{more}",
                words(why),
                examples.join(", "),
            ));
        }
    }
}

fn words(why: &WhyEmpty) -> &str {
    match why {
        WhyEmpty::NoCounts => "have no counts",
        WhyEmpty::NoKnownGene => "have no count in a gene of the vocabulary",
        WhyEmpty::LeftOut(words) => words,
    }
}
