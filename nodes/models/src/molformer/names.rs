//! Tensor names of the two publications of MoLFormer, as those of the hub without the prefix `molformer.`.

use celldag_data::checkpoint::unwrapped;

/// What the original training code calls parts of a layer, and what the hub does.
const LAYER: [(&str, &str); 8] = [
    ("attention.query_projection.", "attention.self.query."),
    ("attention.key_projection.", "attention.self.key."),
    ("attention.value_projection.", "attention.self.value."),
    ("attention.out_projection.", "attention.output.dense."),
    ("norm1.", "attention.output.LayerNorm."),
    ("linear1.", "intermediate.dense."),
    ("linear2.", "output.dense."),
    ("norm2.", "output.LayerNorm."),
];
const FEATURES: (&str, &str) =
    ("attention.inner_attention.feature_map.omega", "attention.self.feature_map.weight");

/// The name of a tensor or a layer in either naming; others stay as they are.
pub(super) fn plain(name: &str) -> String {
    let name = unwrapped(name);
    let name = name.strip_prefix("molformer.").unwrap_or(&name);
    if let Some(rest) = name.strip_prefix("tok_emb.") {
        return format!("embeddings.word_embeddings.{rest}");
    }
    if let Some(rest) = name.strip_prefix("blocks.norm.") {
        return format!("LayerNorm.{rest}");
    }
    let in_layer = name.strip_prefix("blocks.layers.").and_then(|rest| rest.split_once('.'));
    let Some((layer, part)) = in_layer else { return name.to_owned() };
    // Adapters name layers, which have no step below: the dot at the end is taken away again.
    let dotted = format!("{part}.");
    let renamed = LAYER.iter().find_map(|(from, to)| Some(format!("{to}{}", dotted.strip_prefix(from)?)));
    let part = match renamed {
        _ if part == FEATURES.0 => FEATURES.1.to_owned(),
        Some(renamed) => renamed.trim_end_matches('.').to_owned(),
        None => part.to_owned(),
    };
    format!("encoder.layer.{layer}.{part}")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn both_namings_are_one() {
        for (original, hub) in [
            ("tok_emb.weight", "embeddings.word_embeddings.weight"),
            ("blocks.norm.bias", "LayerNorm.bias"),
            (
                "blocks.layers.11.attention.query_projection.weight",
                "encoder.layer.11.attention.self.query.weight",
            ),
            ("blocks.layers.0.attention.query_projection", "encoder.layer.0.attention.self.query"),
            ("blocks.layers.0.norm2.weight", "encoder.layer.0.output.LayerNorm.weight"),
            (
                "blocks.layers.0.attention.inner_attention.feature_map.omega",
                "encoder.layer.0.attention.self.feature_map.weight",
            ),
        ] {
            assert_eq!(plain(original), hub);
            assert_eq!(plain(&format!("molformer.{hub}")), hub);
            assert_eq!(plain(&format!("base_model.model.molformer.{hub}")), hub);
        }
        assert_eq!(plain("lang_model.head.weight"), "lang_model.head.weight");
        assert!(
            plain("blocks.layers.0.attention.rotaryemb.inv_freq").ends_with(".attention.rotaryemb.inv_freq")
        );
    }
}
