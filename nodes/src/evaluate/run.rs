//! What `evaluate` does: measure models and baselines, then write the report in the order in which it is read.

use celldag_engine::document::{DOCUMENT_FORMAT, ReportDocument};
use celldag_engine::{NodeError, Step};
use serde_json::{Map, Value, json};

use super::bootstrap::Settings;
use super::by_group::{ByGroup, GroupColumn};
use super::compare::{Comparison, compare, test_over_train};
use super::fair::{Fair, fair};
use super::figures::{self, Drawn};
use super::files::{FlatTable, write_report};
use super::inputs::Inputs;
use super::kind::Options;
use super::measure::{Measured, Metrics, deciding};
use super::metrics::MetricError;
use super::models::ScoredModel;
use super::scopes::{Scopes, complete, side_by_side};
use super::study::{Study, study};
use super::threads::pool;
use super::uncertainty::{self, Uncertainty};
use super::{page, provenance, reference, summary};

pub(super) fn run(step: &Step<'_>, options: &Options) -> Result<(), NodeError> {
    let inputs = Inputs::open(step, options.key.as_deref())?;
    let study = study(step, options, &inputs)?;
    let published = as_published(&study).map_err(bad)?;
    write_report(step, document(step, options, &study, &inputs, &published)?)?;
    let mut table = FlatTable::create(step)?;
    for model in scopes(&study) {
        table.model(&model)?;
    }
    for (model, metrics) in &published {
        table.rows(model, "as_published", "", metrics)?;
    }
    table.finish()
}

#[expect(clippy::needless_pass_by_value, reason = "used as `map_err(bad)`")]
fn bad(error: MetricError) -> NodeError {
    NodeError::data(error.to_string())
}

/// Models, then baselines, as all kinds that measure show them.
fn scopes(study: &Study) -> Vec<Scopes<'_>> {
    let models = study.models.iter().map(|(_, m)| m.scopes(false));
    models.chain(study.baselines.iter().map(|(_, m)| m.scopes(true))).collect()
}

/// What the published scDrugMap code would print, for the models that have its two logits.
fn as_published(study: &Study) -> Result<Vec<(&str, Metrics)>, MetricError> {
    if study.classes.len() > 2 {
        return Ok(Vec::new());
    }
    let mut out = Vec::new();
    for (model, _) in &study.models {
        out.extend(page::as_published(model)?.map(|metrics| (model.name.as_str(), metrics)));
    }
    Ok(out)
}

fn document(
    step: &Step<'_>,
    options: &Options,
    study: &Study,
    inputs: &Inputs,
    published: &[(&str, Metrics)],
) -> Result<ReportDocument, NodeError> {
    let (scored, all) = (study.scored(), study.all());
    let classes = &study.classes;
    let settings = Settings { draws: options.bootstrap, confidence: options.confidence, seed: options.seed };
    let drawn = || Uncertainty::of(&scored, classes.len(), settings);
    let uncertainty = pool(step, usize::MAX)?.install(drawn).map_err(bad)?;
    let columns = group_columns(options, study, inputs)?;
    let groups: Vec<ByGroup<'_>> = columns
        .iter()
        .map(|column| column.measure(&scored, classes.len(), options.calibration_bins))
        .collect::<Result<_, _>>()
        .map_err(bad)?;
    let models: Vec<Measured> = study.models.iter().map(|(_, m)| m.clone()).collect();
    let references: Vec<Measured> = study.baselines.iter().map(|(_, m)| m.clone()).collect();
    let ratio = models.first().and_then(|m| test_over_train(m, inputs.split.as_ref()));
    let comparisons = compare(&models, &references, classes.len(), ratio);
    let scopes = scopes(study);
    let mut document = ReportDocument {
        format: DOCUMENT_FORMAT.to_owned(),
        title: options.title.clone(),
        notes: study.notes.clone(),
        warnings: study.warnings.clone(),
        headline: headline(&models, &references, classes.len()),
        metrics: numbers(&scopes, uncertainty.as_ref(), &comparisons, &groups, published),
        tables: vec![summary::table(&models, &references, classes.len(), uncertainty.as_ref(), &comparisons)],
        figures: Vec::new(),
    };
    document.notes.extend(groups.iter().filter_map(ByGroup::too_many));
    let note = "Scores of different folds come from different trained models.";
    document.tables.extend(side_by_side(&scopes, &page::shown(classes.len()), "cells", note));
    document.tables.extend(uncertainty.as_ref().map(|u| u.table(&all, classes.len())));
    document.tables.extend(tests(&comparisons, &references, uncertainty.as_ref()));
    document.tables.extend(groups.iter().filter_map(|g| g.table(classes.len())));
    document.tables.extend(page::by_fold(&all, classes.len()));
    draw(study, options, &mut document).map_err(bad)?;
    document.tables.extend(published.iter().map(|(model, m)| page::as_published_table(model, m)));
    let note = "Empty: undefined for these cells (never 0 or 1 instead).";
    document.tables.extend(complete(&scopes, "cells", note));
    document.tables.push(provenance::table(step, inputs.embedding.as_ref()));
    map(study, inputs, &mut document);
    Ok(document)
}

/// Paired tests of the models with each other, and with the baselines.
fn tests(
    comparisons: &[Comparison],
    references: &[Measured],
    uncertainty: Option<&Uncertainty>,
) -> Vec<celldag_engine::document::Table> {
    let is_baseline = |c: &&Comparison| references.iter().any(|r| r.name == c.other);
    let (with_baselines, with_models): (Vec<&Comparison>, Vec<&Comparison>) =
        comparisons.iter().partition(is_baseline);
    [
        uncertainty::paired(&with_models, uncertainty, "Difference of two models over folds", "other model"),
        uncertainty::paired(
            &with_baselines,
            uncertainty,
            "Difference of model and baseline over folds",
            "baseline",
        ),
    ]
    .into_iter()
    .flatten()
    .collect()
}

/// All numbers of all models, nested by name.
fn numbers(
    scopes: &[Scopes<'_>],
    uncertainty: Option<&Uncertainty>,
    comparisons: &[Comparison],
    groups: &[ByGroup<'_>],
    published: &[(&str, Metrics)],
) -> Map<String, Value> {
    let one = |model: &Scopes<'_>| {
        let mut entry = model.numbers();
        if let Some(uncertainty) = uncertainty {
            entry.insert("intervals".to_owned(), uncertainty.numbers(model.name));
        }
        entry.insert("compared".to_owned(), uncertainty::compared(comparisons, model.name));
        let by: Map<_, _> = groups
            .iter()
            .filter_map(|g| Some((g.column.name().to_owned(), g.numbers(model.name)?)))
            .collect();
        if !by.is_empty() {
            entry.insert("by".to_owned(), by.into());
        }
        if let Some((_, metrics)) = published.iter().find(|(name, _)| *name == model.name) {
            entry.insert("as_published".to_owned(), json!(metrics));
        }
        (model.name.to_owned(), Value::Object(entry))
    };
    scopes.iter().map(one).collect()
}

/// Curves, histograms and matrices.
fn draw(study: &Study, options: &Options, document: &mut ReportDocument) -> Result<(), MetricError> {
    let classes = &study.classes;
    let models = study.models.iter().map(|(model, _)| Drawn { model, faint: false });
    let logistic = study.baselines.iter().filter(|(m, _)| m.name == reference::LOGISTIC);
    let drawn: Vec<Drawn<'_>> =
        models.chain(logistic.map(|(model, _)| Drawn { model, faint: true })).collect();
    document.figures.extend(figures::curves(&drawn, classes)?);
    for (model, _) in &study.models {
        document.figures.push(figures::histogram(model, classes));
        document.figures.push(figures::matrix(model, classes)?);
        if classes.len() > 2 {
            document.tables.push(page::per_class(model, classes)?);
        }
    }
    if classes.len() == 2 {
        document.figures.extend(figures::calibration(&drawn, options.calibration_bins)?);
    }
    Ok(())
}

/// The test cells in the space of the embedding.
fn map(study: &Study, inputs: &Inputs, document: &mut ReportDocument) {
    let (Some(embedding), Some((model, _))) = (&inputs.embedding, study.models.first()) else { return };
    match figures::map(model, &study.classes, embedding) {
        Some((figure, shown, of)) => {
            document.figures.push(figure);
            if shown < of {
                document.notes.push(format!("The map shows {shown} of {of} test cells, drawn by name."));
            }
        }
        None => {
            document.warnings.push("no map: no test cell has a finite vector in the embedding".to_owned());
        }
    }
}

/// What the predictions say of groups, then the columns that the user named.
fn group_columns(options: &Options, study: &Study, inputs: &Inputs) -> Result<Vec<GroupColumn>, NodeError> {
    let name = inputs.info.as_ref().and_then(|i| i.group.as_deref()).unwrap_or("group");
    let models: Vec<&ScoredModel> = study.models.iter().map(|(m, _)| m).collect();
    let mut columns = GroupColumn::of_predictions(&models, name);
    for name in &options.by {
        if columns.iter().any(|column| column.name() == name) {
            continue;
        }
        let Some(cells) = &inputs.cells else {
            return Err(NodeError::parameter(
                "`by` names columns of obs, but no cells stand on the port `cells`",
            )
            .help("write `in: {predictions: ..., cells: ...}`"));
        };
        columns.push(GroupColumn::of_table(cells.obs(), name, &models)?);
    }
    Ok(columns)
}

/// The deciding metrics of the models and of the best baseline, all over the same cells.
fn headline(models: &[Measured], baselines: &[Measured], classes: usize) -> Vec<(String, Option<f64>)> {
    let all: Vec<&Measured> = models.iter().chain(baselines).collect();
    let mut out = Vec::new();
    for metric in deciding(classes) {
        let Fair { values, scope } = fair(&all, metric);
        let (own, others) = values.split_at(models.len());
        for (model, value) in models.iter().zip(own) {
            let name = if models.len() == 1 { String::new() } else { format!(" {}", model.name) };
            out.push((format!("{metric}{name} ({scope})"), *value));
        }
        let best = others.iter().flatten().copied().max_by(f64::total_cmp);
        out.push((format!("{metric} best baseline ({scope})"), best));
    }
    out
}
