//! Tables below each other: the annotations of cells of several files as one table.

use std::borrow::Cow;

use super::{Column, Table};

impl Table {
    /// The rows of all tables, one table after the other, with every column that any of them has, in the order of their
    /// first occurrence. A value is missing where a table lacks the column. Columns of real numbers, whole numbers,
    /// truth values or categories keep their type when all tables that have them agree on it (categories are numbered
    /// anew), and become text otherwise. The index is called `_index`.
    #[must_use]
    pub fn stacked(tables: &[&Self]) -> Self {
        let mut out = Self::new(tables.iter().flat_map(|table| &table.index).cloned().collect());
        for table in tables {
            for name in table.columns.keys() {
                if out.column(name).is_none() {
                    out.columns.insert(name.clone(), column(tables, name));
                }
            }
        }
        out
    }
}

/// One column over all tables.
fn column(tables: &[&Table], name: &str) -> Column {
    let mut kinds: Vec<&str> =
        tables.iter().filter_map(|table| table.column(name)).map(Column::kind).collect();
    kinds.dedup();
    let rows = || tables.iter().flat_map(|table| (0..table.len()).map(move |row| (table.column(name), row)));
    let texts = || -> Vec<Option<String>> {
        rows().map(|(column, row)| column?.as_text(row).map(Cow::into_owned)).collect()
    };
    match kinds.as_slice() {
        ["number"] => Column::Float(
            rows().map(|(c, row)| c.and_then(|c| c.as_number(row)).unwrap_or(f64::NAN)).collect(),
        ),
        ["integer"] => Column::Int(
            rows()
                .map(|(column, row)| match column {
                    Some(Column::Int(values)) => values[row],
                    _ => None,
                })
                .collect(),
        ),
        ["boolean"] => Column::Bool(
            rows()
                .map(|(column, row)| match column {
                    Some(Column::Bool(values)) => values[row],
                    _ => None,
                })
                .collect(),
        ),
        ["categorical"] => Column::categorical(&texts()),
        _ => Column::Text(texts()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn table(index: &[&str], columns: &[(&str, Column)]) -> Table {
        let mut table = Table::new(index.iter().map(|&name| name.to_owned()).collect());
        for (name, column) in columns {
            table.insert(*name, column.clone()).expect("length");
        }
        table
    }

    #[test]
    fn types_stay_where_tables_agree_and_gaps_are_missing() {
        let a = table(
            &["a1", "a2"],
            &[
                ("n", Column::Int(vec![Some(1), None])),
                ("mixed", Column::Int(vec![Some(1), Some(0)])),
                ("kind", Column::categorical(&[Some("x"), Some("b")])),
                ("only_a", Column::Float(vec![0.5, f64::NAN])),
            ],
        );
        let b = table(
            &["b1"],
            &[
                ("only_b", Column::Bool(vec![Some(true)])),
                ("kind", Column::categorical(&[Some("a")])),
                ("mixed", Column::Float(vec![1.0])),
                ("n", Column::Int(vec![Some(3)])),
            ],
        );
        let both = Table::stacked(&[&a, &b]);
        assert_eq!(both.index, ["a1", "a2", "b1"]);
        assert_eq!(both.columns.keys().collect::<Vec<_>>(), ["n", "mixed", "kind", "only_a", "only_b"]);
        assert_eq!(both.columns["n"], Column::Int(vec![Some(1), None, Some(3)]));
        assert_eq!(both.columns["kind"], Column::categorical(&[Some("x"), Some("b"), Some("a")]));
        assert_eq!(both.columns["only_b"], Column::Bool(vec![None, None, Some(true)]));
        // A label that is 1 in one file and 1.0 in the other is the same label.
        let text = |v: &str| Some(v.to_owned());
        assert_eq!(both.columns["mixed"], Column::Text(vec![text("1"), text("0"), text("1")]));
        let Column::Float(values) = &both.columns["only_a"] else { panic!("numbers") };
        assert!(values[0] == 0.5 && values[1].is_nan() && values[2].is_nan());
        assert!(both.check().is_ok());
    }
}
