//! What `evaluate` does: measure models and baselines, then write the report in the order in which it is read.

use celldag_data::CellsFile;
use celldag_engine::document::{DOCUMENT_FORMAT, ReportDocument};
use celldag_engine::{NodeError, Step};

use super::bootstrap;
use super::by_group::{ByGroup, GroupColumn};
use super::compare::{Comparison, compare, test_over_train};
use super::fair::{Fair, fair};
use super::figures::{self, Drawn};
use super::kind::Options;
use super::measure::{Measured, deciding, measure};
use super::metrics::MetricError;
use super::models::{self, Gathered, ScoredModel};
use super::threads::pool;
use super::uncertainty::{self, Uncertainty};
use super::{page, provenance, reference, table, warnings};
use crate::learn::failure::{data, io};
use crate::learn::mlp::Embedding;
use crate::learn::split::{SplitInfo, SplitTable};

/// What is measured, with its scores.
struct Study {
    classes: Vec<String>,
    models: Vec<(ScoredModel, Measured)>,
    baselines: Vec<(ScoredModel, Measured)>,
    notes: Vec<String>,
    warnings: Vec<String>,
}

pub(super) fn run(step: &Step<'_>, options: &Options) -> Result<(), NodeError> {
    let gathered = models::read(step.gathered("predictions"), &options.name, options.threshold)?;
    let split = step.optional_input("split").map(|i| SplitTable::read(&i.path)).transpose()?;
    let info = step.optional_input("split_info").map(|i| SplitInfo::read(&i.path)).transpose()?;
    let study = study(step, options, gathered, split.as_ref(), info.as_ref())?;
    let document = document(step, options, &study, split.as_ref(), info.as_ref())?;
    let text = serde_json::to_string_pretty(&document).map_err(io)?;
    fs_err::write(step.output("report")?, text + "\n").map_err(io)?;
    table::write(step.output("metrics")?, &study.all())?;
    for warning in &document.warnings {
        step.warn(warning.as_str());
    }
    for (name, value) in &document.headline {
        step.fact(name, *value);
    }
    Ok(())
}

impl Study {
    fn all(&self) -> Vec<&Measured> {
        self.models.iter().chain(&self.baselines).map(|(_, m)| m).collect()
    }
}

fn study(
    step: &Step<'_>,
    options: &Options,
    gathered: Gathered,
    split: Option<&SplitTable>,
    info: Option<&SplitInfo>,
) -> Result<Study, NodeError> {
    let Gathered { classes, models, disagreeing } = gathered;
    let mut study = Study {
        notes: notes(&classes, options, info),
        warnings: info
            .map(|i| i.warnings.iter().map(|w| format!("split: {w}")).collect())
            .unwrap_or_default(),
        models: Vec::new(),
        baselines: Vec::new(),
        classes,
    };
    if disagreeing > 0 {
        study.warnings.push(format!(
            "{disagreeing} predictions in the files differ from what the threshold {} gives; the threshold is used",
            options.threshold
        ));
    }
    study.warnings.extend(different_cells(&models));
    let (n, bins) = (study.classes.len(), options.calibration_bins);
    let measured = |m: ScoredModel| -> Result<(ScoredModel, Measured), NodeError> {
        let result = measure(&m, n, bins).map_err(|e| scores(&m.name, &e))?;
        Ok((m, result))
    };
    study.models = models.into_iter().map(measured).collect::<Result<_, _>>()?;
    // The model with the most folds decides; folds of the others are the same or fewer.
    let baselines = match study.models.iter().max_by_key(|(m, _)| m.cells.len()) {
        Some((like, _)) => reference::baselines(step, &options.baselines, like, n, split)?,
        None => reference::Baselines::default(),
    };
    study.baselines = baselines.models.into_iter().map(measured).collect::<Result<_, _>>()?;
    study.warnings.extend(baselines.warnings);
    let references: Vec<Measured> = study.baselines.iter().map(|(_, m)| m.clone()).collect();
    for (_, model) in &study.models {
        for warning in warnings::about(model, &references, study.classes.len()) {
            if !study.warnings.contains(&warning) {
                study.warnings.push(warning);
            }
        }
    }
    Ok(study)
}

/// Models are only comparable on the same cells in the same folds.
fn different_cells(models: &[ScoredModel]) -> Option<String> {
    let tested =
        |m: &ScoredModel| m.cells.iter().map(|c| (c.fold, c.id.clone(), c.truth)).collect::<Vec<_>>();
    let (first, rest) = models.split_first()?;
    let expected = tested(first);
    let other = rest.iter().find(|m| tested(m) != expected)?;
    Some(format!(
        "`{}` and `{}` were tested on different cells or folds: their numbers cannot be compared, and the baselines are \
         those of the model with the most test cells. Evaluate each dataset on its own (`foreach: [dataset]`).",
        first.name, other.name
    ))
}

fn scores(name: &str, error: &MetricError) -> NodeError {
    NodeError::data(format!("{name}: {error}"))
}

fn notes(classes: &[String], options: &Options, info: Option<&SplitInfo>) -> Vec<String> {
    let mut notes = Vec::new();
    if let [negative, positive] = classes {
        notes.push(format!(
            "Positive class: `{positive}`; negative class: `{negative}`. A cell is predicted positive from a score of {} on.",
            options.threshold
        ));
    } else {
        notes
            .push(format!("Classes: {}. The class with the highest score is predicted.", classes.join(", ")));
    }
    if let Some(info) = info {
        let group = info
            .group
            .as_ref()
            .map(|g| format!(" by `{g}` ({} groups)", info.groups.len()))
            .unwrap_or_default();
        notes.push(format!(
            "Split: {}{group}, {} fold(s), {} repeat(s), seed {}; label column `{}`; {} cells, {} left out.",
            info.kind, info.folds, info.repeats, info.seed, info.label, info.cells, info.left_out
        ));
    }
    notes.push(
        "Metrics are computed per fold (mean and sample standard deviation over the folds where they are defined) and once \
         over all test cells. Undefined values are left empty."
            .to_owned(),
    );
    notes
}

fn document(
    step: &Step<'_>,
    options: &Options,
    study: &Study,
    split: Option<&SplitTable>,
    info: Option<&SplitInfo>,
) -> Result<ReportDocument, NodeError> {
    let failed = |e: MetricError| NodeError::data(e.to_string());
    let scored: Vec<&ScoredModel> = study.models.iter().chain(&study.baselines).map(|(m, _)| m).collect();
    let settings =
        bootstrap::Settings { draws: options.bootstrap, confidence: options.confidence, seed: options.seed };
    let drawn = || Uncertainty::of(&scored, study.classes.len(), settings);
    let uncertainty = pool(step, usize::MAX)?.install(drawn).map_err(failed)?;
    let columns = group_columns(step, options, study, info)?;
    let groups: Vec<ByGroup<'_>> = columns
        .iter()
        .map(|column| by_group(column, &scored, study.classes.len(), options.calibration_bins))
        .collect::<Result<_, _>>()
        .map_err(failed)?;
    let classes = &study.classes;
    let models: Vec<Measured> = study.models.iter().map(|(_, m)| m.clone()).collect();
    let references: Vec<Measured> = study.baselines.iter().map(|(_, m)| m.clone()).collect();
    let all = study.all();
    let mut document = ReportDocument {
        format: DOCUMENT_FORMAT.to_owned(),
        title: options.title.clone(),
        notes: study.notes.clone(),
        warnings: study.warnings.clone(),
        headline: headline(&models, &references, classes.len()),
        metrics: page::numbers(&all, |name| {
            if references.iter().any(|r| r.name == name) { "baseline" } else { "model" }
        }),
        tables: page::comparison(&all, classes.len()),
        figures: Vec::new(),
    };
    document.tables.extend(uncertainty.as_ref().map(|u| u.table(&all, classes.len())));
    let ratio = study.models.first().and_then(|(_, m)| test_over_train(m, split));
    let comparisons = compare(&models, &references, classes.len(), ratio);
    let is_baseline = |c: &&Comparison| references.iter().any(|r| r.name == c.other);
    let (with_baselines, with_models): (Vec<&Comparison>, Vec<&Comparison>) =
        comparisons.iter().partition(is_baseline);
    let test = |comparisons: &[&Comparison], title: &str, other: &str| {
        uncertainty::paired(comparisons, uncertainty.as_ref(), title, other)
    };
    document.tables.extend(test(&with_models, "Difference of two models over folds", "other model"));
    document.tables.extend(test(&with_baselines, "Difference of model and baseline over folds", "baseline"));
    document.tables.extend(groups.iter().filter_map(|g| g.table(classes.len())));
    for (name, entry) in &mut document.metrics {
        let Some(entry) = entry.as_object_mut() else { continue };
        if let Some(uncertainty) = &uncertainty {
            entry.insert("intervals".to_owned(), uncertainty.numbers(name));
        }
        entry.insert("compared".to_owned(), uncertainty::compared(&comparisons, name));
        let by: serde_json::Map<_, _> =
            groups.iter().filter_map(|g| Some((g.column.name().to_owned(), g.numbers(name)?))).collect();
        if !by.is_empty() {
            entry.insert("by".to_owned(), by.into());
        }
    }
    document.tables.extend(page::by_fold(&all, classes.len()));
    let mut drawn: Vec<Drawn<'_>> =
        study.models.iter().map(|(model, _)| Drawn { model, faint: false }).collect();
    drawn.extend(
        study
            .baselines
            .iter()
            .filter(|(m, _)| m.name == reference::LOGISTIC)
            .map(|(model, _)| Drawn { model, faint: true }),
    );
    document.figures.extend(figures::curves(&drawn, classes).map_err(failed)?);
    for (model, _) in &study.models {
        document.figures.push(figures::histogram(model, classes));
        document.figures.push(figures::matrix(model, classes).map_err(failed)?);
        if classes.len() > 2 {
            document.tables.push(page::per_class(model, classes).map_err(failed)?);
        } else {
            document.tables.extend(page::scdrugmap(model).map_err(failed)?);
        }
    }
    if classes.len() == 2 {
        document.figures.extend(figures::calibration(&drawn, options.calibration_bins).map_err(failed)?);
    }
    document.tables.extend(page::complete(&all));
    let embedding = step
        .optional_input("embedding")
        .map(|input| Embedding::read(&input.path, options.key.as_deref()))
        .transpose()?;
    document.tables.push(provenance::table(step, embedding.as_ref()));
    if let (Some(embedding), Some((model, _))) = (&embedding, study.models.first()) {
        match figures::map(model, classes, embedding) {
            Some((figure, shown, of)) => {
                document.figures.push(figure);
                if shown < of {
                    document.notes.push(format!("The map shows {shown} of {of} test cells, drawn by name."));
                }
            }
            None => {
                document
                    .warnings
                    .push("no map: no test cell has a finite vector in the embedding".to_owned());
            }
        }
    }
    for text in document.notes.iter_mut().chain(&mut document.warnings) {
        *text = for_the_page(text);
    }
    Ok(document)
}

/// The groups of the split, then the columns that the user named.
fn group_columns(
    step: &Step<'_>,
    options: &Options,
    study: &Study,
    info: Option<&SplitInfo>,
) -> Result<Vec<GroupColumn>, NodeError> {
    let name = info.and_then(|i| i.group.as_deref()).unwrap_or("group");
    let mut columns: Vec<GroupColumn> =
        study.models.first().and_then(|(m, _)| GroupColumn::of_split(m, name)).into_iter().collect();
    if options.by.is_empty() {
        return Ok(columns);
    }
    let Some(cells) = step.optional_input("cells") else {
        return Err(NodeError::parameter(
            "`by` names columns of obs, but no cells stand on the port `cells`",
        )
        .help("write `in: {predictions: ..., cells: ...}`"));
    };
    let file = CellsFile::open(&cells.path).map_err(data)?;
    for name in
        options.by.iter().filter(|name| columns.iter().all(|c| c.name() != name.as_str())).collect::<Vec<_>>()
    {
        columns.push(GroupColumn::of_table(file.obs(), name)?);
    }
    Ok(columns)
}

fn by_group<'a>(
    column: &'a GroupColumn,
    models: &[&'a ScoredModel],
    classes: usize,
    bins: usize,
) -> Result<ByGroup<'a>, MetricError> {
    let measured = models.iter().map(|m| Ok((m.name.as_str(), column.measure(m, classes, bins)?)));
    Ok(ByGroup { column, models: measured.collect::<Result<_, MetricError>>()? })
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

/// Messages name things in backticks, as on a terminal; a page wants quotation marks.
pub(super) fn for_the_page(text: &str) -> String {
    let mut open = false;
    let quote = |c: char| match c {
        '`' => {
            open = !open;
            if open { '“' } else { '”' }
        }
        c => c,
    };
    text.chars().map(quote).collect()
}
