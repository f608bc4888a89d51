//! Embedding lookups: exact rows of tables of every element type, also of tables that no binding covers.

use celldag_shaders::{Device, Element, Error, Ids, Tensor, ops};

use crate::common::{bits, devices, noise, small_bindings, upload};

/// A table in `element` and the f32 values that it stands for.
fn table(
    device: &Device,
    element: Element,
    [rows, columns]: [usize; 2],
    values: &[f32],
) -> (Tensor, Vec<f32>) {
    if element == Element::F32 {
        return (upload(device, &[rows, columns], values), values.to_vec());
    }
    let stored = element.round(values);
    (device.upload_half(&[rows, columns], element, &stored).unwrap(), element.widen(&stored))
}

fn picked(values: &[f32], columns: usize, ids: &[u32]) -> Vec<f32> {
    ids.iter().flat_map(|&id| values[id as usize * columns..][..columns].to_vec()).collect()
}

#[test]
fn rows_come_out_exactly() {
    for device in devices() {
        for (element, sizes) in [
            (Element::F32, vec![[1, 1], [255, 3], [257, 33], [66_000, 2]]),
            (Element::F16, vec![[1, 1], [255, 3], [67, 33], [40, 8]]),
            (Element::Bf16, vec![[1, 1], [255, 3], [67, 33], [40, 8]]),
        ] {
            for size @ [rows, columns] in sizes {
                let (tensor, values) = table(&device, element, size, &noise(1, rows * columns));
                let ids: Vec<u32> = (0..rows as u32).rev().step_by(3).chain([0, 0]).collect();
                let got = ops::embed(&tensor, &Ids::new(&device, &ids).unwrap()).unwrap();
                assert_eq!((got.shape(), got.element()), (&[ids.len(), columns][..], Element::F32));
                let want = bits(&picked(&values, columns, &ids));
                assert_eq!(bits(&got.read().unwrap()), want, "{element} {size:?} {device:?}");
            }
        }
        let empty = upload(&device, &[0, 3], &[]);
        let nothing = Ids::new(&device, &[]).unwrap();
        assert!(ops::embed(&empty, &nothing).unwrap().read().unwrap().is_empty());
        let outside = ops::embed(&empty, &Ids::new(&device, &[0]).unwrap());
        assert!(matches!(outside, Err(Error::Shape { .. })));
    }
}

#[test]
fn f16_subnormals_infinities_and_not_a_number_are_kept() {
    let stored = [0x0000, 0x8000, 0x0001, 0x83ff, 0x0400, 0x7bff, 0x7c00, 0xfc00, 0x7e00, 0x3c01, 0xc000];
    let want = Element::F16.widen(&stored);
    for device in devices() {
        let tensor = device.upload_half(&[1, stored.len()], Element::F16, &stored).unwrap();
        let got = ops::embed(&tensor, &Ids::new(&device, &[0]).unwrap()).unwrap().read().unwrap();
        for (got, want) in got.iter().zip(&want) {
            assert!(got.to_bits() == want.to_bits() || got.is_nan() && want.is_nan(), "{got:e} {want:e}");
        }
    }
}

/// Table and result in several windows each, with a limit that stands for the adapter's.
#[test]
fn tables_beyond_the_binding_limit() {
    let Some(device) = small_bindings() else { return };
    let [rows, columns] = [3000, 21];
    for element in [Element::F32, Element::Bf16] {
        let (tensor, values) = table(&device, element, [rows, columns], &noise(2, rows * columns));
        let ids: Vec<u32> = (0..2000u32).map(|i| i.wrapping_mul(2_654_435_761) % rows as u32).collect();
        let got = ops::embed(&tensor, &Ids::new(&device, &ids).unwrap()).unwrap().read().unwrap();
        assert!(got == picked(&values, columns, &ids), "{element}");
    }
}
