//! A plotting area with ticks, grid and labels.

use std::fmt::Write as _;

use crate::escape::escape;

/// Maps data to pixels and draws the frame around it.
#[derive(Clone, Debug)]
pub(super) struct Axes {
    pub(super) width: f64,
    pub(super) height: f64,
    /// `[x0, x1, y0, y1]` in data units.
    pub(super) limits: [f64; 4],
}

pub(super) const LEFT: f64 = 52.0;
pub(super) const TOP: f64 = 10.0;
pub(super) const BOTTOM: f64 = 40.0;
const RIGHT: f64 = 12.0;

impl Axes {
    pub(super) fn new(width: f64, height: f64, limits: [f64; 4]) -> Self {
        let [x0, x1, y0, y1] = limits;
        let widen = |a: f64, b: f64| if b > a { (a, b) } else { (a - 0.5, a + 0.5) };
        let ((x0, x1), (y0, y1)) = (widen(x0, x1), widen(y0, y1));
        Self { width, height, limits: [x0, x1, y0, y1] }
    }

    pub(super) fn x(&self, value: f64) -> f64 {
        let [x0, x1, ..] = self.limits;
        LEFT + (value - x0) / (x1 - x0) * (self.width - LEFT - RIGHT)
    }

    pub(super) fn y(&self, value: f64) -> f64 {
        let [.., y0, y1] = self.limits;
        self.height - BOTTOM - (value - y0) / (y1 - y0) * (self.height - TOP - BOTTOM)
    }

    /// Grid lines, tick labels and axis titles.
    pub(super) fn frame(&self, x_title: &str, y_title: &str) -> String {
        let [x0, x1, y0, y1] = self.limits;
        let (left, right, top, bottom) = (self.x(x0), self.x(x1), self.y(y1), self.y(y0));
        let mut svg = String::new();
        for tick in ticks(x0, x1) {
            let x = self.x(tick);
            let _ = write!(
                svg,
                "<path class=\"grid\" d=\"M{x:.1} {top:.1}V{bottom:.1}\"/><text x=\"{x:.1}\" y=\"{:.1}\" text-anchor=\"middle\" class=\"soft\">{}</text>",
                bottom + 15.0,
                label(tick)
            );
        }
        for tick in ticks(y0, y1) {
            let y = self.y(tick);
            let _ = write!(
                svg,
                "<path class=\"grid\" d=\"M{left:.1} {y:.1}H{right:.1}\"/><text x=\"{:.1}\" y=\"{:.1}\" text-anchor=\"end\" class=\"soft\">{}</text>",
                left - 6.0,
                y + 4.0,
                label(tick)
            );
        }
        let _ = write!(
            svg,
            "<path class=\"axis\" d=\"M{left:.1} {top:.1}V{bottom:.1}H{right:.1}\"/>\
             <text x=\"{:.1}\" y=\"{:.1}\" text-anchor=\"middle\">{}</text>\
             <text transform=\"translate(12 {:.1}) rotate(-90)\" text-anchor=\"middle\">{}</text>",
            f64::midpoint(left, right),
            self.height - 6.0,
            escape(x_title),
            f64::midpoint(top, bottom),
            escape(y_title)
        );
        svg
    }

    /// The opening tag of a picture that is `extra` higher than the plotting area.
    pub(super) fn open(&self, extra: f64, label: &str) -> String {
        let height = self.height + extra;
        format!(
            "<svg xmlns=\"http://www.w3.org/2000/svg\" width=\"{:.0}\" height=\"{height:.0}\" viewBox=\"0 0 {:.0} {height:.0}\" role=\"img\" aria-label=\"{}\">",
            self.width,
            self.width,
            escape(label)
        )
    }
}

/// A tick as short as it can be: `0.2`, `15`, `2e-7`.
fn label(tick: f64) -> String {
    if tick == 0.0 || (1e-4..1e6).contains(&tick.abs()) { tick.to_string() } else { format!("{tick:e}") }
}

/// About five round numbers within the range.
fn ticks(low: f64, high: f64) -> Vec<f64> {
    let raw = (high - low) / 5.0;
    if !(raw.is_finite() && raw > 0.0) {
        return Vec::new();
    }
    let power = 10.0_f64.powf(raw.log10().floor());
    let step = [1.0, 2.0, 2.5, 5.0, 10.0].into_iter().map(|m| m * power).find(|s| *s >= raw * 0.999);
    let step = step.unwrap_or(raw);
    let first = (low / step).ceil();
    (0..12)
        .map(|i| (first + f64::from(i)) * step)
        .take_while(|t| *t <= high + step * 1e-6)
        // Avoid "-0" and the noise of binary fractions.
        .map(|t| (t / step).round() * step + 0.0)
        .map(|t| (t * 1e12).round() / 1e12)
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ticks_are_round_and_inside() {
        assert_eq!(ticks(0.0, 1.0), [0.0, 0.2, 0.4, 0.6, 0.8, 1.0]);
        assert_eq!(ticks(-3.0, 17.0), [0.0, 5.0, 10.0, 15.0]);
        assert!(ticks(1.0, 1.0).is_empty() && ticks(f64::NAN, 1.0).is_empty());
    }
}
