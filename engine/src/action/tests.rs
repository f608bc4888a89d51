use std::collections::BTreeMap;

use celldag_cache::Key;
use proptest::prelude::*;
use serde_json::{Value, json};

use super::*;
use crate::change::compare;
use crate::param::ParamType;
use crate::world::World;

fn action_of(with: Value) -> Action {
    let world = World::new();
    world.write("cells", "1\n");
    let pipeline = world.build().job("qc", "keep", with, &[("cells", "cells")]).done();
    let inputs = BTreeMap::from([(
        "cells".to_owned(),
        vec![
            ActionInput { label: "b".to_owned(), digest: "22".to_owned() },
            ActionInput { label: "a".to_owned(), digest: "11".to_owned() },
        ],
    )]);
    Action::new(&pipeline.jobs[0], inputs, Numerics::Tolerant, "", Value::Null)
}

fn key(action: &Action) -> Key {
    Key::of_action(action.canonical().as_bytes())
}

#[test]
fn the_canonical_text_is_pinned() {
    // A change here makes every stored result a miss: bump ACTION_SCHEMA knowingly.
    let action = action_of(json!({ "min": 2 }));
    insta::assert_snapshot!(action.canonical(), @r#"{"epoch":1,"inputs":{"cells":[{"digest":"11","label":"a"},{"digest":"22","label":"b"}]},"kind":"keep","numerics":"tolerant","outputs":{"cells":{"file":"result.txt","type":"text"}},"params":{"min":2,"share":0.2},"salt":"","schema":"celldag.action/1","seed":"bab631789c6e575b32418623fe2122f0d4127f78345656c45824b7e64280a188"}"#);
    insta::assert_snapshot!(key(&action), @"c9697270933f12f4c70b9e275ec5b1923334d07aa16dd5438407980030cffafa");
}

#[test]
fn perf_parameters_are_not_in_the_key_but_reach_the_step() {
    let world = World::new();
    let pipeline = world.build().job("qc", "keep", json!({ "batch": 64 }), &[]).done();
    assert_eq!(key(&action_of(json!({ "batch": 64 }))), key(&action_of(json!({ "batch": 1 }))));
    let params = action_of(json!({})).step_params(&pipeline.jobs[0]);
    assert_eq!(params.get("batch"), Some(&json!(64)));
    assert_eq!(params.get("share"), Some(&json!(0.2)));
}

#[test]
fn the_way_a_number_is_written_does_not_matter() {
    let float = ParamType::Float { min: 0.0, max: 1e9 };
    let int = ParamType::Int { min: 0, max: 10 };
    for (a, b, ty) in
        [(json!(10000), json!(1e4), &float), (json!(0), json!(-0.0), &float), (json!(7), json!(7.0), &int)]
    {
        assert_eq!(canonical_json(&normalise(&a, ty)), canonical_json(&normalise(&b, ty)), "{a} {b}");
    }
    let list = ParamType::List(Box::new(ParamType::Map(Box::new(float.clone()))));
    assert_eq!(normalise(&json!([{ "a": 1 }]), &list), json!([{ "a": 1.0 }]));
    assert_eq!(normalise(&json!([0.5]), &ParamType::List(Box::new(int))), json!([0.5]), "not whole: stays");
    assert_ne!(
        canonical_json(&normalise(&json!(0.1), &float)),
        canonical_json(&normalise(&json!(0.2), &float))
    );
    let writing_a_default_is_not_a_change =
        key(&action_of(json!({ "share": 0.2 }))) == key(&action_of(json!({})));
    assert!(writing_a_default_is_not_a_change);
}

#[test]
fn the_seed_follows_the_work_and_not_its_circumstances() {
    let base = action_of(json!({}));
    let world = World::new();
    let pipeline = world.build().job("d", "device", json!({}), &[]).done();
    let strict = Numerics::Strict(DeviceIdentity { backend: "gpu".into(), ..DeviceIdentity::default() });
    let on = |numerics, salt| Action::new(&pipeline.jobs[0], BTreeMap::new(), numerics, salt, Value::Null);
    let (tolerant, salted) = (on(Numerics::Tolerant, ""), on(strict.clone(), "again"));
    assert_eq!(tolerant.seed, salted.seed);
    assert_ne!(key(&tolerant), key(&salted));
    assert_ne!(base.seed, action_of(json!({ "min": 1 })).seed);
    let not_on_the_device = Action::new(
        &world.build().job("qc", "keep", json!({}), &[]).done().jobs[0],
        BTreeMap::new(),
        strict,
        "",
        Value::Null,
    );
    assert_eq!(not_on_the_device.numerics, Numerics::Tolerant);
    assert_eq!(blake3::Hash::from_bytes(base.seed_bytes()).to_hex().as_str(), base.seed);
}

#[test]
fn what_was_stored_is_read_back_the_same() {
    let action = action_of(json!({ "share": 0.1 }));
    let back: Value = serde_json::from_str(&action.canonical()).unwrap();
    assert_eq!(Action::from_value(&back), Some(action.clone()));
    let other = Action { schema: "celldag.action/0".to_owned(), ..action };
    assert_eq!(Action::from_value(&other.to_value()), None);
}

#[test]
fn an_epoch_of_a_part_is_told_and_another_part_is_told_by_its_parameter() {
    let with = |min: u64, part: &str, epoch: u32| {
        let mut action = action_of(json!({ "min": min }));
        action.parts.insert(part.to_owned(), epoch);
        action
    };
    let told = |before: &Action, after: &Action| -> Vec<String> {
        compare(before, after).iter().map(ToString::to_string).collect()
    };
    let before = with(1, "uce", 1);
    assert_ne!(key(&before), key(&with(1, "uce", 2)));
    assert_eq!(told(&before, &with(1, "uce", 2)), ["uce epoch 1 → 2"]);
    assert_eq!(told(&before, &with(2, "scgpt", 4)), ["parameter min changed 1 → 2"]);
    assert_eq!(told(&before, &action_of(json!({ "min": 1 }))), ["uce was removed"]);
    assert_eq!(Action::from_value(&before.to_value()), Some(before));
}

/// Changes one field of an action; every variant of the structure is reached.
fn mutate(action: &mut Action, field: usize, text: &str) {
    let text = format!("{text}!");
    match field {
        0 => action.schema = text,
        1 => action.kind = text,
        2 => action.epoch += 1,
        3 => drop(action.params.insert("min".to_owned(), json!(text))),
        4 => drop(action.params.insert(text, Value::Null)),
        5 => drop(action.params.remove("share")),
        6 => action.inputs.values_mut().for_each(|list| list[0].digest.clone_from(&text)),
        7 => action.inputs.values_mut().for_each(|list| list[0].label.clone_from(&text)),
        8 => action.inputs.values_mut().for_each(|list| drop(list.pop())),
        9 => drop(action.inputs.insert(text, Vec::new())),
        10 => action.outputs.values_mut().for_each(|output| output.file.clone_from(&text)),
        11 => action.outputs.values_mut().for_each(|output| output.ty.clone_from(&text)),
        12 => action.outputs.clear(),
        13 => {
            action.numerics = Numerics::Strict(DeviceIdentity { adapter: text, ..DeviceIdentity::default() });
        }
        14 => action.salt = text,
        15 => action.lineage = json!([{ "node": "qc", "facts": { "kept": text } }]),
        16 => drop(action.parts.insert(text, 1)),
        _ => action.seed = text,
    }
}

proptest! {
    #[test]
    fn every_field_is_in_the_key_and_is_told_as_a_change(field in 0_usize..18, text in ".{0,12}") {
        let before = action_of(json!({}));
        let mut after = before.clone();
        mutate(&mut after, field, &text);
        prop_assert_ne!(key(&before), key(&after));
        // An input port without artifacts and a seed of its own cannot arise: both follow from the rest.
        if field != 9 && field != 17 {
            let changes = compare(&before, &after);
            prop_assert!(!changes.is_empty());
            prop_assert!(changes.iter().all(|change| !change.to_string().is_empty()));
        }
        prop_assert!(compare(&before, &before).is_empty());
    }

    #[test]
    fn canonical_text_depends_on_the_value_only(entries in proptest::collection::vec((".{0,5}", any::<f64>()), 0..8)) {
        let forward: Map<String, Value> =
            entries.iter().map(|(name, x)| (name.clone(), json!(x))).collect();
        let mut turned: Vec<(String, Value)> = forward.clone().into_iter().collect();
        turned.reverse();
        let backward: Map<String, Value> = turned.into_iter().collect();
        let text = canonical_json(&Value::Object(forward.clone()));
        prop_assert_eq!(&text, &canonical_json(&Value::Object(backward)));
        prop_assert_eq!(serde_json::from_str::<Value>(&text).unwrap(), Value::Object(forward));
    }
}
