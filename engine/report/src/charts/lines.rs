//! Line charts: ROC, precision-recall, calibration, loss curves.

use std::fmt::Write as _;

use celldag_engine::document::Series;

use super::axes::Axes;
use super::{colour, legend};

/// More points than this are thinned: a picture has no more pixels.
const MOST_POINTS: usize = 400;

/// Colour of what is a reference and not the subject.
const FAINT: &str = "var(--c7)";

/// A line chart. Series marked faint are drawn thin and share one colour.
pub(crate) fn lines(
    title: &str,
    x: &str,
    y: &str,
    limits: Option<[f64; 4]>,
    series: &[Series],
    diagonal: bool,
) -> String {
    let axes = Axes::new(420.0, 340.0, limits.unwrap_or_else(|| limits_of(series)));
    let clear: Vec<&Series> = series.iter().filter(|s| !s.faint).collect();
    let mut names: Vec<(&str, String)> =
        clear.iter().enumerate().map(|(i, s)| (s.name.as_str(), colour(i))).collect();
    let mut faint: Vec<&str> = series.iter().filter(|s| s.faint).map(|s| s.name.as_str()).collect();
    faint.dedup();
    match faint.as_slice() {
        [] => {}
        [one] => names.push((one, FAINT.to_owned())),
        _ => names.push(("single folds and baselines", FAINT.to_owned())),
    }
    if diagonal {
        names.push(("dashed: chance or ideal", "none".to_owned()));
    }
    let (legend, legend_height) = legend(&names, axes.width, axes.height);
    let mut svg = axes.open(legend_height, title);
    svg.push_str(&axes.frame(x, y));
    if diagonal {
        let [x0, x1, y0, y1] = axes.limits;
        let _ = write!(
            svg,
            "<path class=\"axis\" stroke-dasharray=\"4 4\" d=\"M{:.1} {:.1}L{:.1} {:.1}\"/>",
            axes.x(x0),
            axes.y(y0),
            axes.x(x1),
            axes.y(y1)
        );
    }
    for faint in series.iter().filter(|s| s.faint) {
        path(&mut svg, &axes, faint, FAINT, "1\" opacity=\".45");
    }
    for (i, line) in clear.iter().enumerate() {
        path(&mut svg, &axes, line, &colour(i), "2");
    }
    svg.push_str(&legend);
    svg.push_str("</svg>");
    svg
}

fn path(svg: &mut String, axes: &Axes, series: &Series, stroke: &str, width: &str) {
    let step = series.points.len().div_ceil(MOST_POINTS).max(1);
    let last = series.points.len().saturating_sub(1);
    let mut d = String::new();
    for (i, [x, y]) in series.points.iter().enumerate() {
        if (i % step != 0 && i != last) || !x.is_finite() || !y.is_finite() {
            continue;
        }
        let command = if d.is_empty() { 'M' } else { 'L' };
        let _ = write!(d, "{command}{:.1} {:.1}", axes.x(*x), axes.y(*y));
    }
    let _ = write!(
        svg,
        "<path fill=\"none\" stroke=\"{stroke}\" stroke-width=\"{width}\" d=\"{d}\"><title>{}</title></path>",
        crate::escape::escape(&series.name)
    );
}

fn limits_of(series: &[Series]) -> [f64; 4] {
    let mut limits = [f64::INFINITY, f64::NEG_INFINITY, f64::INFINITY, f64::NEG_INFINITY];
    for [x, y] in series.iter().flat_map(|s| &s.points).filter(|p| p.iter().all(|v| v.is_finite())) {
        limits = [limits[0].min(*x), limits[1].max(*x), limits[2].min(*y), limits[3].max(*y)];
    }
    if limits.iter().all(|v| v.is_finite()) { limits } else { [0.0, 1.0, 0.0, 1.0] }
}
