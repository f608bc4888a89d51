//! What `evaluate` does: measure models and baselines, then write the report in the order in which it is read.

use celldag_data::CellsFile;
use celldag_engine::document::{DOCUMENT_FORMAT, ReportDocument};
use celldag_engine::{NodeError, Step};

use super::fair::{Fair, fair};
use super::figures::{self, Drawn};
use super::kind::Options;
use super::measure::{Measured, deciding, measure};
use super::metrics::MetricError;
use super::models::{self, Gathered, ScoredModel};
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
    let document = document(step, options, &study)?;
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
    let baselines = baselines(step, options, &study, split)?;
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

/// Baselines that could be made, and why others could not.
struct Baselines {
    models: Vec<ScoredModel>,
    warnings: Vec<String>,
}

fn baselines(
    step: &Step<'_>,
    options: &Options,
    study: &Study,
    split: Option<&SplitTable>,
) -> Result<Baselines, NodeError> {
    let mut out = Baselines { models: Vec::new(), warnings: Vec::new() };
    // The model with the most folds decides; folds of the others are the same or fewer.
    let Some((like, _)) = study.models.iter().max_by_key(|(m, _)| m.cells.len()) else { return Ok(out) };
    let classes = study.classes.len();
    for name in &options.baselines {
        match name.as_str() {
            "majority" => out.models.push(reference::majority(like, classes, split)),
            "all-positive" if classes == 2 => out.models.push(reference::all_positive(like)),
            "logistic-regression" => match (step.optional_input("cells"), split) {
                (Some(cells), Some(split)) => {
                    let file = CellsFile::open(&cells.path).map_err(data)?;
                    match reference::logistic(step, like, classes, split, &file)? {
                        Ok(model) => out.models.push(model),
                        Err(why) => out.warnings.push(format!("no logistic regression baseline: {why}")),
                    }
                }
                _ => out.warnings.push(
                    "no logistic regression baseline: give `evaluate` the inputs `cells` and `split`, so that the model can \
                     be compared with something that looks at the cells"
                        .to_owned(),
                ),
            },
            _ => {}
        }
    }
    Ok(out)
}

fn document(step: &Step<'_>, options: &Options, study: &Study) -> Result<ReportDocument, NodeError> {
    let failed = |e: MetricError| NodeError::data(e.to_string());
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
    document.tables.extend(page::paired(&models, &references, classes.len()));
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
fn for_the_page(text: &str) -> String {
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
