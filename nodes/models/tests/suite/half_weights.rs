//! Packed and turned projections keep the 16 bits of a checkpoint, and give the numbers of the same weights in 32.

use crate::common::assert_close;
use crate::common::saved::{save, save_bf16, tensors};
use crate::common::specimen::{Specimen, embedding};
use celldag_models::Adapters;
use celldag_shaders::Device;

#[test]
fn weights_of_16_bits_stay_small_and_give_the_same_numbers() {
    for specimen in Specimen::all() {
        let name = specimen.model.name();
        if !["scgpt", "tgpt"].contains(&name) {
            continue;
        }
        let specimen = specimen.copied();
        let published = specimen.file(|name| name == "best_model.pt" || name == "pytorch_model.bin").unwrap();
        let mut weights = tensors(&published);
        fs_err::remove_file(&published).unwrap();
        for value in weights.values_mut().flat_map(|(_, values)| values) {
            *value = f32::from_bits(value.to_bits() & 0xffff_0000);
        }
        let file = specimen.folder.join("model.safetensors");
        save(&file, &weights);
        let tokens = specimen.tokens(specimen.tokenizer().unwrap().as_ref());
        let run = || {
            let device = Device::cpu(2).unwrap();
            let encoder = specimen.encoder(&device, &Adapters::default()).unwrap();
            let resident = device.memory().live;
            (embedding(encoder.as_ref(), &tokens).unwrap(), resident)
        };
        let (wide, bytes) = run();
        save_bf16(&file, &weights);
        let (half, fewer) = run();
        assert_close(&half, &wide, 1e-5, name);
        assert!(fewer * 10 < bytes * 6, "{name}: {fewer} bytes instead of {bytes}");
    }
}
