//! Files of `torch.save`, new and old.

use celldag_data::checkpoint::{BARE_TENSOR, CheckpointError, Dtype, Stored, Weights};
use serde_json::json;

use crate::checkpoints::files::{assert_expected, open, own, refused};

#[test]
fn nested_objects_of_every_protocol() {
    for file in
        ["nested", "nested_4", "nested_legacy_2", "nested_legacy_3", "nested_legacy_4", "nested_legacy_5"]
    {
        let weights = open(&own(&format!("{file}.pt")));
        assert_expected(&weights, "nested", &[]);
        assert_eq!(weights.names_in_order().next(), Some("model.state_dict.embed.weight"), "{file}");
        let config = weights.data(&["config"]).unwrap();
        let wanted = json!({
            "width": 4, "rate": 0.5, "name": "small", "sizes": [1, 2], "tags": ["a"], "frozen": ["b"], "path": "a/b",
            "device": "cpu", "dtype": "bfloat16", "shape": [2, 3], "infinite": "inf", "none": null,
            "deep": {"yes": true}, "counts": {"a": 2, "b": 1}, "huge": 1_099_511_627_776_u64,
        });
        assert_eq!(config, wanted, "{file}");
        let rest = weights.data(&[]).unwrap();
        assert_eq!(rest["defaults"], json!({"x": 1}));
        assert_eq!(rest["numpy"], json!({"mean": 1.5, "array": [0.0, 1.0, 2.0, 3.0, 4.0, 5.0]}));
        assert_eq!(rest["history"], json!([{"loss": 0.25}]));
        assert_eq!(rest.get("model"), None, "tensors are no data");
        assert!(weights.data(&["config", "depth"]).unwrap_err().to_string().contains("config.depth"));
    }
}

#[test]
fn views_share_storages_in_every_way() {
    assert_expected(&open(&own("views.pt")), "views", &[]);
    assert_expected(&open(&own("views_legacy.pt")), "views", &[]);
    let weights = open(&own("views.pt"));
    assert_eq!(weights.rows("transposed", 3..5).unwrap(), [3., 15., 27., 39., 51., 4., 16., 28., 40., 52.]);
    assert_eq!(weights.rows("scalar", 0..1).unwrap(), [2.5]);
    assert_eq!(weights.rows("empty", 0..0).unwrap(), [0.0; 0]);
}

#[test]
fn every_element_type() {
    assert_expected(&open(&own("types.pt")), "types", &[]);
    assert_expected(&open(&own("types_legacy.pt")), "types", &["uint16", "uint32", "uint64"]);
    let weights = open(&own("types.pt"));
    assert_eq!(weights.take_stored("bfloat16", &[2, 2]).unwrap().dtype(), Dtype::Bf16);
    assert_eq!(
        weights.take_stored("float16", &[2, 2]).unwrap(),
        Stored::F16(vec![0, 0x3c00, 0xc100, 0x1419])
    );
    assert!(matches!(weights.take("int16", &[3]), Err(CheckpointError::WrongType { .. })));
    assert!(matches!(weights.take_integers("float64", &[2, 2]), Err(CheckpointError::WrongType { .. })));
}

#[test]
fn what_cannot_be_read_is_listed() {
    let weights = open(&own("listed.pt"));
    assert_eq!(weights.dtype("complex"), Some(Dtype::Other("c64")));
    assert_eq!(weights.dtype("eight"), Some(Dtype::Other("f8_e4m3")));
    assert_eq!(weights.take("fine", &[1]).unwrap(), [1.0]);
    let error = weights.take("complex", &[2]).unwrap_err().to_string();
    assert!(error.contains("`complex` holds c64"), "{error}");
    assert!(weights.rows("eight", 0..1).is_err());
}

#[test]
fn a_file_may_be_one_tensor_or_a_list() {
    assert_expected(&open(&own("bare.pt")), "bare", &[]);
    assert_expected(&open(&own("list.pt")), "list", &[]);
    assert_eq!(open(&own("bare.pt")).rows(BARE_TENSOR, 1..2).unwrap(), [3.0, 4.0, 5.0]);
}

#[test]
fn python_objects_are_refused_by_name() {
    let error = refused(&own("refused_module.pt"));
    assert!(error.contains("`torch.nn.modules.linear.Linear`") && error.contains("was not run"), "{error}");
    let error = refused(&own("refused_global.pt"));
    assert!(error.contains("`decimal.Decimal`") && error.contains("refused_global.pt"), "{error}");
}

#[test]
fn parts_and_other_names() {
    let weights = open(&own("nested.pt"));
    let parts: Vec<&str> = weights.parts().into_iter().collect();
    assert_eq!(parts, ["7", "history", "model", "parameter"]);
    let model = weights.below("model.state_dict.").unwrap();
    assert_eq!(model.names().collect::<Vec<_>>(), ["embed.weight", "layers.0.position_ids", "norm.bias"]);
    let error = model.below("encoder.").unwrap_err().to_string();
    assert!(error.contains("`encoder.`") && error.contains("`embed`, `layers`, `norm`"), "{error}");
    let model = open(&own("nested.pt")).below("model.state_dict.").unwrap();
    let renamed = model.rename(|name| (name != "norm.bias").then(|| format!("bert.{name}"))).unwrap();
    assert_eq!(renamed.names().collect::<Vec<_>>(), ["bert.embed.weight", "bert.layers.0.position_ids"]);
    let clash = renamed.rename(|_| Some("same".to_owned()));
    assert!(matches!(clash, Err(CheckpointError::Duplicate { .. })));
}

#[test]
fn all_differences_are_listed_together() {
    let weights = open(&own("nested.pt")).below("model.state_dict.").unwrap();
    let load = |allowed: &[&str], build: &dyn Fn(&Weights) -> Result<(), CheckpointError>| {
        weights.load(allowed, |weights| build(weights))
    };
    let all = |weights: &Weights| {
        weights.take("embed.weights", &[3, 4])?;
        weights.take_stored("norm.bias", &[5])?;
        weights.take("layers.0.position_ids", &[5]).map(drop)
    };
    let Err(CheckpointError::Mismatch(found)) = load(&[], &all) else { panic!("it fits") };
    assert_eq!(found.missing, [("embed.weights".to_owned(), Some("embed.weight".to_owned()))]);
    assert_eq!(found.misshapen, [("norm.bias".to_owned(), vec![5], vec![4])]);
    assert_eq!(found.mistyped, [("layers.0.position_ids".to_owned(), "i64".to_owned())]);
    assert_eq!(found.unused, ["embed.weight"]);
    let text = found.to_string();
    assert!(text.contains("1 missing: `embed.weights` (there is `embed.weight`)"), "{text}");
    assert!(text.contains("`norm.bias` is [4] instead of [5]") && text.contains("allow_unused"), "{text}");
    // An account is of one attempt: a second model starts anew only with `below` or a new file.
    let weights = open(&own("nested.pt")).below("model.state_dict.").unwrap();
    let error = weights.load(&[], |w| w.take_any("nothing").map(drop)).unwrap_err();
    assert!(matches!(error, CheckpointError::MissingTensor { .. }), "errors of the closure come through");
    let one = |w: &Weights| w.take("embed.weight", &[3, 4]).map(drop);
    for allowed in [["layers.*", "norm.bias"], ["layers.", "norm."], ["*ids", "n*.bi*s"]] {
        weights.load(&allowed, one).unwrap();
    }
    weights.load(&["norm.*"], one).unwrap_err();
    weights.skip("norm.bias");
    weights.load(&["layers."], one).unwrap();
    // Nothing stands in for a tensor that no machine could hold.
    let huge = weights.load(&["*"], |w| w.take("x", &[1 << 20, 1 << 20]).map(drop)).unwrap_err();
    assert!(matches!(huge, CheckpointError::Mismatch(_)), "{huge}");
}

#[test]
fn wrappers_of_training_code_are_taken_away() {
    let plain = open(&own("nested.pt")).state_dict().unwrap();
    assert_eq!(plain.names().collect::<Vec<_>>(), ["embed.weight", "layers.0.position_ids", "norm.bias"]);
    let names =
        |weights: Weights| weights.state_dict().unwrap().names().map(str::to_owned).collect::<Vec<_>>();
    let wrapped = |prefix: &'static str| {
        let state = open(&own("nested.pt")).state_dict().unwrap();
        state.rename(|name| Some(format!("{prefix}{name}"))).unwrap()
    };
    let wanted: Vec<String> = plain.names().map(str::to_owned).collect();
    for prefix in ["module.", "state_dict.module._orig_mod.", "base_model.model.", "model_state_dict."] {
        assert_eq!(names(wrapped(prefix)), wanted, "{prefix}");
    }
    assert_eq!(names(wrapped("model."))[0], "model.embed.weight", "the name of a part, not of a wrapper");
    let mixed = plain.rename(|name| Some(name.replace("norm.", "module."))).unwrap();
    assert!(names(mixed).contains(&"bias".to_owned()), "also where only some names are wrapped");
}
