//! Coordinates across: boxes get as near to their neighbours as their widths allow.

use super::{GAP, SWEEPS, Slot};

/// Centres across: each layer in turn is fitted to its neighbours.
pub(super) fn place(slots: &[Slot], rows: &[Vec<usize>]) -> Vec<f64> {
    let mut centre = vec![0.0; slots.len()];
    for row in rows {
        fit(row, slots, &mut centre, |_, _| (0.0, 1.0));
    }
    for sweep in 0..2 * SWEEPS {
        let down = sweep % 2 == 0;
        let layers: Vec<usize> =
            if down { (0..rows.len()).collect() } else { (0..rows.len()).rev().collect() };
        for layer in layers {
            fit(&rows[layer], slots, &mut centre, |slot, centre| {
                let (mut sum, mut weight) = (0.0, 0.0);
                for other in slots[slot].up.iter().chain(&slots[slot].down) {
                    // Long arrows should run straight, so lanes follow lanes.
                    let w = if slots[slot].lane && slots[*other].lane { 8.0 } else { 1.0 };
                    sum += w * (centre[*other] + slots[*other].anchor());
                    weight += w;
                }
                if weight == 0.0 {
                    (centre[slot], 1.0)
                } else {
                    (sum / weight - slots[slot].anchor(), weight)
                }
            });
        }
    }
    centre
}

/// Weighted least squares under minimum distances: isotonic regression by pooling adjacent violators.
fn fit(row: &[usize], slots: &[Slot], centre: &mut [f64], wanted: impl Fn(usize, &[f64]) -> (f64, f64)) {
    let mut offset = 0.0;
    let mut offsets = Vec::with_capacity(row.len());
    let mut pools: Vec<(f64, f64, usize)> = Vec::new();
    for (at, slot) in row.iter().enumerate() {
        if let Some(before) = at.checked_sub(1).and_then(|before| row.get(before)) {
            offset += (slots[*before].width + slots[*slot].width) / 2.0 + GAP;
        }
        offsets.push(offset);
        let (x, weight) = wanted(*slot, centre);
        pools.push((x - offset, weight, 1));
        while let [.., (left, v, n), (right, w, m)] = pools[..] {
            if left <= right {
                break;
            }
            pools.truncate(pools.len() - 2);
            pools.push(((left * v + right * w) / (v + w), v + w, n + m));
        }
    }
    let values = pools.iter().flat_map(|(value, _, count)| std::iter::repeat_n(*value, *count));
    for ((slot, offset), value) in row.iter().zip(offsets).zip(values) {
        centre[*slot] = value + offset;
    }
}
