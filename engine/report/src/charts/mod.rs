//! Charts as SVG text. Colours are CSS variables of the page, so one picture serves light and dark.

mod axes;
mod histogram;
mod lines;
mod matrix;
mod scatter;

pub(crate) use histogram::histogram;
pub(crate) use lines::lines;
pub(crate) use matrix::matrix;
pub(crate) use scatter::scatter;

use crate::escape::escape;

/// Colour of the `i`-th series or category (colour-blind safe: Okabe and Ito 2008), repeating after eight.
pub(crate) fn colour(i: usize) -> String {
    format!("var(--c{})", i % 8)
}

/// A legend below a chart that is `width` wide: returns the SVG and its height.
pub(crate) fn legend(names: &[(&str, String)], width: f64, top: f64) -> (String, f64) {
    const ROW: f64 = 18.0;
    let mut svg = String::new();
    let (mut x, mut y) = (0.0, top + 12.0);
    for (name, colour) in names {
        let shown: String = name.chars().take(60).collect();
        #[expect(clippy::cast_precision_loss, reason = "a few dozen characters")]
        let advance = 22.0 + 6.6 * shown.chars().count() as f64;
        if x > 0.0 && x + advance > width {
            x = 0.0;
            y += ROW;
        }
        svg.push_str(&format!(
            "<rect x=\"{x:.1}\" y=\"{:.1}\" width=\"10\" height=\"10\" fill=\"{}\"/><text x=\"{:.1}\" y=\"{y:.1}\">{}</text>",
            y - 9.0,
            colour,
            x + 14.0,
            escape(&shown)
        ));
        x += advance;
    }
    (svg, y - top + 6.0)
}
