//! The predictions artifact: scores of test cells, one row a cell and fold, as a plain table.

use std::path::Path;

use celldag_engine::NodeError;

use super::failure::io;

/// Columns that every file has, in order.
pub(crate) const COLUMNS: [&str; 9] =
    ["cell_id", "dataset", "group", "repeat", "fold", "label", "positive", "score", "prediction"];

/// One tested cell.
#[derive(Clone, Debug, PartialEq)]
pub struct Prediction {
    /// Name of the cell.
    pub cell_id: String,
    /// Name of its dataset; may be empty.
    pub dataset: String,
    /// Its group in the split; may be empty.
    pub group: String,
    /// Repeat of the split.
    pub repeat: u32,
    /// Fold that tested the cell.
    pub fold: u32,
    /// True label.
    pub label: String,
    /// Score of the positive class; with more than two classes, of the predicted one.
    pub score: f64,
    /// Predicted label.
    pub prediction: String,
    /// Score per class, with more than two classes; else empty.
    pub class_scores: Vec<f64>,
    /// Logit per class of a head with two independent logits; else empty.
    pub logits: Vec<f64>,
}

/// A file of predictions.
#[derive(Clone, Debug, PartialEq)]
pub struct Predictions {
    /// Class names; with two classes the second is the positive one. From a file of two classes that holds only
    /// positive cells and predictions, the negative one is unknown and called `not <positive>`.
    pub classes: Vec<String>,
    /// The rows.
    pub rows: Vec<Prediction>,
}

impl Predictions {
    /// Whether there are two classes.
    #[must_use]
    pub fn is_binary(&self) -> bool {
        self.classes.len() == 2
    }

    /// Writes the `.csv`.
    ///
    /// # Errors
    /// When the file cannot be written.
    pub fn write(&self, path: &Path) -> Result<(), NodeError> {
        let file = fs_err::File::create(path).map_err(io)?;
        let mut out = csv::Writer::from_writer(std::io::BufWriter::new(file));
        let scores = self.rows.iter().any(|r| !r.class_scores.is_empty());
        let logits = self.rows.iter().any(|r| !r.logits.is_empty());
        let mut header: Vec<String> = COLUMNS.map(str::to_owned).to_vec();
        let named = |what: &str| self.classes.iter().map(|c| format!("{what}[{c}]")).collect::<Vec<_>>();
        header.extend(if scores { named("score") } else { Vec::new() });
        header.extend(if logits { named("logit") } else { Vec::new() });
        out.write_record(&header).map_err(io)?;
        let positive = if self.is_binary() { self.classes[1].as_str() } else { "" };
        for r in &self.rows {
            let mut record = vec![
                r.cell_id.clone(),
                r.dataset.clone(),
                r.group.clone(),
                r.repeat.to_string(),
                r.fold.to_string(),
                r.label.clone(),
                positive.to_owned(),
                r.score.to_string(),
                r.prediction.clone(),
            ];
            record.extend(r.class_scores.iter().chain(&r.logits).map(f64::to_string));
            out.write_record(&record).map_err(io)?;
        }
        out.flush().map_err(io)
    }

    /// Reads the `.csv`.
    ///
    /// # Errors
    /// A data error that names the file, the line and the cell.
    pub fn read(path: &Path) -> Result<Self, NodeError> {
        let text = fs_err::read_to_string(path).map_err(|e| NodeError::data(e.to_string()))?;
        parse(&text).map_err(|problem| {
            NodeError::data(format!("{}: {problem}", path.display())).help(format!(
                "predictions are a table with the columns {}; with more than two classes also one `score[CLASS]` each",
                COLUMNS.join(", ")
            ))
        })
    }
}

fn parse(text: &str) -> Result<Predictions, String> {
    let mut reader = csv::Reader::from_reader(text.as_bytes());
    let header = reader.headers().map_err(|e| e.to_string())?.clone();
    let column = |name: &str| header.iter().position(|h| h == name);
    let needed = |name: &str| column(name).ok_or_else(|| format!("there is no column `{name}`"));
    let at = COLUMNS.map(column);
    let (cell, label, score, prediction) =
        (needed("cell_id")?, needed("label")?, needed("score")?, needed("prediction")?);
    let bracketed = |what: &str| -> Vec<(usize, String)> {
        let inside = |h: &str| Some(h.strip_prefix(what)?.strip_prefix('[')?.strip_suffix(']')?.to_owned());
        header.iter().enumerate().filter_map(|(i, h)| Some((i, inside(h)?))).collect()
    };
    let (score_columns, logit_columns) = (bracketed("score"), bracketed("logit"));
    let (mut rows, mut positives) = (Vec::new(), std::collections::BTreeSet::new());
    for (n, record) in reader.records().enumerate() {
        let record = record.map_err(|e| e.to_string())?;
        let line = n + 2;
        let text = |i: Option<usize>| i.and_then(|i| record.get(i)).unwrap_or_default().to_owned();
        let number = |i: usize| {
            let value = record.get(i).unwrap_or_default();
            value.trim().parse::<f64>().ok().filter(|v| v.is_finite()).ok_or_else(|| {
                format!(
                    "line {line}, cell `{}`: {} is `{value}`, not a finite number",
                    &record[cell], &header[i]
                )
            })
        };
        let index = |i: Option<usize>| match i.and_then(|i| record.get(i)).unwrap_or("0").trim() {
            "" => Ok(0),
            value => value.parse().map_err(|_| format!("line {line}: `{value}` is no whole number")),
        };
        if record[label].is_empty() {
            return Err(format!("line {line}, cell `{}`: the label is empty", &record[cell]));
        }
        positives.insert(text(at[6]));
        rows.push(Prediction {
            cell_id: record[cell].to_owned(),
            dataset: text(at[1]),
            group: text(at[2]),
            repeat: index(at[3])?,
            fold: index(at[4])?,
            label: record[label].to_owned(),
            score: number(score)?,
            prediction: record[prediction].to_owned(),
            class_scores: score_columns.iter().map(|(i, _)| number(*i)).collect::<Result<_, _>>()?,
            logits: logit_columns.iter().map(|(i, _)| number(*i)).collect::<Result<_, _>>()?,
        });
    }
    if rows.is_empty() {
        return Err("there are no predictions".to_owned());
    }
    let classes = if score_columns.is_empty() {
        binary_classes(&rows, &positives)?
    } else {
        score_columns.into_iter().map(|(_, name)| name).collect()
    };
    for row in &rows {
        for name in [&row.label, &row.prediction] {
            if !classes.contains(name) {
                return Err(format!(
                    "cell `{}`: `{name}` is none of the classes {}",
                    row.cell_id,
                    classes.join(", ")
                ));
            }
        }
    }
    Ok(Predictions { classes, rows })
}

fn binary_classes(
    rows: &[Prediction],
    positives: &std::collections::BTreeSet<String>,
) -> Result<Vec<String>, String> {
    let named: Vec<&String> = positives.iter().filter(|p| !p.is_empty()).collect();
    let [positive] = named.as_slice() else {
        return Err(format!(
            "the column `positive` must name one class in every row; it names {}",
            named.len()
        ));
    };
    let others: std::collections::BTreeSet<&String> =
        rows.iter().flat_map(|r| [&r.label, &r.prediction]).filter(|n| n != positive).collect();
    match others.into_iter().collect::<Vec<_>>().as_slice() {
        [] => Ok(vec![format!("not {positive}"), (*positive).clone()]),
        [negative] => Ok(vec![(*negative).clone(), (*positive).clone()]),
        more => {
            Err(format!("two classes are expected beside scores of one; found `{positive}` and {more:?}"))
        }
    }
}
