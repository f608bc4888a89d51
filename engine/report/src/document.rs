//! A report document as sections of a page.

use celldag_engine::document::{Figure, ReportDocument};

use crate::charts;
use crate::page::Page;

/// Points drawn in one panel of a scatter plot: a few thousand keep the file well under a megabyte.
const MOST_SCATTER_POINTS: usize = 4000;

/// Adds a document; `label` tells several documents on one page apart.
pub(crate) fn render(page: &mut Page, label: Option<&str>, document: &ReportDocument) {
    match label {
        Some(label) => page.section(&format!("{}: {label}", document.title)),
        None => page.section(&document.title),
    }
    page.headline(&document.headline);
    page.warnings(document.warnings.iter().map(String::as_str));
    for note in &document.notes {
        page.paragraph(note);
    }
    for table in &document.tables {
        page.table(&table.title, &table.columns, &table.rows, &table.note);
    }
    page.open_row();
    for figure in &document.figures {
        picture(page, figure);
    }
    page.close_row();
}

fn picture(page: &mut Page, figure: &Figure) {
    match figure {
        Figure::Lines { title, x, y, limits, series, diagonal } => {
            page.picture(title, &charts::lines(title, x, y, *limits, series, *diagonal), "");
        }
        Figure::Histogram { title, x, edges, series } => {
            page.picture(title, &charts::histogram(title, x, edges, series), "");
        }
        Figure::Matrix { title, y, x, rows, columns, values } => {
            page.picture(title, &charts::matrix(title, y, x, rows, columns, values), "");
        }
        Figure::Scatter { title, x, y, points, colourings } => {
            let (panels, note) = charts::scatter(x, y, points, colourings, MOST_SCATTER_POINTS);
            for (panel, svg) in panels {
                page.picture(&format!("{title}: {panel}"), &svg, &note);
            }
        }
    }
}
