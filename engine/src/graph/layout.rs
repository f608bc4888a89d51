//! Where boxes and arrows go: the layered drawing of Sugiyama, Tagawa and Toda (1981).
//!
//! Longest-path layers, dummy boxes on arrows that span several layers, fewest crossings by sweeps of barycentres, and
//! coordinates by isotonic regression: within a layer the boxes get as near to their neighbours as their widths allow.

mod order;
mod place;

use order::order;
use place::place;

/// Free space between boxes of a layer.
const GAP: f64 = 24.0;
/// Width of the lane that a passing arrow takes.
pub(super) const LANE: f64 = 10.0;
const SWEEPS: usize = 24;

/// A finished drawing. Boxes stand in even layers, labels of arrows in odd ones.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Layout {
    /// Centre of each box across, and its layer.
    pub(super) boxes: Vec<(f64, usize)>,
    /// For each arrow the points that it passes: across, and layer; from its first box to its last. The last but one
    /// lies beside its label, which begins [`LANE`] to the right of it.
    pub(super) routes: Vec<Vec<(f64, usize)>>,
    /// Number of layers.
    pub(super) layers: usize,
    /// Total width.
    pub(super) width: f64,
}

/// An arrow to draw.
#[derive(Clone, Copy, Debug)]
pub(super) struct Arrow {
    /// Box where it begins.
    pub(super) from: usize,
    /// Box where it ends.
    pub(super) to: usize,
    /// Width of its label; 0 without one.
    pub(super) label: f64,
}

/// Draws boxes of these widths with these arrows.
pub(super) fn layout(widths: &[f64], arrows: &[Arrow]) -> Layout {
    let edges: Vec<(usize, usize)> = arrows.iter().map(|arrow| (arrow.from, arrow.to)).collect();
    let layer: Vec<usize> = layers(widths.len(), &edges).into_iter().map(|layer| 2 * layer).collect();
    let count = layer.iter().max().map_or(0, |last| last + 1);
    let mut slots: Vec<Slot> =
        widths.iter().zip(&layer).map(|(width, layer)| Slot::new(*width, *layer, false)).collect();
    let routes: Vec<Vec<usize>> = arrows.iter().map(|arrow| route(&mut slots, *arrow)).collect();
    for route in &routes {
        for pair in route.windows(2) {
            let (above, below) = if slots[pair[0]].layer < slots[pair[1]].layer {
                (pair[0], pair[1])
            } else {
                (pair[1], pair[0])
            };
            if slots[above].layer != slots[below].layer {
                slots[above].down.push(below);
                slots[below].up.push(above);
            }
        }
    }
    let mut rows: Vec<Vec<usize>> = vec![Vec::new(); count];
    for (index, slot) in slots.iter().enumerate() {
        rows[slot.layer].push(index);
    }
    order(&slots, &mut rows);
    let centres = place(&slots, &rows);
    let left = slots.iter().zip(&centres).map(|(s, x)| x - s.width / 2.0).fold(f64::INFINITY, f64::min);
    let right = slots.iter().zip(&centres).map(|(s, x)| x + s.width / 2.0).fold(f64::NEG_INFINITY, f64::max);
    let centre = |index: usize| (centres[index] - left, slots[index].layer);
    let point = |index: &usize| (centres[*index] - left + slots[*index].anchor(), slots[*index].layer);
    let mut points: Vec<Vec<(f64, usize)>> =
        routes.iter().map(|route| route.iter().map(point).collect()).collect();
    for (index, width) in widths.iter().enumerate() {
        spread(
            &mut points,
            *width,
            |end| arrows[end].to == index,
            |route| (route.len() - 1, route.len() - 2),
        );
        spread(&mut points, *width, |end| arrows[end].from == index, |_| (0, 1));
    }
    Layout {
        boxes: (0..widths.len()).map(centre).collect(),
        routes: points,
        layers: count,
        width: if widths.is_empty() { 0.0 } else { right - left },
    }
}

/// Ends of arrows share the side of their box instead of meeting in one point.
fn spread(
    routes: &mut [Vec<(f64, usize)>],
    width: f64,
    here: impl Fn(usize) -> bool,
    ends: impl Fn(&[(f64, usize)]) -> (usize, usize),
) {
    let mut found: Vec<usize> = (0..routes.len()).filter(|index| here(*index)).collect();
    let towards = |index: &usize| {
        let route = &routes[*index];
        route[ends(route).1].0
    };
    found.sort_by(|a, b| towards(a).total_cmp(&towards(b)));
    let step = (width / (found.len() as f64 + 1.0)).min(20.0);
    let middle = (found.len() as f64 - 1.0) / 2.0;
    for (place, index) in found.into_iter().enumerate() {
        let end = ends(&routes[index]).0;
        routes[index][end].0 += (place as f64 - middle) * step;
    }
}

/// A box or a lane.
struct Slot {
    width: f64,
    layer: usize,
    lane: bool,
    up: Vec<usize>,
    down: Vec<usize>,
}

impl Slot {
    fn new(width: f64, layer: usize, lane: bool) -> Self {
        Self { width, layer, lane, up: Vec::new(), down: Vec::new() }
    }

    /// Where arrows pass, seen from the centre: a lane is passed at its left, so that a label has the rest.
    fn anchor(&self) -> f64 {
        if self.lane { (LANE - self.width) / 2.0 } else { 0.0 }
    }
}

/// Layer of each box: below everything that it depends on, and sources right above what first needs them.
fn layers(count: usize, edges: &[(usize, usize)]) -> Vec<usize> {
    let mut waiting = vec![0usize; count];
    for (from, to) in edges {
        if from != to {
            waiting[*to] += 1;
        }
    }
    let mut rank: Vec<usize> = vec![usize::MAX; count];
    let mut ranked = 0;
    while ranked < count {
        // Lowest index first; on a cycle (which pipelines do not have) any box breaks it.
        let free = (0..count).filter(|n| rank[*n] == usize::MAX).min_by_key(|n| (waiting[*n], *n));
        let Some(next) = free else { break };
        rank[next] = ranked;
        ranked += 1;
        for (from, to) in edges {
            if *from == next && from != to {
                waiting[*to] = waiting[*to].saturating_sub(1);
            }
        }
    }
    let mut sorted: Vec<usize> = (0..count).collect();
    sorted.sort_by_key(|n| rank[*n]);
    let mut layer = vec![0usize; count];
    for node in &sorted {
        for (from, to) in edges {
            if to == node && rank[*from] < rank[*to] {
                layer[*node] = layer[*node].max(layer[*from] + 1);
            }
        }
    }
    for node in &sorted {
        let source = !edges.iter().any(|(from, to)| to == node && rank[*from] < rank[*to]);
        let first = edges
            .iter()
            .filter(|(from, to)| from == node && rank[*from] < rank[*to])
            .map(|(_, to)| layer[*to])
            .min();
        if let (true, Some(first)) = (source, first) {
            layer[*node] = first - 1;
        }
    }
    layer
}

/// The slots that an arrow passes; adds lanes to the layers in between, the last one wide enough for the label.
fn route(slots: &mut Vec<Slot>, arrow: Arrow) -> Vec<usize> {
    let (start, end) = (slots[arrow.from].layer, slots[arrow.to].layer);
    let between: Vec<usize> =
        if start <= end { (start + 1..end).collect() } else { (end + 1..start).rev().collect() };
    let mut path = vec![arrow.from];
    for (index, layer) in between.iter().enumerate() {
        let label = if index + 1 == between.len() { arrow.label } else { 0.0 };
        slots.push(Slot::new(LANE + label, *layer, true));
        path.push(slots.len() - 1);
    }
    path.push(arrow.to);
    path
}

#[cfg(test)]
mod tests {
    use super::*;

    fn arrows(edges: &[(usize, usize)]) -> Vec<Arrow> {
        edges.iter().map(|(from, to)| Arrow { from: *from, to: *to, label: 30.0 }).collect()
    }

    #[test]
    fn arrows_point_down_and_boxes_do_not_touch() {
        let widths = [60.0, 120.0, 80.0, 80.0, 60.0, 40.0];
        let edges = [(0, 1), (1, 2), (1, 3), (2, 4), (3, 4), (0, 4), (5, 4)];
        let drawing = layout(&widths, &arrows(&edges));
        for (from, to) in edges {
            assert!(drawing.boxes[from].1 < drawing.boxes[to].1);
        }
        assert_eq!(drawing.boxes[5].1 + 2, drawing.boxes[4].1, "a source stands right above its consumer");
        for (i, a) in drawing.boxes.iter().enumerate() {
            assert!(a.0 - widths[i] / 2.0 >= -1e-6 && a.0 + widths[i] / 2.0 <= drawing.width + 1e-6);
            for (j, b) in drawing.boxes.iter().enumerate().skip(i + 1) {
                let apart = (a.0 - b.0).abs() - (widths[i] + widths[j]) / 2.0;
                assert!(a.1 != b.1 || apart >= GAP - 1e-6, "{i} and {j}");
            }
        }
        assert_eq!(drawing.routes[5].len(), drawing.boxes[4].1 + 1);
        let label = |route: &Vec<(f64, usize)>| route[route.len() - 2];
        for (i, a) in drawing.routes.iter().enumerate() {
            for b in &drawing.routes[i + 1..] {
                let (a, b) = (label(a), label(b));
                assert!(a.1 != b.1 || (a.0 - b.0).abs() >= 30.0 + LANE + GAP - 1e-6, "labels overlap");
            }
        }
    }

    #[test]
    fn crossings_are_removed() {
        // Two chains whose boxes are numbered crosswise.
        let drawing = layout(&[50.0; 4], &arrows(&[(0, 3), (1, 2)]));
        let side = |a: usize, b: usize| drawing.boxes[a].0 < drawing.boxes[b].0;
        assert_eq!(side(0, 1), side(3, 2));
    }

    #[test]
    fn nothing_one_and_cycles() {
        assert_eq!(layout(&[], &[]).layers, 0);
        assert_eq!(layout(&[10.0], &[]).layers, 1);
        assert_eq!(layout(&[10.0, 10.0], &arrows(&[(0, 1), (1, 0)])).layers, 3);
    }
}
