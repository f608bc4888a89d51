//! Ranges cover everything once; parts of something else are refused with the reason.

use std::path::{Path, PathBuf};

use proptest::prelude::*;
use serde_json::json;

use super::*;
use crate::action::{Action, Numerics};
use crate::change::compare;
use crate::testing::registry;

proptest! {
    #[test]
    fn every_cell_is_in_one_shard_and_in_order(cells in 0_usize..100_000, of in 1_u32..=300) {
        let ranges: Vec<Range<usize>> = (0..of).map(|i| Shard::new(i, of).unwrap().range(cells)).collect();
        let mut next = 0;
        for range in &ranges {
            prop_assert_eq!(range.start, next);
            prop_assert!((cells / of as usize..=cells.div_ceil(of as usize)).contains(&range.len()));
            next = range.end;
        }
        prop_assert_eq!(next, cells);
    }
}

#[test]
fn shards_are_written_as_fractions() {
    for good in ["0/1", "3/32", "9999/10000"] {
        assert_eq!(good.parse::<Shard>().unwrap().to_string(), good);
    }
    for bad in ["", "3", "3/3", "0/0", "-1/3", "1/10001", "a/b", "1/2/3"] {
        assert!(bad.parse::<Shard>().unwrap_err().contains("I/N"), "{bad}");
    }
}

/// The action of `shout` on a content.
fn action(content: &str) -> Action {
    let registry = registry();
    let root = tempfile::tempdir().unwrap();
    let path = root.path().join("text.txt");
    fs_err::write(&path, content).unwrap();
    let kind = registry.get("shout").unwrap().clone();
    let inputs = [("text".to_owned(), String::new(), path)];
    let pipeline = crate::Pipeline::single(kind, &[], &inputs).unwrap();
    let digest = blake3::hash(content.as_bytes()).to_hex().to_string();
    let input = crate::action::ActionInput { label: String::new(), digest };
    let inputs = [("text".to_owned(), vec![input])].into();
    Action::new(&pipeline.jobs[0], inputs, Numerics::Tolerant, "", Value::Null)
}

fn part(folder: &Path, content: &str, shard: &str) -> PathBuf {
    let shard: Shard = shard.parse().unwrap();
    let name = format!("{content}.{}.{}", shard.index(), shard.of());
    let (path, payload) = (folder.join(name), folder.join("payload"));
    fs_err::write(&payload, format!("payload of {shard}")).unwrap();
    write(&path, (&action(content).to_value(), shard), json!({"cells": 7}), &payload).unwrap();
    path
}

#[test]
fn parts_come_back_in_order_whatever_order_they_are_given_in() {
    let folder = tempfile::tempdir().unwrap();
    let paths: Vec<PathBuf> = ["2/3", "0/3", "1/3"].map(|shard| part(folder.path(), "a", shard)).into();
    let parts = open_all(&paths, &action("a")).unwrap();
    let to = folder.path().join("unpacked");
    for (i, part) in parts.iter().enumerate() {
        assert_eq!(part.shard().to_string(), format!("{i}/3"));
        assert_eq!(part.state::<Value>().unwrap(), json!({"cells": 7}));
        part.unpack(&to).unwrap();
        assert_eq!(fs_err::read_to_string(&to).unwrap(), format!("payload of {i}/3"));
    }
}

#[test]
fn parts_that_do_not_belong_together_are_refused() {
    let folder = tempfile::tempdir().unwrap();
    let of = |content: &str, shard: &str| part(folder.path(), content, shard);
    let refused = |paths: &[PathBuf]| {
        let error = open_all(paths, &action("a")).unwrap_err();
        // Right parts may be given the next time.
        assert_eq!((error.cause, error.outlook), (crate::FailureCause::Data, crate::Outlook::Unknown));
        error.message.replace(&format!("{}/", folder.path().display()), "")
    };
    assert_eq!(refused(&[of("a", "1/3")]), "of 3 parts 2 are missing: those of shard 0, 2");
    assert_eq!(refused(&[of("a", "0/2")]), "of 2 parts 1 is missing: that of shard 1");
    assert_eq!(refused(&[of("a", "0/2"), of("a", "0/2")]), "a.0.2 is given twice");
    let copy = folder.path().join("copy");
    fs_err::copy(of("a", "0/2"), &copy).unwrap();
    let twins = refused(&[of("a", "0/2"), copy]);
    assert!(twins == "copy is shard 0/2, and so is a.0.2" || twins == "a.0.2 is shard 0/2, and so is copy");
    assert_eq!(refused(&[of("a", "0/2"), of("a", "1/3")]), "a.1.3 is shard 1/3, but a.0.2 is shard 0/2");
    let other = refused(&[of("a", "0/2"), of("b", "1/2")]);
    assert!(
        other.starts_with("b.1.2 is a part of another step. From that to this one: input text"),
        "{other}"
    );
    fs_err::write(folder.path().join("x"), "celldag").unwrap();
    assert_eq!(
        refused(&[folder.path().join("x")]),
        "x is no part that `celldag step --shard` of this version wrote"
    );
}

#[test]
fn damage_is_found_wherever_it_is() {
    let folder = tempfile::tempdir().unwrap();
    let path = part(folder.path(), "a", "0/1");
    let whole = fs_err::read(&path).unwrap();
    let reads = || {
        let parts = open_all(std::slice::from_ref(&path), &action("a"))?;
        parts[0].unpack(&folder.path().join("unpacked"))
    };
    reads().unwrap();
    for at in 0..whole.len() {
        let mut bytes = whole.clone();
        bytes[at] ^= 1;
        fs_err::write(&path, &bytes).unwrap();
        assert!(reads().is_err(), "byte {at}");
        fs_err::write(&path, &whole[..at]).unwrap();
        assert!(reads().is_err(), "cut at {at}");
    }
}

#[test]
fn a_shard_has_a_key_of_its_own_and_names_the_whole() {
    let registry = registry();
    let whole = action("a");
    let kind = registry.get("shout").unwrap();
    let text = whole.canonical();
    assert!(!text.contains("shard"), "keys of whole steps stay what they are: {text}");
    let of = |shard: &str| whole.clone().of_shard(shard.parse().unwrap());
    assert_eq!(of("0/2").seed, whole.seed);
    let keys = [whole.canonical(), of("0/2").canonical(), of("1/2").canonical(), of("0/3").canonical()];
    assert!((0..4).all(|a| (0..a).all(|b| keys[a] != keys[b])));
    assert_eq!(of("1/2").whole(&kind.spec), whole);
    assert!(!compare(&of("0/2"), &of("1/2")).is_empty());
}
