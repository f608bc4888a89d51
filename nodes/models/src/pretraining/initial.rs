//! The tensors of a `BertForMaskedLM` before training, under their published names.

use rand::SeedableRng;
use rand_chacha::ChaCha8Rng;
use rand_distr::{Distribution, Normal};

use super::shape::INITIALIZER_RANGE;
use crate::adapter::Tensors;
use crate::blocks::{BertShape, BertSizes};
use crate::error::ModelError;

/// All tensors but the tied ones, as transformers starts them: weights and tables normal with standard deviation 0.02, the
/// row of `<pad>` zero, biases zero, normalisations one. The numbers of a tensor depend on `seed` and its name only.
///
/// # Errors
/// Never for the fixed deviation; what the distribution reports.
pub fn initial_tensors(sizes: &BertSizes, seed: &[u8; 32]) -> Result<Tensors, ModelError> {
    let normal = Normal::new(0.0, INITIALIZER_RANGE)
        .map_err(|error| ModelError::Option(format!("initial weights: {error}")))?;
    let made = shapes(sizes).into_iter().map(|(name, shape)| {
        let count = shape.iter().product();
        let mut values: Vec<f32> = if name.ends_with("LayerNorm.weight") {
            vec![1.0; count]
        } else if name.ends_with("bias") {
            vec![0.0; count]
        } else {
            let mut key = blake3::Hasher::new_derive_key("celldag pretrain initial values 1");
            key.update(seed);
            key.update(name.as_bytes());
            let mut rng = ChaCha8Rng::from_seed(*key.finalize().as_bytes());
            (0..count).map(|_| normal.sample(&mut rng) as f32).collect()
        };
        if name == WORDS {
            values[..sizes.layer.hidden].fill(0.0);
        }
        (name, (shape, values))
    });
    Ok(made.collect())
}

/// The table of tokens, which is also the last layer of the head.
pub(super) const WORDS: &str = "bert.embeddings.word_embeddings.weight";

/// Names and shapes in the order of transformers' state dict.
fn shapes(sizes: &BertSizes) -> Vec<(String, Vec<usize>)> {
    let &BertSizes { vocabulary, context, types, layers, layer: BertShape { hidden, intermediate, .. } } =
        sizes;
    let mut out = vec![
        (WORDS.to_owned(), vec![vocabulary, hidden]),
        ("bert.embeddings.position_embeddings.weight".to_owned(), vec![context, hidden]),
        ("bert.embeddings.token_type_embeddings.weight".to_owned(), vec![types, hidden]),
    ];
    let linear = |out: &mut Vec<_>, name: &str, outputs: usize, inputs: usize| {
        out.push((format!("{name}.weight"), vec![outputs, inputs]));
        out.push((format!("{name}.bias"), vec![outputs]));
    };
    let norm = |out: &mut Vec<_>, name: &str| {
        out.push((format!("{name}.LayerNorm.weight"), vec![hidden]));
        out.push((format!("{name}.LayerNorm.bias"), vec![hidden]));
    };
    norm(&mut out, "bert.embeddings");
    for layer in 0..layers {
        let at = |name: &str| format!("bert.encoder.layer.{layer}.{name}");
        for name in ["query", "key", "value"] {
            linear(&mut out, &at(&format!("attention.self.{name}")), hidden, hidden);
        }
        linear(&mut out, &at("attention.output.dense"), hidden, hidden);
        norm(&mut out, &at("attention.output"));
        linear(&mut out, &at("intermediate.dense"), intermediate, hidden);
        linear(&mut out, &at("output.dense"), hidden, intermediate);
        norm(&mut out, &at("output"));
    }
    out.push(("cls.predictions.bias".to_owned(), vec![vocabulary]));
    linear(&mut out, "cls.predictions.transform.dense", hidden, hidden);
    norm(&mut out, "cls.predictions.transform");
    out
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::pretraining::ModelShape;

    #[test]
    fn they_are_drawn_as_transformers_draws_them() {
        let shape = ModelShape {
            layers: 2,
            hidden: 16,
            heads: 2,
            feedforward: 24,
            context: 9,
            activation: "relu".to_owned(),
        };
        let sizes = shape.config(400).unwrap().sizes().unwrap();
        let all = initial_tensors(&sizes, &[1; 32]).unwrap();
        assert_eq!(all.len(), 5 + 2 * 16 + 5);
        let of = |name: &str| all[name].1.clone();
        let words = of(WORDS);
        assert!(words[..16].iter().all(|&value| value == 0.0) && words[16] != 0.0);
        let drawn = &words[16..];
        let mean = drawn.iter().sum::<f32>() / drawn.len() as f32;
        let spread = (drawn.iter().map(|v| v * v).sum::<f32>() / drawn.len() as f32).sqrt();
        // 6,384 values: four standard errors are 0.001 and 0.0007.
        assert!(mean.abs() < 0.001 && (spread - 0.02).abs() < 0.0007, "{mean} {spread}");
        assert_ne!(
            of("bert.encoder.layer.0.attention.self.query.weight"),
            of("bert.encoder.layer.1.attention.self.query.weight")
        );
        assert!(of("bert.encoder.layer.1.output.LayerNorm.weight").iter().all(|&v| v == 1.0));
        assert!(of("cls.predictions.bias").iter().all(|&v| v == 0.0));
        assert_eq!(all, initial_tensors(&sizes, &[1; 32]).unwrap());
        assert_ne!(all, initial_tensors(&sizes, &[2; 32]).unwrap());
    }
}
