//! Points in the plane, one panel for each way to colour them.

use std::fmt::Write as _;

use celldag_engine::document::Colouring;

use super::axes::Axes;
use super::{colour, legend};
use crate::escape::{escape, number};

/// The panels, and a note when points were left out to keep the file small.
pub(crate) fn scatter(
    x: &str,
    y: &str,
    points: &[[f32; 2]],
    colourings: &[Colouring],
    most: usize,
) -> (Vec<(String, String)>, String) {
    let step = points.len().div_ceil(most.max(1)).max(1);
    let shown: Vec<usize> =
        (0..points.len()).step_by(step).filter(|&i| points[i].iter().all(|v| v.is_finite())).collect();
    let note =
        if step > 1 { format!("Every {step}th of {} points is drawn.", points.len()) } else { String::new() };
    let limits = limits_of(points, &shown);
    let panels = colourings.iter().map(|c| panel(x, y, points, &shown, limits, c)).collect();
    (panels, note)
}

fn panel(
    x: &str,
    y: &str,
    points: &[[f32; 2]],
    shown: &[usize],
    limits: [f64; 4],
    colouring: &Colouring,
) -> (String, String) {
    let axes = Axes::new(440.0, 380.0, limits);
    let mut body = axes.frame(x, y);
    let (title, legend, legend_height) = match colouring {
        Colouring::Category { title, names, index } => {
            for (category, _) in names.iter().enumerate() {
                let _ = write!(body, "<g fill=\"{}\" fill-opacity=\".7\">", colour(category));
                for &i in shown.iter().filter(|&&i| index.get(i).is_some_and(|&k| k as usize == category)) {
                    dot(&mut body, &axes, points[i]);
                }
                body.push_str("</g>");
            }
            let names: Vec<(&str, String)> =
                names.iter().enumerate().map(|(i, name)| (name.as_str(), colour(i))).collect();
            let (svg, height) = legend(&names, axes.width, axes.height);
            (title, svg, height)
        }
        Colouring::Value { title, values } => {
            let known = || values.iter().flatten().copied().filter(|v| v.is_finite());
            let (low, high) =
                known().fold((f32::INFINITY, f32::NEG_INFINITY), |(a, b), v| (a.min(v), b.max(v)));
            // Ten shades from blue to orange: few groups keep the file small.
            for shade in 0..10_u8 {
                let _ = write!(body, "<g fill=\"{}\" fill-opacity=\".75\">", shade_colour(shade));
                for &i in shown {
                    let value = values.get(i).copied().flatten().filter(|v| v.is_finite());
                    if value.is_some_and(|v| bin(v, low, high) == shade) {
                        dot(&mut body, &axes, points[i]);
                    }
                }
                body.push_str("</g>");
            }
            let mut scale = String::new();
            for shade in 0..10_u8 {
                let _ = write!(
                    scale,
                    "<rect x=\"{:.1}\" y=\"{:.1}\" width=\"16\" height=\"10\" fill=\"{}\"/>",
                    60.0 + 16.0 * f64::from(shade),
                    axes.height + 4.0,
                    shade_colour(shade)
                );
            }
            let text = |x: f64, anchor: &str, value: f32| {
                format!(
                    "<text x=\"{x}\" y=\"{:.1}\" text-anchor=\"{anchor}\">{}</text>",
                    axes.height + 13.0,
                    if value.is_finite() { number(f64::from(value)) } else { "–".to_owned() }
                )
            };
            let _ = write!(scale, "{}{}", text(55.0, "end", low), text(226.0, "start", high));
            (title, scale, 20.0)
        }
    };
    let svg = format!("{}{body}{legend}</svg>", axes.open(legend_height, title));
    (title.clone(), svg)
}

fn dot(svg: &mut String, axes: &Axes, [x, y]: [f32; 2]) {
    let _ = write!(svg, "<circle cx=\"{:.0}\" cy=\"{:.0}\" r=\"2.4\"/>", axes.x(x.into()), axes.y(y.into()));
}

fn bin(value: f32, low: f32, high: f32) -> u8 {
    if high <= low {
        return 0;
    }
    #[expect(
        clippy::cast_possible_truncation,
        clippy::cast_sign_loss,
        reason = "between 0 and 9 by construction"
    )]
    let bin = ((value - low) / (high - low) * 10.0).floor().clamp(0.0, 9.0) as u8;
    bin
}

fn shade_colour(shade: u8) -> String {
    let mix = 100.0 * f64::from(shade) / 9.0;
    escape(&format!("color-mix(in srgb, var(--c1) {mix:.0}%, var(--c0))"))
}

fn limits_of(points: &[[f32; 2]], shown: &[usize]) -> [f64; 4] {
    let mut limits = [f64::INFINITY, f64::NEG_INFINITY, f64::INFINITY, f64::NEG_INFINITY];
    for &i in shown {
        let [x, y] = points[i].map(f64::from);
        limits = [limits[0].min(x), limits[1].max(x), limits[2].min(y), limits[3].max(y)];
    }
    if !limits.iter().all(|v| v.is_finite()) {
        return [0.0, 1.0, 0.0, 1.0];
    }
    let (dx, dy) = ((limits[1] - limits[0]) * 0.03, (limits[3] - limits[2]) * 0.03);
    [limits[0] - dx, limits[1] + dx, limits[2] - dy, limits[3] + dy]
}
