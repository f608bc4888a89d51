//! All measures of one embedding, with a reason wherever one is undefined.

use indexmap::IndexMap;

use super::batches::{asw_batch, isolated_labels, mean, variance_by_batch};
use super::groups::Grouping;
use super::kmeans::kmeans;
use super::lisi::{clisi, ilisi, lisi};
use super::neighbours::Neighbours;
use super::points::{Distance, Points};
use super::silhouette::{Others, calinski_harabasz, davies_bouldin, silhouette};
use crate::evaluate::metrics::{Contingency, NmiMean};

/// p value from which a neighbourhood counts as well mixed (kBET).
const MIXED: f64 = 0.05;

/// A number, or why there is none.
pub type Measure = Result<f64, String>;

/// What the cells are known to be.
#[derive(Clone, Debug)]
pub struct Annotation {
    /// Cell type or another label.
    pub labels: Grouping,
    /// Technical batch, when known.
    pub batches: Option<Grouping>,
    /// Clusters found by somebody else; without them k-means makes as many as labels.
    pub clusters: Option<Grouping>,
}

/// How to measure.
#[derive(Clone, Copy, Debug)]
pub struct Settings {
    /// Cells of a neighbourhood of LISI and kBET, the cell itself included.
    pub neighbours: usize,
    /// The same for graph connectivity.
    pub graph_neighbours: usize,
    /// Seed of k-means.
    pub seed: u64,
}

/// Measure → value, in reading order: biology first, then mixing of batches.
#[must_use]
pub fn quality(points: &Points, known: &Annotation, settings: &Settings) -> IndexMap<&'static str, Measure> {
    let mut out = IndexMap::new();
    let labels = &known.labels;
    let per_cell = silhouette(points, labels, Distance::Euclidean, Others::Nearest);
    let label_asw = per_cell
        .as_ref()
        .map_err(ToString::to_string)
        .and_then(|s| mean(s.iter().copied()).ok_or_else(|| "there are no cells".to_owned()))
        .map(|s| (s + 1.0) / 2.0);
    let clusters = known.clusters.clone().unwrap_or_else(|| {
        Grouping::new(
            &kmeans(points, labels.count(), settings.seed)
                .iter()
                .map(|c| format!("{c:04}"))
                .collect::<Vec<_>>(),
        )
    });
    agreement(&mut out, labels, &clusters);
    let average = match (&out["nmi"], &out["ari"], &label_asw) {
        (Ok(nmi), Ok(ari), Ok(asw)) => Ok((nmi + ari + asw) / 3.0),
        (Err(why), _, _) | (_, Err(why), _) | (_, _, Err(why)) => Err(why.clone()),
    };
    out.insert("asw_label", label_asw);
    out.insert("avg_bio", average);
    let cosine = silhouette(points, labels, Distance::Cosine, Others::Nearest).map_err(|e| e.to_string());
    out.insert("asw_label_cosine", cosine.map(|s| (mean(s.into_iter()).unwrap_or(0.0) + 1.0) / 2.0));
    let no_spread = || "no cell differs from the centre of its group, or two centres coincide".to_owned();
    out.insert("calinski_harabasz", calinski_harabasz(points, labels).ok_or_else(no_spread));
    out.insert("davies_bouldin", davies_bouldin(points, labels).ok_or_else(no_spread));
    let around = Neighbours::exact(points, settings.neighbours.max(settings.graph_neighbours));
    let local = around.nearest(settings.neighbours);
    let one_label = || "there is only one label".to_owned();
    out.insert("clisi", clisi(&lisi(&local, labels), labels.count()).ok_or_else(one_label));
    let graph = around.nearest(settings.graph_neighbours);
    let connected = graph.connectivity(labels).ok_or_else(|| "there are no labels".to_owned());
    out.insert("graph_connectivity", connected);
    batch_measures(&mut out, points, known, &local, per_cell.as_deref().ok());
    out
}

fn agreement(out: &mut IndexMap<&'static str, Measure>, labels: &Grouping, clusters: &Grouping) {
    let table = Contingency::new(&labels.of_cell, &clusters.of_cell);
    let of = |value: fn(&Contingency) -> f64| -> Measure {
        match &table {
            Some(_) if labels.count() < 2 => {
                Err("there is only one label, which any clustering agrees with".to_owned())
            }
            Some(table) => Ok(value(table)),
            None => Err("labels and clusters differ in length".to_owned()),
        }
    };
    out.insert("nmi", of(|t| t.nmi(NmiMean::Arithmetic)));
    out.insert("ari", of(Contingency::ari));
    out.insert("ami", of(Contingency::ami));
    out.insert("fowlkes_mallows", of(Contingency::fowlkes_mallows));
    out.insert("homogeneity", of(Contingency::homogeneity));
    out.insert("completeness", of(Contingency::completeness));
    out.insert("purity", of(Contingency::purity));
}

fn batch_measures(
    out: &mut IndexMap<&'static str, Measure>,
    points: &Points,
    known: &Annotation,
    local: &Neighbours,
    per_cell: Option<&[f64]>,
) {
    const NAMES: [&str; 7] =
        ["asw_batch", "avg_batch", "bras", "ilisi", "kbet", "isolated_labels", "variance_by_batch"];
    let batches = match &known.batches {
        Some(batches) if batches.count() > 1 => batches,
        other => {
            let why = if other.is_some() { "there is only one batch" } else { "no batch column is named" };
            for name in NAMES {
                out.insert(name, Err(why.to_owned()));
            }
            return;
        }
    };
    let labels = &known.labels;
    let no_label = || "no label has cells of several batches".to_owned();
    let asw = asw_batch(points, labels, batches, Distance::Euclidean, Others::Nearest).ok_or_else(no_label);
    let average = match (&asw, &out["graph_connectivity"]) {
        (Ok(asw), Ok(connected)) => Ok((asw + connected) / 2.0),
        (Err(why), _) | (_, Err(why)) => Err(why.clone()),
    };
    out.insert("asw_batch", asw);
    out.insert("avg_batch", average);
    out.insert(
        "bras",
        asw_batch(points, labels, batches, Distance::Cosine, Others::All).ok_or_else(no_label),
    );
    let mixed = ilisi(&lisi(local, batches), batches.count());
    out.insert("ilisi", mixed.ok_or_else(|| "there are no cells".to_owned()));
    let accepted = local
        .kbet(batches)
        .map(|cells| cells.iter().filter(|(_, p)| *p >= MIXED).count() as f64 / cells.len() as f64);
    out.insert("kbet", accepted.ok_or_else(|| "there is only one batch".to_owned()));
    let isolated = per_cell.and_then(|s| isolated_labels(s, labels, batches));
    out.insert("isolated_labels", isolated.ok_or_else(|| "silhouettes are undefined".to_owned()));
    let explained = variance_by_batch(points, batches);
    out.insert("variance_by_batch", explained.ok_or_else(|| "the embedding does not vary".to_owned()));
}
