//! The table of scores.

use std::path::Path;

use celldag_engine::NodeError;

use super::heads::Heads;
use crate::evaluate::metrics::argmax;
use crate::learn::failure::io;

/// What is written.
pub(super) struct Scored<'a> {
    /// All cells.
    pub(super) ids: &'a [String],
    /// Positions of the cells that have scores, ascending.
    pub(super) known: &'a [usize],
    /// Fold → cell → class → score.
    pub(super) by_fold: &'a [Vec<Vec<f64>>],
    pub(super) heads: &'a Heads,
}

/// Writes one row a cell in the order of the file.
pub(super) fn write(path: &Path, scored: &Scored<'_>) -> Result<(), NodeError> {
    let classes = &scored.heads.info.classes;
    let mut out = csv::Writer::from_path(path).map_err(io)?;
    let mut header = vec!["cell_id".to_owned(), "score".to_owned(), "prediction".to_owned()];
    header.extend(classes.iter().map(|class| format!("score[{class}]")));
    header.extend(scored.heads.folds.iter().map(|head| match head.repeat {
        0 => format!("fold[{}]", head.fold),
        repeat => format!("fold[{repeat}/{}]", head.fold),
    }));
    let width = header.len();
    out.write_record(&header).map_err(io)?;
    let mut known = scored.known.iter().enumerate().peekable();
    for (position, id) in scored.ids.iter().enumerate() {
        let mut record = vec![id.clone()];
        if let Some((at, _)) = known.next_if(|(_, cell)| **cell == position) {
            record.extend(scores(scored, at, classes));
        }
        record.resize(width, String::new());
        out.write_record(&record).map_err(io)?;
    }
    out.flush().map_err(io)
}

/// Score, prediction, mean scores and those of the folds: with two classes of the positive one, else the fold's class.
fn scores(scored: &Scored<'_>, cell: usize, classes: &[String]) -> Vec<String> {
    let folds = scored.by_fold.len() as f64;
    let mean: Vec<f64> = (0..classes.len())
        .map(|class| scored.by_fold.iter().map(|fold| fold[cell][class]).sum::<f64>() / folds)
        .collect();
    let binary = classes.len() == 2;
    // As in training: positive from 0.5 on.
    let predicted = if binary { usize::from(mean[1] >= 0.5) } else { argmax(&mean) };
    let mut record =
        vec![(if binary { mean[1] } else { mean[predicted] }).to_string(), classes[predicted].clone()];
    record.extend(mean.iter().map(f64::to_string));
    record.extend(scored.by_fold.iter().map(|fold| {
        let own = &fold[cell];
        if binary { own[1].to_string() } else { classes[argmax(own)].clone() }
    }));
    record
}
