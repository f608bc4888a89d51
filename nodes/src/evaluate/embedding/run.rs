//! What `evaluate-embedding` does: the same cells of every embedding, measured and put side by side.

use std::collections::BTreeMap;

use celldag_data::{CellsFile, CountsSource, Table};
use celldag_engine::document::{DOCUMENT_FORMAT, ReportDocument, Table as Shown};
use celldag_engine::{NodeError, Step};
use indexmap::IndexMap;
use serde_json::{Map, Value, json};

use super::groups::Grouping;
use super::kind::Options;
use super::points::Points;
use super::quality::{self, Annotation, Settings, quality};
use crate::columns::column;
use crate::evaluate::baseline::{BaselineError, Features, LogCells};
use crate::evaluate::files::{FlatTable, write_report};
use crate::evaluate::models::{distinct, names};
use crate::evaluate::threads::pool;
use crate::evaluate::verdict;
use crate::failure::data;
use crate::learn::mlp::Embedding;

/// Baselines as written in `baselines:` and as shown.
const BASELINES: [(&str, &str); 2] = [("pca", "PCA 50"), ("hvg", "HVG 2000")];
/// The same, as the parameter takes them.
pub(super) const NAMES: [&str; 2] = [BASELINES[0].0, BASELINES[1].0];

/// An embedding with its measures.
struct Row {
    name: String,
    baseline: bool,
    values: IndexMap<&'static str, quality::Measure>,
}

pub(super) fn run(step: &Step<'_>, options: &Options) -> Result<(), NodeError> {
    let gathered = step.gathered("embedding");
    let names = names(gathered, &options.name);
    let embeddings: Vec<(String, Embedding)> = names
        .into_iter()
        .zip(gathered)
        .map(|(name, input)| Ok((name, Embedding::read(&input.path, options.key.as_deref())?)))
        .collect::<Result<_, NodeError>>()?;
    let shown = BASELINES.iter().filter(|(word, _)| options.baselines.iter().any(|b| b == word));
    distinct(embeddings.iter().map(|(name, _)| name.as_str()).chain(shown.map(|(_, name)| *name)))?;
    let first = gathered.first().ok_or_else(|| NodeError::data("there is no embedding"))?;
    let obs = CellsFile::open(&first.path).map_err(data)?.obs().clone();
    let mut warnings = Vec::new();
    let (cells, known) = cells(&obs, &embeddings, options, &mut warnings)?;
    let settings = Settings {
        neighbours: options.neighbors,
        graph_neighbours: options.graph_neighbors,
        seed: options.seed,
    };
    let threads = pool(step, usize::MAX)?;
    let measured = |points: &Points| threads.install(|| quality(points, &known, &settings));
    let mut rows = Vec::new();
    for (name, embedding) in &embeddings {
        step.check_cancelled()?;
        let values = cells
            .iter()
            .filter_map(|id| embedding.row_of(id))
            .flat_map(|row| embedding.vector(row).iter().map(|&v| f64::from(v)))
            .collect();
        let points =
            Points::new(embedding.dim, values).map_err(|e| NodeError::data(format!("{name}: {e}")))?;
        rows.push(Row { name: name.clone(), baseline: false, values: measured(&points) });
    }
    match step.optional_input("cells") {
        Some(input) if !options.baselines.is_empty() => {
            let (log, at) = log_cells(&CellsFile::open(&input.path).map_err(data)?, &cells)?;
            for (word, name) in BASELINES.iter().filter(|(word, _)| options.baselines.iter().any(|b| b == word)) {
                step.check_cancelled()?;
                let features = if *word == "hvg" { log.variable_genes(&at) } else { log.components(&at) };
                rows.push(baseline(name, features, measured)?);
            }
        }
        Some(_) => {}
        None => warnings.push(
            "no baselines: give `evaluate-embedding` the input `cells`, so that the embedding can be compared with \
             something that needs no model"
                .to_owned(),
        ),
    }
    not_better(&rows, &mut warnings);
    write(step, options, &rows, &known, cells.len(), &warnings)
}

/// Names and annotation of the cells that are measured: those with a label (and batch, and cluster) and a finite vector
/// in every embedding, thinned by name.
fn cells(
    obs: &Table,
    embeddings: &[(String, Embedding)],
    options: &Options,
    warnings: &mut Vec<String>,
) -> Result<(Vec<String>, Annotation), NodeError> {
    let columns: Vec<(&str, &str)> = [
        Some(("label", options.label.as_str())),
        options.batch.as_deref().map(|c| ("batch", c)),
        options.clusters.as_deref().map(|c| ("clusters", c)),
    ]
    .into_iter()
    .flatten()
    .collect();
    for (what, name) in &columns {
        column(obs, name, what)?;
    }
    let annotated =
        |row: usize| columns.iter().all(|(_, name)| obs.text(name, row).is_some_and(|v| !v.is_empty()));
    let finite = |id: &str| embeddings.iter().all(|(_, e)| e.row_of(id).is_some_and(|row| e.is_finite(row)));
    let mut rows: Vec<usize> = (0..obs.len()).filter(|&r| annotated(r) && finite(&obs.index[r])).collect();
    if rows.is_empty() {
        return Err(NodeError::data("no cell has a label and a finite vector in every embedding".to_owned())
            .help("make all embeddings from the same cells, and look at the label column"));
    }
    if rows.len() < obs.len() {
        warnings.push(format!(
            "{} of {} cells are left out: no label, or no finite vector in every embedding",
            obs.len() - rows.len(),
            obs.len()
        ));
    }
    if rows.len() > options.max_cells {
        warnings.push(format!(
            "{} of {} cells are measured, chosen by name (`max_cells`)",
            options.max_cells,
            rows.len()
        ));
        rows.sort_by_cached_key(|&r| *blake3::hash(obs.index[r].as_bytes()).as_bytes());
        rows.truncate(options.max_cells);
    }
    rows.sort_by(|&a, &b| obs.index[a].cmp(&obs.index[b]));
    let grouping = |name: &str| {
        let values: Vec<String> = rows
            .iter()
            .map(|&r| obs.text(name, r).map(std::borrow::Cow::into_owned).unwrap_or_default())
            .collect();
        Grouping::new(&values)
    };
    let known = Annotation {
        labels: grouping(&options.label),
        batches: options.batch.as_deref().map(grouping),
        clusters: options.clusters.as_deref().map(grouping),
    };
    Ok((rows.iter().map(|&r| obs.index[r].clone()).collect(), known))
}

/// Log-normalised cells of a file, and the row of each measured cell in it.
fn log_cells(file: &CellsFile, cells: &[String]) -> Result<(LogCells, Vec<usize>), NodeError> {
    let matrix = file.counts_matrix(&CountsSource::Auto).map_err(data)?;
    let counts = file.read_matrix(&matrix).map_err(data)?;
    let row_of: BTreeMap<&str, usize> =
        file.obs().index.iter().enumerate().map(|(row, id)| (id.as_str(), row)).collect();
    let rows: Vec<usize> = cells
        .iter()
        .map(|id| {
            row_of.get(id.as_str()).copied().ok_or_else(|| {
                NodeError::data(format!("cell `{id}` of the embedding is not in the cells file"))
                    .help("give `evaluate-embedding` the cells that were embedded")
            })
        })
        .collect::<Result<_, _>>()?;
    Ok((LogCells::new(counts).map_err(|e| NodeError::failed(e.to_string()))?, rows))
}

/// What a careful analyst would look at without any model.
fn baseline(
    name: &str,
    features: Result<Features, BaselineError>,
    measured: impl Fn(&Points) -> IndexMap<&'static str, quality::Measure>,
) -> Result<Row, NodeError> {
    let bad = |e: String| NodeError::data(format!("the baseline {name}: {e}"));
    let features = features.map_err(|e| bad(e.to_string()))?;
    let points = Points::new(features.dim, features.values).map_err(|e| bad(e.to_string()))?;
    Ok(Row { name: name.to_owned(), baseline: true, values: measured(&points) })
}

/// Says plainly when a model is no better than the best baseline in the two averages.
fn not_better(rows: &[Row], warnings: &mut Vec<String>) {
    let value = |row: &Row, measure: &str| row.values.get(measure).and_then(|v| v.clone().ok());
    for row in rows.iter().filter(|r| !r.baseline) {
        for measure in ["avg_bio", "avg_batch"] {
            let baselines = rows.iter().filter(|r| r.baseline);
            let known = baselines.filter_map(|r| Some((r.name.as_str(), value(r, measure)?)));
            let own = value(row, measure);
            warnings.extend(own.and_then(|own| verdict::not_better((&row.name, own), known, measure, "")));
        }
    }
}

fn write(
    step: &Step<'_>,
    options: &Options,
    rows: &[Row],
    known: &Annotation,
    cells: usize,
    warnings: &[String],
) -> Result<(), NodeError> {
    let names: Vec<&str> = rows.first().map(|r| r.values.keys().copied().collect()).unwrap_or_default();
    let clusters = options.clusters.as_ref().map_or_else(
        || format!("k-means with {} clusters (seed {})", known.labels.count(), options.seed),
        |column| format!("column “{column}”"),
    );
    let batches = known.batches.as_ref().map_or_else(
        || "no batch column".to_owned(),
        |b| format!("{} batches of “{}”", b.count(), options.batch.as_deref().unwrap_or_default()),
    );
    let notes = vec![
        format!(
            "{cells} cells, {} labels of “{}”, {batches}; clusters: {clusters}.",
            known.labels.count(),
            options.label
        ),
        format!(
            "Distances are exact. LISI and kBET look at {} cells around each cell, graph connectivity at {}. AvgBIO is the \
             mean of NMI, ARI and the label silhouette scaled to 0 to 1; AvgBATCH of batch ASW and graph connectivity. Higher \
             is better, except for davies_bouldin and variance_by_batch.",
            options.neighbors, options.graph_neighbors
        ),
    ];
    let column = |row: &Row, measure: &str| json!(row.values.get(measure).and_then(|v| v.as_ref().ok()));
    let table = Shown {
        title: "Embedding quality".to_owned(),
        columns: std::iter::once("measure".to_owned()).chain(rows.iter().map(|r| r.name.clone())).collect(),
        rows: names
            .iter()
            .map(|m| std::iter::once(json!(m)).chain(rows.iter().map(|r| column(r, m))).collect())
            .collect(),
        note: reasons(rows),
    };
    let numbers = |row: &Row| -> (String, Value) {
        let values: Map<String, Value> =
            row.values.keys().map(|m| ((*m).to_owned(), column(row, m))).collect();
        let undefined: Map<String, Value> = row
            .values
            .iter()
            .filter_map(|(m, v)| Some(((*m).to_owned(), json!(v.as_ref().err()?))))
            .collect();
        let role = if row.baseline { "baseline" } else { "model" };
        (row.name.clone(), json!({ "role": role, "merged": values, "undefined": undefined }))
    };
    let headline = |measure: &'static str| {
        rows.iter().map(move |r| {
            (format!("{measure} {}", r.name), r.values.get(measure).and_then(|v| v.clone().ok()))
        })
    };
    let document = ReportDocument {
        format: DOCUMENT_FORMAT.to_owned(),
        title: options.title.clone(),
        notes,
        warnings: warnings.to_vec(),
        headline: headline("avg_bio").chain(headline("avg_batch")).collect(),
        metrics: rows.iter().map(numbers).collect(),
        tables: vec![table],
        figures: Vec::new(),
    };
    step.fact("cells", cells);
    step.fact("labels", known.labels.count());
    write_report(step, document)?;
    let mut out = FlatTable::create(step)?;
    for row in rows {
        for (measure, value) in &row.values {
            out.row(&row.name, "merged", "", measure, value.as_ref().ok().copied())?;
        }
    }
    out.finish()
}

/// Why values are empty, each reason once.
fn reasons(rows: &[Row]) -> String {
    let mut by_reason: IndexMap<&str, Vec<&str>> = IndexMap::new();
    for (measure, value) in rows.iter().flat_map(|r| &r.values) {
        if let Err(why) = value {
            let measures = by_reason.entry(why).or_default();
            if !measures.contains(measure) {
                measures.push(measure);
            }
        }
    }
    by_reason
        .iter()
        .map(|(why, m)| format!("Undefined, because {why}: {}.", m.join(", ")))
        .collect::<Vec<_>>()
        .join(" ")
}
