//! The report of predicted responses.

use celldag_engine::document::{Colouring, DOCUMENT_FORMAT, Figure, ReportDocument};
use celldag_engine::{NodeError, Step};

use super::kind::Options;
use super::measure::{Predicted, within};
use super::run::Measured;
use crate::evaluate::files::{FlatTable, write_report};
use crate::evaluate::metrics::MetricError;
use crate::evaluate::scopes::{Scopes, complete, side_by_side, value};
use crate::evaluate::shared::{self, Mean};

/// Metrics of the first table, in reading order.
const SHOWN: [&str; 8] = [
    "pearson",
    "spearman",
    "rmse",
    "mae",
    "r2",
    "pearson_within_drug",
    "pearson_within_line",
    "drugs_defined",
];
/// Most pairs of a figure.
const POINTS: usize = 5000;

pub(super) fn write(
    step: &Step<'_>,
    options: &Options,
    (all, means): (&[Measured], &[Mean<'_>]),
    trained: bool,
    warnings: &[String],
) -> Result<(), NodeError> {
    let scopes: Vec<Scopes<'_>> = all.iter().map(Measured::scopes).collect();
    let note = "pearson_within_drug: mean correlation over lines within each drug that has at least three pairs in a fold and \
                predictions that vary there (drugs_defined of them). It says whether the cell matters; the correlation over \
                all pairs mostly says that drugs differ.";
    let mut tables = side_by_side(&scopes, &SHOWN, "pairs", note);
    let note = "mre_as_printed: mean of (truth - prediction)² / truth, as the scFoundation paper prints its relative error.";
    tables.extend(complete(&scopes, "pairs", note));
    tables.extend(shared::table(means));
    let pearson = all.iter().map(|m| (format!("pearson {}", m.name), value(&m.merged, "pearson")));
    let within = means.iter().filter(|mean| mean.metric == "pearson_within_drug").flat_map(Mean::headline);
    let document = ReportDocument {
        format: DOCUMENT_FORMAT.to_owned(),
        title: options.title.clone(),
        notes: vec![
            format!(
                "{} test pairs; baselines are fitted on {}.",
                all.first().map_or(0, |m| m.pairs.len()),
                if trained { "the training table" } else { "the pairs of the other folds" }
            ),
            "Undefined values are left empty: a correlation without variation, an explained variance of constant truth."
                .to_owned(),
        ],
        warnings: warnings.to_vec(),
        headline: pearson.chain(within).collect(),
        metrics: scopes.iter().map(|m| (m.name.to_owned(), m.numbers().into())).collect(),
        tables,
        figures: all.iter().filter(|m| !m.baseline).map(scatter).collect(),
    };
    write_report(step, document)?;
    flat(step, all, &scopes)
}

/// Truth against prediction, coloured by the absolute error.
fn scatter(model: &Measured) -> Figure {
    let mut pairs: Vec<&Predicted> = model.pairs.iter().collect();
    if pairs.len() > POINTS {
        // A sample that depends on the names only.
        pairs.sort_by_cached_key(|p| {
            *blake3::hash(format!("{}\t{}", p.response.drug, p.response.line).as_bytes()).as_bytes()
        });
        pairs.truncate(POINTS);
    }
    let error = |p: &&Predicted| Some((p.response.value - p.prediction).abs() as f32);
    Figure::Scatter {
        title: format!("{}: {} of {} test pairs", model.name, pairs.len(), model.pairs.len()),
        x: "measured".to_owned(),
        y: "predicted".to_owned(),
        points: pairs.iter().map(|p| [p.response.value as f32, p.prediction as f32]).collect(),
        colourings: vec![Colouring::Value {
            title: "absolute error".to_owned(),
            values: pairs.iter().map(error).collect(),
        }],
    }
}

fn flat(step: &Step<'_>, all: &[Measured], scopes: &[Scopes<'_>]) -> Result<(), NodeError> {
    let mut out = FlatTable::create(step)?;
    for (model, scopes) in all.iter().zip(scopes) {
        out.model(scopes)?;
        let pairs: Vec<&Predicted> = model.pairs.iter().collect();
        let bad = |e: MetricError| NodeError::data(e.to_string());
        let by_drug = within(&pairs, |p| &p.response.drug).map_err(bad)?;
        let by_line = within(&pairs, |p| &p.response.line).map_err(bad)?;
        for (scope, groups) in [("drug", by_drug), ("line", by_line)] {
            for (name, metrics) in groups {
                for metric in ["pearson", "spearman", "rmse", "n"] {
                    out.row(&model.name, scope, name, metric, value(&metrics, metric))?;
                }
            }
        }
    }
    out.finish()
}
