//! One column of a table: plain arrays, categoricals old and new, nullable arrays.

use crate::h5::{H5Dataset, H5File, Kind};
use crate::{Column, DataError};

/// Reads column `name` of the table `frame`; `None` if it is of a kind that is no annotation.
pub(super) fn read(h5: &H5File, frame: &str, name: &str) -> Result<Option<Column>, DataError> {
    let path = format!("{frame}/{name}");
    if h5.is_group(&path) {
        return read_group(h5, &path);
    }
    let dataset = h5.dataset(&path)?;
    if dataset.shape().len() != 1 {
        return Ok(None);
    }
    // anndata 0.7: codes here, names in a neighbouring group.
    let categories = format!("{frame}/__categories/{name}");
    if matches!(dataset.kind(), Kind::Int) && h5.exists(&categories) {
        let ordered = h5.attr_bool(&categories, "ordered").unwrap_or(false);
        let names = names(h5, &categories)?;
        return categorical(&dataset, names, ordered).map(Some);
    }
    plain(&dataset)
}

/// A dataset of numbers, truth values or texts.
fn plain(dataset: &H5Dataset) -> Result<Option<Column>, DataError> {
    Ok(match dataset.kind() {
        Kind::Int => Some(Column::Int(dataset.i64s()?.into_iter().map(Some).collect())),
        Kind::Float { .. } => Some(Column::Float(dataset.f64s()?)),
        Kind::Bool => Some(Column::Bool(dataset.bools()?.into_iter().map(Some).collect())),
        Kind::Text(_) => Some(Column::Text(dataset.texts()?.into_iter().map(Some).collect())),
        Kind::Record(_) | Kind::Other(_) => None,
    })
}

fn read_group(h5: &H5File, path: &str) -> Result<Option<Column>, DataError> {
    match h5.attr_text(path, "encoding-type").as_deref() {
        Some("categorical") => {
            let ordered = h5.attr_bool(path, "ordered").unwrap_or(false);
            let names = names(h5, &format!("{path}/categories"))?;
            categorical(&h5.dataset(&format!("{path}/codes"))?, names, ordered).map(Some)
        }
        Some("nullable-integer" | "nullable-boolean" | "nullable-string-array") => {
            let values = h5.dataset(&format!("{path}/values"))?;
            let mask = h5.dataset(&format!("{path}/mask"))?.bools()?;
            if mask.len() != values.expect_list()? {
                return Err(h5.malformed(path, "`values` and `mask` differ in length"));
            }
            Ok(plain(&values)?.map(|column| masked(column, &mask)))
        }
        _ => Ok(None),
    }
}

/// Takes away the values that the mask marks as missing.
fn masked(column: Column, mask: &[bool]) -> Column {
    fn hide<T>(values: Vec<Option<T>>, mask: &[bool]) -> Vec<Option<T>> {
        values.into_iter().zip(mask).map(|(value, &missing)| value.filter(|_| !missing)).collect()
    }
    match column {
        Column::Text(values) => Column::Text(hide(values, mask)),
        Column::Int(values) => Column::Int(hide(values, mask)),
        Column::Bool(values) => Column::Bool(hide(values, mask)),
        Column::Float(values) => {
            let value = |(value, &missing)| if missing { f64::NAN } else { value };
            Column::Float(values.into_iter().zip(mask).map(value).collect())
        }
        categorical @ Column::Categorical { .. } => categorical,
    }
}

/// Names of categories; numbers and truth values are written out.
fn names(h5: &H5File, path: &str) -> Result<Vec<String>, DataError> {
    let column = if h5.is_group(path) { read_group(h5, path)? } else { plain(&h5.dataset(path)?)? };
    let column = column.ok_or_else(|| h5.malformed(path, "categories must be texts or numbers"))?;
    Ok((0..column.len())
        .map(|i| column.as_text(i).map(std::borrow::Cow::into_owned).unwrap_or_default())
        .collect())
}

/// Codes with their names; a code without name is an error.
fn categorical(codes: &H5Dataset, categories: Vec<String>, ordered: bool) -> Result<Column, DataError> {
    codes.expect_list()?;
    let values = codes.i64s()?;
    if let Some(row) = values.iter().position(|&code| code < -1 || code >= categories.len() as i64) {
        let problem =
            format!("row {row} has code {}, but there are {} categories", values[row], categories.len());
        return Err(codes.malformed(problem));
    }
    let codes = values.into_iter().map(|code| code as i32).collect();
    Ok(Column::Categorical { codes, categories, ordered })
}
