//! Operators on channels. What Nextflow leaves open, the order in which things arrive, is turned around here, so that no
//! test passes by luck.

use std::rc::Rc;

use super::eval::{Evaluator, Value, same};

pub(super) fn of(items: Vec<Value>) -> Value {
    Value::Channel(Rc::new(items))
}

pub(super) fn operator(
    evaluator: &mut Evaluator<'_>,
    items: &[Value],
    name: &str,
    args: &[Value],
    named: &[(String, Value)],
) -> Value {
    let option = |wanted: &str| named.iter().find(|(name, _)| name == wanted).map(|(_, value)| value.clone());
    let out = match name {
        "splitJson" => return evaluator.host.call(name, items.to_vec(), Vec::new()),
        "map" => items.iter().map(|item| evaluator.apply(&args[0], item)).collect(),
        "flatMap" => items.iter().flat_map(|item| evaluator.apply(&args[0], item).list().to_vec()).collect(),
        "filter" => items.iter().filter(|item| evaluator.apply(&args[0], item).truth()).cloned().collect(),
        "mix" => {
            let others = args.iter().flat_map(Value::channel);
            let mut all: Vec<Value> = items.iter().chain(others).cloned().collect();
            all.reverse();
            all
        }
        "combine" => {
            let by = option("by").is_some();
            let pairs =
                items.iter().flat_map(|left| args[0].channel().iter().map(move |right| (left, right)));
            let pairs = pairs.filter(|(left, right)| !by || same(&left.list()[0], &right.list()[0]));
            pairs.map(|(left, right)| joined(left, right, usize::from(by))).rev().collect()
        }
        "join" => {
            assert!(
                option("failOnMismatch").is_some() && option("failOnDuplicate").is_some(),
                "a join that loses things"
            );
            let right = args[0].channel();
            assert_eq!(items.len(), right.len(), "join: {items:?} and {right:?}");
            let partner = |left: &Value| {
                let fits: Vec<&Value> =
                    right.iter().filter(|right| same(&left.list()[0], &right.list()[0])).collect();
                assert_eq!(fits.len(), 1, "join: {left:?}");
                joined(left, fits[0], 1)
            };
            items.iter().map(partner).collect()
        }
        "groupTuple" => {
            let groups = grouped(items);
            if let Some(Value::Int(size)) = option("size") {
                let complete =
                    |group: &Value| group.list()[1].list().len() == usize::try_from(size).expect("small");
                // Nextflow would wait for the others, and let the group go without a word at the end.
                assert!(groups.iter().all(complete), "groups of {size}: {groups:?}");
            }
            for group in &groups {
                if let Value::GroupKey(key) = &group.list()[0] {
                    let there = i64::try_from(group.list()[1].list().len()).expect("small");
                    assert_eq!(there, key.1, "the size of a group: {group:?}");
                }
            }
            groups
        }
        "collect" => vec![Value::List(items.iter().rev().cloned().collect())],
        other => panic!("outside of the subset: {other}"),
    };
    of(out)
}

/// The items of two tuples behind each other, the first `skip` of the second left out. What is no tuple counts as one.
fn joined(left: &Value, right: &Value, skip: usize) -> Value {
    let items = |value: &Value| match value {
        Value::List(items) => items.clone(),
        other => vec![other.clone()],
    };
    Value::List(items(left).into_iter().chain(items(right).into_iter().skip(skip)).collect())
}

fn grouped(items: &[Value]) -> Vec<Value> {
    let mut groups: Vec<Vec<Value>> = Vec::new();
    for item in items.iter().rev() {
        let (key, rest) = item.list().split_first().expect("a tuple with a key");
        match groups.iter_mut().find(|group| same(&group[0], key)) {
            Some(group) => {
                for (slot, value) in group[1..].iter_mut().zip(rest) {
                    let Value::List(values) = slot else { unreachable!() };
                    values.push(value.clone());
                }
            }
            None => {
                let first = rest.iter().map(|value| Value::List(vec![value.clone()]));
                groups.push(std::iter::once(key.clone()).chain(first).collect());
            }
        }
    }
    groups.into_iter().map(Value::List).collect()
}
