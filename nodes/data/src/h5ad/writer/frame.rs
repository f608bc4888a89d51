//! Tables in AnnData's encoding.

use hdf5::types::VarLenUnicode;
use hdf5::{Group, Result};
use indexmap::IndexMap;

use super::{WriteOptions, parts};
use crate::{Column, Table};

/// Writes `table` as the group `name`.
pub(super) fn write(root: &Group, name: &str, table: &Table, options: &WriteOptions) -> Result<()> {
    let group = root.create_group(name)?;
    parts::encoding(&group, "dataframe", "0.2.0")?;
    // A slash would make a group of its own, which no reader expects.
    let columns: IndexMap<String, &Column> =
        table.columns.iter().map(|(name, column)| (name.replace('/', "_"), column)).collect();
    if columns.len() < table.columns.len() || columns.contains_key("_index") {
        return Err(hdf5::Error::from("two columns have one name, or one is called `_index`"));
    }
    let taken = columns.contains_key(&table.index_name) || table.index_name.contains('/');
    let index = if taken || table.index_name.is_empty() { "_index" } else { &table.index_name };
    parts::text_attribute(&group, "_index", index)?;
    let order = columns.keys().map(|name| parts::unicode(name)).collect::<Result<Vec<VarLenUnicode>>>()?;
    let attribute = group.new_attr::<VarLenUnicode>().shape(order.len()).create("column-order")?;
    if !order.is_empty() {
        attribute.write_raw(&order)?;
    }
    parts::texts(&group, index, &table.index)?;
    for (name, column) in columns {
        write_column(&group, &name, column, options)?;
    }
    Ok(())
}

fn write_column(group: &Group, name: &str, column: &Column, options: &WriteOptions) -> Result<()> {
    match column {
        Column::Text(values) => match values.iter().map(Option::as_deref).collect::<Option<Vec<&str>>>() {
            Some(texts) => parts::texts(group, name, &texts),
            // Lists of texts have no missing values in the files that every anndata reads; categories have.
            None => write_column(group, name, &Column::categorical(values), options),
        },
        Column::Categorical { codes, categories, ordered } => {
            let group = group.create_group(name)?;
            parts::encoding(&group, "categorical", "0.2.0")?;
            group.new_attr::<bool>().create("ordered")?.write_scalar(ordered)?;
            let (codes, categories) = distinct(codes, categories);
            parts::texts(&group, "categories", &categories)?;
            // The narrowest width, as pandas chooses it.
            if categories.len() < 1 << 7 {
                let codes: Vec<i8> = codes.iter().map(|&code| code as i8).collect();
                parts::list(&group, "codes", &codes, options)
            } else if categories.len() < 1 << 15 {
                let codes: Vec<i16> = codes.iter().map(|&code| code as i16).collect();
                parts::list(&group, "codes", &codes, options)
            } else {
                parts::list(&group, "codes", &codes, options)
            }
        }
        Column::Float(values) => parts::list(group, name, values, options),
        Column::Int(values) => match values.iter().copied().collect::<Option<Vec<i64>>>() {
            Some(values) => parts::list(group, name, &values, options),
            None => nullable(group, name, "nullable-integer", values, options),
        },
        Column::Bool(values) => match values.iter().copied().collect::<Option<Vec<bool>>>() {
            Some(values) => parts::list(group, name, &values, options),
            None => nullable(group, name, "nullable-boolean", values, options),
        },
    }
}

/// Values and the mask of those that are missing.
fn nullable<T: hdf5::H5Type + Copy + Default>(
    group: &Group,
    name: &str,
    kind: &str,
    values: &[Option<T>],
    options: &WriteOptions,
) -> Result<()> {
    let group = group.create_group(name)?;
    parts::encoding(&group, kind, "0.1.0")?;
    let filled: Vec<T> = values.iter().map(|value| value.unwrap_or_default()).collect();
    let mask: Vec<bool> = values.iter().map(Option::is_none).collect();
    parts::list(&group, "values", &filled, options)?;
    parts::list(&group, "mask", &mask, options)
}

/// Categories without repetition, which pandas refuses, and codes into them; other codes become missing.
fn distinct<'a>(codes: &[i32], categories: &'a [String]) -> (Vec<i32>, Vec<&'a str>) {
    let mut names: IndexMap<&str, ()> = IndexMap::new();
    let place: Vec<i32> = categories.iter().map(|name| names.insert_full(name, ()).0 as i32).collect();
    let code = |&code: &i32| usize::try_from(code).ok().and_then(|at| place.get(at).copied()).unwrap_or(-1);
    (codes.iter().map(code).collect(), names.into_keys().collect())
}
