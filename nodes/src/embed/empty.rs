//! Cells that get no tokens: how many, which, and why. Their embeddings are NaN, which nobody should have to explain alone.

use std::collections::BTreeMap;

use celldag_engine::Step;
use celldag_models::WhyEmpty;
use serde::{Deserialize, Serialize};

/// Cells named in a warning.
const EXAMPLES: usize = 3;

/// Cells without tokens, by the reason.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
#[serde(from = "Vec<(WhyEmpty, Cells)>", into = "Vec<(WhyEmpty, Cells)>")]
pub(super) struct Empty(BTreeMap<WhyEmpty, Cells>);

#[derive(Clone, Debug, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Cells {
    number: u64,
    examples: Vec<String>,
}

impl From<Vec<(WhyEmpty, Cells)>> for Empty {
    fn from(pairs: Vec<(WhyEmpty, Cells)>) -> Self {
        Self(pairs.into_iter().collect())
    }
}

/// Reasons are no texts, so that they cannot be the names of a JSON object.
impl From<Empty> for Vec<(WhyEmpty, Cells)> {
    fn from(empty: Empty) -> Self {
        empty.0.into_iter().collect()
    }
}

impl Empty {
    /// Adds what was seen in the cells behind these.
    pub(super) fn append(&mut self, behind: Self) {
        for (why, more) in behind.0 {
            let cells = self.0.entry(why).or_default();
            cells.number += more.number;
            cells.examples.extend(more.examples);
            cells.examples.truncate(EXAMPLES);
        }
    }

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
