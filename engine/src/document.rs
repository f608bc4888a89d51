//! The report document: what a kind that evaluates hands to whoever draws it.
//!
//! It is plain data without biology (tables, curves, histograms, matrices, scatter plots, warnings), so that nodes
//! write it, `celldag-report` renders it, and people read it as JSON. Undefined numbers are `null`, never 0.

use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

/// Version of the document format, first field of every file.
pub const DOCUMENT_FORMAT: &str = "celldag.report/1";

/// A report: numbers for machines under `metrics`, everything else for eyes.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ReportDocument {
    /// [`DOCUMENT_FORMAT`].
    pub format: String,
    /// Heading.
    pub title: String,
    /// What was done, in sentences: protocol, label encoding, positive class, how it differs from the sound one.
    #[serde(default)]
    pub notes: Vec<String>,
    /// What the reader must know before believing a number.
    #[serde(default)]
    pub warnings: Vec<String>,
    /// The headline: a few (name, value) pairs, most important first.
    #[serde(default)]
    pub headline: Vec<(String, Option<f64>)>,
    /// All metrics of all models, folds and baselines, nested by name.
    #[serde(default)]
    pub metrics: Map<String, Value>,
    /// Tables in reading order.
    #[serde(default)]
    pub tables: Vec<Table>,
    /// Figures in reading order.
    #[serde(default)]
    pub figures: Vec<Figure>,
}

/// A table with a header.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Table {
    /// Caption.
    pub title: String,
    /// Header cells.
    pub columns: Vec<String>,
    /// Rows; a cell is a string, a number, or `null` for undefined.
    pub rows: Vec<Vec<Value>>,
    /// Text below the table.
    #[serde(default)]
    pub note: String,
}

/// One figure.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case", deny_unknown_fields)]
pub enum Figure {
    /// Lines through points, such as ROC and precision-recall curves.
    Lines {
        /// Caption.
        title: String,
        /// Axis label.
        x: String,
        /// Axis label.
        y: String,
        /// Axis limits `[x0, x1, y0, y1]`; from the data when absent.
        #[serde(default)]
        limits: Option<[f64; 4]>,
        /// One line each.
        series: Vec<Series>,
        /// Draw the diagonal (chance line of a ROC curve).
        #[serde(default)]
        diagonal: bool,
    },
    /// Overlaid histograms over common bins, such as score distributions by label.
    Histogram {
        /// Caption.
        title: String,
        /// Axis label.
        x: String,
        /// Bin edges, one more than bins.
        edges: Vec<f64>,
        /// Name and count per bin.
        series: Vec<(String, Vec<f64>)>,
    },
    /// A matrix of numbers, such as a confusion matrix (rows: truth, columns: prediction).
    Matrix {
        /// Caption.
        title: String,
        /// Meaning of rows.
        y: String,
        /// Meaning of columns.
        x: String,
        /// Row names.
        rows: Vec<String>,
        /// Column names.
        columns: Vec<String>,
        /// Values by row.
        values: Vec<Vec<f64>>,
    },
    /// Points in the plane, such as a map of cells; each colouring is drawn as a panel of its own.
    Scatter {
        /// Caption.
        title: String,
        /// Axis label.
        x: String,
        /// Axis label.
        y: String,
        /// Coordinates.
        points: Vec<[f32; 2]>,
        /// Ways to colour the same points.
        colourings: Vec<Colouring>,
    },
}

/// A named line.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Series {
    /// Legend entry.
    pub name: String,
    /// Points in drawing order.
    pub points: Vec<[f64; 2]>,
    /// Drawn faintly: a reference, not the subject.
    #[serde(default)]
    pub faint: bool,
}

/// One way to colour points.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case", deny_unknown_fields)]
pub enum Colouring {
    /// A category per point (index into `names`).
    Category {
        /// Panel caption.
        title: String,
        /// Legend.
        names: Vec<String>,
        /// One index a point.
        index: Vec<u32>,
    },
    /// A number per point.
    Value {
        /// Panel caption.
        title: String,
        /// One value a point; `null` for undefined.
        values: Vec<Option<f32>>,
    },
}
