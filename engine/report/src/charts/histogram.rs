//! Overlaid histograms over common bins.

use std::fmt::Write as _;

use super::axes::Axes;
use super::{colour, legend};

/// A histogram of several groups over the same bins, each drawn as a translucent outline.
pub(crate) fn histogram(title: &str, x: &str, edges: &[f64], series: &[(String, Vec<f64>)]) -> String {
    let highest = series.iter().flat_map(|(_, counts)| counts).copied().fold(1.0, f64::max);
    let (first, last) = (edges.first().copied().unwrap_or(0.0), edges.last().copied().unwrap_or(1.0));
    let axes = Axes::new(420.0, 280.0, [first, last, 0.0, highest * 1.05]);
    let names: Vec<(&str, String)> =
        series.iter().enumerate().map(|(i, (name, _))| (name.as_str(), colour(i))).collect();
    let (legend, legend_height) = legend(&names, axes.width, axes.height);
    let mut svg = axes.open(legend_height, title);
    svg.push_str(&axes.frame(x, "cells"));
    for (i, (_, counts)) in series.iter().enumerate() {
        let mut d = format!("M{:.1} {:.1}", axes.x(first), axes.y(0.0));
        for (bin, count) in edges.windows(2).zip(counts) {
            let y = axes.y(*count);
            let _ = write!(d, "L{:.1} {y:.1}L{:.1} {y:.1}", axes.x(bin[0]), axes.x(bin[1]));
        }
        let _ = write!(d, "L{:.1} {:.1}Z", axes.x(last), axes.y(0.0));
        let colour = colour(i);
        let _ = write!(svg, "<path fill=\"{colour}\" fill-opacity=\".3\" stroke=\"{colour}\" d=\"{d}\"/>");
    }
    svg.push_str(&legend);
    svg.push_str("</svg>");
    svg
}
