use std::borrow::Cow;

use super::{Column, Table};

fn table() -> Table {
    let mut table = Table::new(["a", "b", "c"].map(str::to_owned).to_vec());
    let text = vec![Some("x".to_owned()), None, Some("y".to_owned())];
    table.insert("kind", Column::categorical(&text)).unwrap();
    table.insert("text", Column::Text(text)).unwrap();
    table.insert("score", Column::Float(vec![0.1, f64::NAN, f64::NEG_INFINITY])).unwrap();
    table.insert("n", Column::Int(vec![Some(1), None, Some(-3)])).unwrap();
    table.insert("ok", Column::Bool(vec![Some(true), Some(false), None])).unwrap();
    table
}

#[test]
fn json_round_trip_keeps_missing_and_infinite_values() {
    let json = serde_json::to_string(&table()).unwrap();
    let back: Table = serde_json::from_str(&json).unwrap();
    assert_eq!(serde_json::to_string(&back).unwrap(), json);
    let Some(Column::Float(score)) = back.column("score") else { panic!("score is a float column") };
    assert!(score[1].is_nan() && score[2] == f64::NEG_INFINITY && score[0] == 0.1);
    assert_eq!(back.columns.keys().collect::<Vec<_>>(), ["kind", "text", "score", "n", "ok"]);
}

#[test]
fn values_read_as_text_and_numbers() {
    let table = table();
    let row = |i| ["kind", "text", "score", "n", "ok"].map(|c| table.text(c, i).map(Cow::into_owned));
    assert_eq!(row(0).map(Option::unwrap), ["x", "x", "0.1", "1", "true"]);
    assert_eq!(row(1).map(|t| t.is_some()), [false, false, false, false, true]);
    assert_eq!(table.column("ok").unwrap().as_number(0), Some(1.0));
    assert_eq!(table.column("score").unwrap().as_number(1), None);
    let picked = table.select(&[2, 0]);
    assert_eq!(picked.index, ["c", "a"]);
    assert_eq!(picked.text("kind", 0).as_deref(), Some("y"));
}

#[test]
fn wrong_lengths_and_duplicates_are_found() {
    let mut table = table();
    assert_eq!(table.insert("short", Column::Int(vec![])).unwrap_err().found, 0);
    assert_eq!(table.first_duplicate(), None);
    table.index[2] = "a".to_owned();
    assert_eq!(table.first_duplicate(), Some(("a", 0, 2)));
    table.columns.insert("short".to_owned(), Column::Int(vec![]));
    assert_eq!(table.check().unwrap_err().name, "short");
}
