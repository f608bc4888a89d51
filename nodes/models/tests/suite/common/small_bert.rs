//! A BERT of one layer with weights of no meaning, in the files of a published text encoder.

use std::path::Path;

use serde_json::json;

use super::saved::{Tensors, save};

pub(crate) const HIDDEN: usize = 8;
pub(crate) const VOCABULARY: &str = "[PAD]\n[UNK]\n[CLS]\n[SEP]\ncd\n##74\nhla\n-\ndra\nlyz\n";

/// Writes it into a folder; names of tensors begin with `prefix`. With `modules`, as sentence-transformers saves it.
pub(crate) fn small(folder: &Path, prefix: &str, modules: bool) {
    let config = json!({"model_type": "bert", "vocab_size": 10, "hidden_size": HIDDEN, "num_hidden_layers": 1,
        "num_attention_heads": 2, "intermediate_size": 12, "max_position_embeddings": 16, "hidden_act": "gelu"});
    let put = |name: &str, text: &str| fs_err::write(folder.join(name), text).unwrap();
    put("config.json", &config.to_string());
    put("vocab.txt", VOCABULARY);
    put("sentence_bert_config.json", r#"{"max_seq_length": 7}"#);
    if modules {
        put(
            "modules.json",
            r#"[{"path": "", "type": "sentence_transformers.models.Transformer"},
                {"path": "1_Pooling", "type": "sentence_transformers.models.Pooling"},
                {"path": "2_Normalize", "type": "sentence_transformers.models.Normalize"}]"#,
        );
        fs_err::create_dir_all(folder.join("1_Pooling")).unwrap();
        put(
            "1_Pooling/config.json",
            r#"{"pooling_mode_cls_token": true, "pooling_mode_mean_tokens": false}"#,
        );
    }
    save(&folder.join("model.safetensors"), &weights(prefix));
}

fn weights(prefix: &str) -> Tensors {
    let mut all = Tensors::new();
    let mut add = |name: &str, shape: &[usize]| {
        let count = shape.iter().product();
        let values = (0..count).map(|i| ((i * 37 + name.len() * 11) % 101) as f32 / 100.0 - 0.5).collect();
        all.insert(format!("{prefix}{name}"), (shape.to_vec(), values));
    };
    for (table, rows) in [("word", 10), ("position", 16), ("token_type", 2)] {
        add(&format!("embeddings.{table}_embeddings.weight"), &[rows, HIDDEN]);
    }
    add("pooler.dense.weight", &[HIDDEN, HIDDEN]);
    for (layer, outputs, inputs) in [
        ("attention.self.query", HIDDEN, HIDDEN),
        ("attention.self.key", HIDDEN, HIDDEN),
        ("attention.self.value", HIDDEN, HIDDEN),
        ("attention.output.dense", HIDDEN, HIDDEN),
        ("intermediate.dense", 12, HIDDEN),
        ("output.dense", HIDDEN, 12),
    ] {
        add(&format!("encoder.layer.0.{layer}.weight"), &[outputs, inputs]);
        add(&format!("encoder.layer.0.{layer}.bias"), &[outputs]);
    }
    for norm in ["embeddings", "encoder.layer.0.attention.output", "encoder.layer.0.output"] {
        add(&format!("{norm}.LayerNorm.weight"), &[HIDDEN]);
        add(&format!("{norm}.LayerNorm.bias"), &[HIDDEN]);
    }
    all
}
