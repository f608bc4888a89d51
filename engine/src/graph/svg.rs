//! SVG without any tool: text, boxes and curves in `currentColor`, so that it follows the colours of a page.

use std::fmt::Write as _;

use super::layout::{Arrow, layout};
use super::{GraphEdge, GraphNode, NodeGraph, Role};

const MARGIN: f64 = 16.0;
const BOX_HEIGHT: f64 = 44.0;
const LAYER_HEIGHT: f64 = 112.0;
const LABEL_HEIGHT: f64 = 14.0;
const TITLE_SIZE: f64 = 14.0;
const NOTE_SIZE: f64 = 11.0;
const LABEL_SIZE: f64 = 10.5;

impl NodeGraph {
    /// A picture of its own: readable on light and dark screens.
    #[must_use]
    pub fn to_svg(&self) -> String {
        self.draw(
            "<style>.celldag-graph{color:#1f2328;background:#ffffff}\
             @media(prefers-color-scheme:dark){.celldag-graph{color:#e6edf3;background:#0d1117}}</style>\n",
        )
    }

    /// A picture for the inside of a page, in the page's colours.
    #[must_use]
    pub fn to_svg_inline(&self) -> String {
        self.draw("")
    }

    fn draw(&self, style: &str) -> String {
        let widths: Vec<f64> = self.nodes.iter().map(box_width).collect();
        let edges: Vec<&GraphEdge> = self.edges.iter().filter(|edge| edge.from != edge.to).collect();
        let arrows: Vec<Arrow> = edges
            .iter()
            .map(|edge| Arrow { from: edge.from, to: edge.to, label: text_width(&edge.label, LABEL_SIZE) })
            .collect();
        let drawing = layout(&widths, &arrows);
        let width = (drawing.width + 2.0 * MARGIN).ceil();
        let height = match drawing.layers.checked_sub(1) {
            Some(last) => y_of(last) + BOX_HEIGHT + MARGIN,
            None => 2.0 * MARGIN,
        };
        let mut out = format!(
            "<svg class=\"celldag-graph\" xmlns=\"http://www.w3.org/2000/svg\" width=\"{width}\" height=\"{height}\" \
             viewBox=\"0 0 {width} {height}\" role=\"img\" font-family=\"system-ui,sans-serif\" \
             style=\"max-width:100%;height:auto\">\n<title>{}</title>\n{style}",
            escaped(&self.title)
        );
        for (route, edge) in drawing.routes.iter().zip(&edges) {
            draw_arrow(&mut out, route, &edge.label);
        }
        for (node, ((x, layer), width)) in self.nodes.iter().zip(drawing.boxes.iter().zip(&widths)) {
            draw_box(&mut out, node, x + MARGIN, y_of(*layer), *width);
        }
        out.push_str("</svg>\n");
        out
    }
}

/// Top of a layer of boxes, or of the labels between two of them.
fn y_of(layer: usize) -> f64 {
    let boxes = MARGIN + (layer / 2) as f64 * LAYER_HEIGHT;
    if layer.is_multiple_of(2) { boxes } else { boxes + (LAYER_HEIGHT + BOX_HEIGHT - LABEL_HEIGHT) / 2.0 }
}

fn height_of(layer: usize) -> f64 {
    if layer.is_multiple_of(2) { BOX_HEIGHT } else { LABEL_HEIGHT }
}

fn draw_arrow(out: &mut String, route: &[(f64, usize)], label: &str) {
    let [first, .., beside, last] = route else { return };
    let upwards = first.1 > last.1;
    let mut points: Vec<(f64, f64)> = Vec::new();
    for (x, layer) in route {
        let (above, below) = (y_of(*layer), y_of(*layer) + height_of(*layer));
        let (enter, leave) = if upwards { (below, above) } else { (above, below) };
        points.extend([(x + MARGIN, enter), (x + MARGIN, leave)]);
    }
    // The line runs from the near side of the first box to the near side of the last, where the head needs a little room.
    points.remove(0);
    points.pop();
    let head = if upwards { 7.0 } else { -7.0 };
    if let Some(end) = points.last_mut() {
        end.1 += head;
    }
    let mut path = String::new();
    let mut before: Option<(f64, f64)> = None;
    for (x, y) in points {
        let _ = match before {
            None => write!(path, "M{x:.1} {y:.1}"),
            Some((x0, _)) if (x0 - x).abs() < 0.05 => write!(path, "V{y:.1}"),
            Some((x0, y0)) => {
                let half = f64::midpoint(y0, y);
                write!(path, "C{x0:.1} {half:.1} {x:.1} {half:.1} {x:.1} {y:.1}")
            }
        };
        before = Some((x, y));
    }
    let _ = writeln!(
        out,
        "<path d=\"{path}\" fill=\"none\" stroke=\"currentColor\" stroke-opacity=\".45\" stroke-width=\"1.3\"/>"
    );
    if let Some((x, y)) = before {
        let (left, right, tip) = (x - 3.5, x + 3.5, y - head);
        let _ = writeln!(
            out,
            "<path d=\"M{left:.1} {y:.1}H{right:.1}L{x:.1} {tip:.1}Z\" fill=\"currentColor\" fill-opacity=\".6\"/>"
        );
    }
    if !label.is_empty() {
        let (x, y) = (beside.0 + MARGIN + 5.0, y_of(beside.1) + LABEL_HEIGHT - 3.5);
        let _ = writeln!(
            out,
            "<text x=\"{x:.1}\" y=\"{y:.1}\" font-size=\"{LABEL_SIZE}\" fill=\"currentColor\" fill-opacity=\".75\">{}</text>",
            escaped(label)
        );
    }
}

fn draw_box(out: &mut String, node: &GraphNode, x: f64, y: f64, width: f64) {
    let (radius, dash) = match node.role {
        Role::Step => (8, ""),
        Role::File => (0, " stroke-dasharray=\"4 3\""),
    };
    let _ = writeln!(
        out,
        "<rect x=\"{:.1}\" y=\"{y:.1}\" width=\"{width:.1}\" height=\"{BOX_HEIGHT}\" rx=\"{radius}\" fill=\"currentColor\" \
         fill-opacity=\".07\" stroke=\"currentColor\" stroke-opacity=\".55\"{dash}/>",
        x - width / 2.0
    );
    let subtitle = node.subtitle();
    let middle = y + BOX_HEIGHT / 2.0;
    let baseline = if subtitle.is_empty() { middle + 5.0 } else { middle - 3.0 };
    let weight = if node.role == Role::Step { " font-weight=\"600\"" } else { "" };
    let _ = writeln!(
        out,
        "<text x=\"{x:.1}\" y=\"{baseline:.1}\" font-size=\"{TITLE_SIZE}\"{weight} text-anchor=\"middle\" fill=\"currentColor\">{}</text>",
        escaped(&node.title)
    );
    if !subtitle.is_empty() {
        let _ = writeln!(
            out,
            "<text x=\"{x:.1}\" y=\"{:.1}\" font-size=\"{NOTE_SIZE}\" text-anchor=\"middle\" fill=\"currentColor\" fill-opacity=\".75\">{}</text>",
            middle + 13.0,
            escaped(&subtitle)
        );
    }
}

fn box_width(node: &GraphNode) -> f64 {
    let text = text_width(&node.title, TITLE_SIZE).max(text_width(&node.subtitle(), NOTE_SIZE));
    (text + 24.0).max(64.0).ceil()
}

/// Width of a text in a usual sans-serif font; a little too wide rather than too narrow.
fn text_width(text: &str, size: f64) -> f64 {
    let em: f64 = text
        .chars()
        .map(|c| match c {
            'i' | 'j' | 'l' | 'I' | '.' | ',' | ':' | ';' | '\'' | '|' | '!' => 0.32,
            'f' | 't' | 'r' | ' ' | '-' | '(' | ')' | '/' | '[' | ']' => 0.42,
            'm' | 'w' | 'M' | 'W' | '@' | '→' => 0.92,
            c if c.is_ascii_uppercase() => 0.7,
            c if c.is_ascii() => 0.6,
            _ => 1.0,
        })
        .sum();
    em * size
}

fn escaped(text: &str) -> String {
    text.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;").replace('"', "&quot;")
}
