//! A matrix of counts with shaded cells, such as a confusion matrix.

use std::fmt::Write as _;

use crate::escape::{escape, number};

/// A matrix; a cell is shaded by its share of its row.
pub(crate) fn matrix(
    title: &str,
    y: &str,
    x: &str,
    rows: &[String],
    columns: &[String],
    values: &[Vec<f64>],
) -> String {
    const CELL: f64 = 62.0;
    const HEIGHT: f64 = 34.0;
    let label = |names: &[String]| names.iter().map(|n| n.chars().count()).max().unwrap_or(0).min(28);
    #[expect(clippy::cast_precision_loss, reason = "a few names of a few characters")]
    let (left, wide, high) = (
        30.0 + 7.0 * label(rows) as f64,
        CELL.max(14.0 + 7.0 * label(columns).min(14) as f64),
        HEIGHT * rows.len() as f64,
    );
    #[expect(clippy::cast_precision_loss, reason = "a few columns")]
    let (width, height) = ((left + wide * columns.len() as f64 + 4.0).max(260.0), high + 46.0);
    let mut svg = format!(
        "<svg xmlns=\"http://www.w3.org/2000/svg\" width=\"{width:.0}\" height=\"{height:.0}\" viewBox=\"0 0 {width:.0} {height:.0}\" role=\"img\" aria-label=\"{}\">",
        escape(title)
    );
    let short = |name: &str, most: usize| escape(&name.chars().take(most).collect::<String>());
    for (j, name) in columns.iter().enumerate() {
        #[expect(clippy::cast_precision_loss, reason = "a few columns")]
        let centre = left + wide * (j as f64 + 0.5);
        let _ =
            write!(svg, "<text x=\"{centre:.1}\" y=\"16\" text-anchor=\"middle\">{}</text>", short(name, 14));
    }
    for (i, (name, row)) in rows.iter().zip(values).enumerate() {
        #[expect(clippy::cast_precision_loss, reason = "a few rows")]
        let top = 24.0 + HEIGHT * i as f64;
        let total: f64 = row.iter().sum();
        let _ = write!(
            svg,
            "<text x=\"{:.1}\" y=\"{:.1}\" text-anchor=\"end\">{}</text>",
            left - 8.0,
            top + 21.0,
            short(name, 28)
        );
        for (j, value) in row.iter().enumerate() {
            #[expect(clippy::cast_precision_loss, reason = "a few columns")]
            let x = left + wide * j as f64;
            let share = if total > 0.0 { value / total } else { 0.0 };
            let _ = write!(
                svg,
                "<rect x=\"{x:.1}\" y=\"{top:.1}\" width=\"{:.1}\" height=\"{:.1}\" fill=\"var(--c0)\" fill-opacity=\"{:.2}\" stroke=\"var(--line)\"/>\
                 <text x=\"{:.1}\" y=\"{:.1}\" text-anchor=\"middle\">{}</text>",
                wide - 2.0,
                HEIGHT - 2.0,
                0.06 + 0.5 * share,
                x + wide / 2.0 - 1.0,
                top + 21.0,
                number(*value)
            );
        }
    }
    let _ = write!(
        svg,
        "<text x=\"4\" y=\"{:.1}\" class=\"soft\">columns: {}, rows: {}</text></svg>",
        height - 6.0,
        escape(x),
        escape(y)
    );
    svg
}
