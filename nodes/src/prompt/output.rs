//! Predictions, their variants for measuring, and the transcript.

use std::collections::BTreeMap;
use std::io::Write as _;
use std::path::Path;

use celldag_engine::{NodeError, Step};

use super::genes::TopGenes;
use super::interview::{Exchange, Missing, Verdict};
use super::study::Row;
use crate::learn::failure::io;
use crate::learn::predictions::{COLUMNS, Prediction, Predictions};

/// One row of the predictions with its verdict.
pub(super) struct Answered<'a> {
    pub(super) row: &'a Row,
    pub(super) verdict: Verdict,
}

/// What all rows share.
pub(super) struct Rows<'a> {
    pub(super) genes: &'a TopGenes,
    pub(super) classes: &'a [String],
    pub(super) dataset: &'a str,
    pub(super) rows: Vec<Answered<'a>>,
}

impl Rows<'_> {
    /// Writes all rows; a cell without an answer has empty fields `score` and `prediction`, and `answer` says why.
    pub(super) fn write_all(&self, path: &Path) -> Result<(), NodeError> {
        let mut out = csv::Writer::from_path(path).map_err(io)?;
        let several = self.classes.len() > 2;
        let mut header: Vec<String> = COLUMNS.map(str::to_owned).to_vec();
        if several {
            header.extend(self.classes.iter().map(|class| format!("score[{class}]")));
        }
        header.push("answer".to_owned());
        out.write_record(&header).map_err(io)?;
        for Answered { row, verdict } in &self.rows {
            let prediction = verdict.ok().map(|class| self.prediction(row, class));
            let text = |value: Option<String>| value.unwrap_or_default();
            let mut record = vec![
                self.genes.ids[row.cell].clone(),
                self.dataset.to_owned(),
                row.group.clone(),
                row.repeat.to_string(),
                row.fold.to_string(),
                row.label.clone(),
                if several { String::new() } else { self.classes[1].clone() },
                text(prediction.as_ref().map(|p| p.score.to_string())),
                text(prediction.as_ref().map(|p| p.prediction.clone())),
            ];
            if several {
                let scores = prediction.map(|p| p.class_scores);
                record.extend(
                    (0..self.classes.len())
                        .map(|c| text(scores.as_ref().map(|scores| scores[c].to_string()))),
                );
            }
            record.push(verdict.map_or_else(Missing::word, |_| "read").to_owned());
            out.write_record(&record).map_err(io)?;
        }
        out.flush().map_err(io)
    }

    /// The cells with an answer.
    pub(super) fn answered(&self) -> Predictions {
        let row = |a: &Answered<'_>| a.verdict.ok().map(|class| self.prediction(a.row, class));
        self.measured(self.rows.iter().filter_map(row).collect())
    }

    /// All labelled cells that were asked about; one without an answer counts as predicted wrongly.
    pub(super) fn missing_as_wrong(&self) -> Predictions {
        let row = |a: &Answered<'_>| {
            if a.verdict == Err(Missing::DryRun) {
                return None;
            }
            let truth = self.classes.iter().position(|class| *class == a.row.label)?;
            let wrong = if truth == 0 { 1 } else { 0 };
            Some(self.prediction(a.row, a.verdict.unwrap_or(wrong)))
        };
        self.measured(self.rows.iter().filter_map(row).collect())
    }

    fn measured(&self, mut rows: Vec<Prediction>) -> Predictions {
        rows.retain(|row| !row.label.is_empty());
        Predictions { classes: self.classes.to_vec(), rows }
    }

    /// A language model gives a class and no score: 1 for it and 0 for the others.
    fn prediction(&self, row: &Row, class: usize) -> Prediction {
        let one = |yes: bool| if yes { 1.0 } else { 0.0 };
        let several = self.classes.len() > 2;
        Prediction {
            cell_id: self.genes.ids[row.cell].clone(),
            dataset: self.dataset.to_owned(),
            group: row.group.clone(),
            repeat: row.repeat,
            fold: row.fold,
            label: row.label.clone(),
            score: if several { 1.0 } else { one(class == 1) },
            prediction: self.classes[class].clone(),
            class_scores: if several {
                (0..self.classes.len()).map(|c| one(c == class)).collect()
            } else {
                Vec::new()
            },
            logits: Vec::new(),
        }
    }

    /// States how many cells have an answer, and why the others have none.
    pub(super) fn report(&self, step: &Step<'_>) {
        let mut missing: BTreeMap<Missing, usize> = BTreeMap::new();
        for reason in self.rows.iter().filter_map(|a| a.verdict.err()) {
            *missing.entry(reason).or_default() += 1;
        }
        let count: usize = missing.values().sum();
        let all = self.rows.len();
        step.fact("predictions", all);
        step.fact("predictions_missing", count);
        let coverage = (all - count) as f64 / all.max(1) as f64;
        step.fact("coverage", (coverage * 1e6).round() / 1e6);
        for (reason, count) in &missing {
            step.fact(&format!("missing_{}", reason.word()), *count);
        }
        if count > 0 && !missing.contains_key(&Missing::DryRun) {
            let reasons: Vec<String> =
                missing.iter().map(|(reason, count)| format!("{count} {}", reason.word())).collect();
            step.warn(format!(
                "{count} of {all} predictions are missing ({}): measure both `answered` and `missing_as_wrong`, since the \
                 cells that a model answers are not a fair sample",
                reasons.join(", ")
            ));
        }
    }
}

/// Writes the transcript, one exchange a line.
pub(super) fn write_transcript(path: &Path, transcript: &[Exchange]) -> Result<(), NodeError> {
    let mut out = std::io::BufWriter::new(fs_err::File::create(path).map_err(io)?);
    for exchange in transcript {
        serde_json::to_writer(&mut out, exchange).map_err(io)?;
        out.write_all(b"\n").map_err(io)?;
    }
    out.flush().map_err(io)
}
