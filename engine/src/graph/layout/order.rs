//! The order of boxes within layers: sweeps of barycentres, then swaps of neighbours, for the fewest crossings.

use super::{SWEEPS, Slot};

/// Sorts each layer by the mean position of its neighbours, downwards and upwards in turn, and keeps the best.
pub(super) fn order(slots: &[Slot], rows: &mut Vec<Vec<usize>>) {
    let mut best = (crossings(slots, rows), rows.clone());
    for sweep in 0..SWEEPS {
        let mut position = positions(slots.len(), rows);
        let down = sweep % 2 == 0;
        let layers: Vec<usize> =
            if down { (0..rows.len()).collect() } else { (0..rows.len()).rev().collect() };
        for layer in layers {
            let mean = |slot: usize| {
                let neighbours = if down { &slots[slot].up } else { &slots[slot].down };
                let sum: usize = neighbours.iter().map(|n| position[*n]).sum();
                if neighbours.is_empty() {
                    position[slot] as f64
                } else {
                    sum as f64 / neighbours.len() as f64
                }
            };
            let mut keyed: Vec<(f64, usize)> = rows[layer].iter().map(|slot| (mean(*slot), *slot)).collect();
            keyed.sort_by(|a, b| a.0.total_cmp(&b.0));
            rows[layer] = keyed.into_iter().map(|(_, slot)| slot).collect();
            for (at, slot) in rows[layer].iter().enumerate() {
                position[*slot] = at;
            }
        }
        swap_neighbours(slots, rows);
        let found = crossings(slots, rows);
        if found < best.0 {
            best = (found, rows.clone());
        }
    }
    *rows = best.1;
}

/// Swaps boxes that stand side by side while that removes crossings.
fn swap_neighbours(slots: &[Slot], rows: &mut [Vec<usize>]) {
    let mut position = positions(slots.len(), rows);
    let mut better = true;
    while better {
        better = false;
        for row in rows.iter_mut() {
            for at in 1..row.len() {
                let (left, right) = (row[at - 1], row[at]);
                if crossed(slots, &position, left, right) > crossed(slots, &position, right, left) {
                    row.swap(at - 1, at);
                    position.swap(left, right);
                    better = true;
                }
            }
        }
    }
}

/// Crossings between the arrows of two slots when `left` stands before `right`.
fn crossed(slots: &[Slot], position: &[usize], left: usize, right: usize) -> usize {
    let between = |a: &[usize], b: &[usize]| -> usize {
        a.iter().map(|x| b.iter().filter(|y| position[*x] > position[**y]).count()).sum()
    };
    between(&slots[left].up, &slots[right].up) + between(&slots[left].down, &slots[right].down)
}

fn positions(count: usize, rows: &[Vec<usize>]) -> Vec<usize> {
    let mut position = vec![0; count];
    for row in rows {
        for (at, slot) in row.iter().enumerate() {
            position[*slot] = at;
        }
    }
    position
}

fn crossings(slots: &[Slot], rows: &[Vec<usize>]) -> usize {
    let position = positions(slots.len(), rows);
    let mut count = 0;
    for row in rows {
        let ends: Vec<(usize, usize)> = row
            .iter()
            .flat_map(|slot| slots[*slot].down.iter().map(|n| (position[*slot], position[*n])))
            .collect();
        for (index, a) in ends.iter().enumerate() {
            count += ends[index + 1..]
                .iter()
                .filter(|b| (a.0 < b.0 && a.1 > b.1) || (a.0 > b.0 && a.1 < b.1))
                .count();
        }
    }
    count
}
