//! Annotation tables of AnnData: a group of columns since 0.7, a NumPy record array before.

use indexmap::IndexMap;

use super::{column, record};
use crate::h5::H5File;
use crate::{Column, DataError, Table};

/// Reads the table `name`; columns of a kind that is no annotation are left out with a warning.
pub(super) fn read(h5: &H5File, name: &str, warnings: &mut Vec<String>) -> Result<Table, DataError> {
    if h5.is_dataset(name) {
        return record::read(h5, name, warnings);
    }
    let members = h5.members(name)?;
    let index_name = h5
        .attr_text(name, "_index")
        .or_else(|| {
            ["_index", "index"].into_iter().find(|n| members.iter().any(|m| m == n)).map(str::to_owned)
        })
        .ok_or_else(|| h5.malformed(name, "it has no index (attribute `_index`)"))?;
    let index_path = format!("{name}/{index_name}");
    if !members.contains(&index_name) {
        return Err(DataError::missing(h5.path(), index_path, members));
    }
    let index = column::read(h5, name, &index_name)?
        .ok_or_else(|| h5.malformed(&index_path, "the index is no list of names"))?;
    let index: Vec<String> = (0..index.len())
        .map(|row| index.as_text(row).map(std::borrow::Cow::into_owned).unwrap_or_default())
        .collect();
    let order = h5.attr_texts(name, "column-order").unwrap_or_else(|| {
        members.iter().filter(|member| **member != index_name && *member != "__categories").cloned().collect()
    });
    let mut columns: IndexMap<String, Column> = IndexMap::new();
    for column_name in order {
        let Some(column) = column::read(h5, name, &column_name)? else {
            warnings.push(format!(
                "the column {name}/{column_name} is of a kind that is not read and was left out"
            ));
            continue;
        };
        if column.len() != index.len() {
            let problem = format!("it has {} values, the table has {} rows", column.len(), index.len());
            return Err(h5.malformed(&format!("{name}/{column_name}"), problem));
        }
        columns.insert(column_name, column);
    }
    Ok(Table { index_name, index, columns })
}
