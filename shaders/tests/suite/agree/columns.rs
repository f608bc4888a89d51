//! Matrices side by side, and parts of them.

use celldag_shaders::{Tape, ops};

use crate::common::{bits, devices, noise, upload};

#[test]
fn columns_side_by_side_and_parts() {
    for device in devices() {
        for (rows, widths) in [(1, [1, 1, 1]), (7, [3, 0, 5]), (300, [64, 1, 131]), (0, [2, 3, 4])] {
            let parts: [Vec<f32>; 3] = std::array::from_fn(|i| noise(30 + i as u64, rows * widths[i]));
            let width: usize = widths.iter().sum();
            let mut want = Vec::new();
            for row in 0..rows {
                for (part, width) in parts.iter().zip(widths) {
                    want.extend_from_slice(&part[row * width..(row + 1) * width]);
                }
            }
            let tape = Tape::new();
            let tensors: [_; 3] =
                std::array::from_fn(|i| tape.watch(&upload(&device, &[rows, widths[i]], &parts[i])));
            let out = ops::concat_columns(tensors.each_ref()).unwrap();
            assert_eq!(out.shape(), [rows, width]);
            assert_eq!(bits(&out.read().unwrap()), bits(&want), "{device:?}");
            // The parts come out again, and their gradients are the parts of the gradient.
            let mut start = 0;
            for (part, width) in parts.iter().zip(widths) {
                let slice = ops::slice_columns(&out.detach(), start..start + width).unwrap();
                assert_eq!(bits(&slice.read().unwrap()), bits(part));
                start += width;
            }
            let gradients = tape.gradients(&out, &out.detach()).unwrap();
            for (tensor, part) in tensors.iter().zip(&parts) {
                assert_eq!(bits(&gradients.of(tensor).unwrap().read().unwrap()), bits(part));
            }
            assert!(ops::slice_columns(&out, 1..width + 1).is_err());
        }
        let (a, b) = (upload(&device, &[2, 1], &[0.0; 2]), upload(&device, &[1, 2], &[0.0; 2]));
        assert!(ops::concat_columns([&a, &b]).is_err());
    }
}
