use std::collections::BTreeMap;

use celldag_data::{Column, Csr, Table};
use proptest::prelude::*;

use super::*;

/// Cells `c0`, `c1` ... with a label and a group each.
fn table(labels: &[&str], groups: &[&str]) -> Table {
    let mut table = Table::new((0..labels.len()).map(|i| format!("c{i}")).collect());
    let text = |v: &[&str]| Column::Text(v.iter().map(|s| Some((*s).to_owned())).collect());
    table.insert("response", text(labels)).expect("length");
    table.insert("patient", text(groups)).expect("length");
    table
}

fn request<'a>(positive: Option<&'a str>, group: Option<&'a str>) -> LabelRequest<'a> {
    LabelRequest { label: "response", positive, group, exclude: &[] }
}

fn labelled(n: usize, groups: usize) -> LabelledCells {
    let labels: Vec<&str> = (0..n).map(|i| if i % 3 == 0 { "sensitive" } else { "resistant" }).collect();
    let names: Vec<String> = (0..n).map(|i| format!("p{}", i % groups)).collect();
    let names: Vec<&str> = names.iter().map(String::as_str).collect();
    read_labels(&table(&labels, &names), &request(None, Some("patient"))).expect("labels")
}

fn sizes(test: &TestFolds) -> BTreeMap<Option<u32>, usize> {
    let mut sizes = BTreeMap::new();
    for fold in &test.of_cell {
        *sizes.entry(*fold).or_default() += 1;
    }
    sizes
}

#[test]
fn the_positive_class_is_named_or_well_known() {
    let of = |labels: &[&str], positive| {
        let groups = vec!["p"; labels.len()];
        read_labels(&table(labels, &groups), &request(positive, None)).map(|c| (c.classes.names, c.class))
    };
    let known = |l: &[&str]| of(l, None).expect("known");
    assert_eq!(
        known(&["Sensitive", "Resistant"]),
        (vec!["Resistant".into(), "Sensitive".into()], vec![1, 0])
    );
    assert_eq!(known(&["1", "0"]).1, [1, 0]);
    assert_eq!(known(&["true", "false"]).1, [1, 0]);
    assert_eq!(of(&["ctrl", "stim"], Some("ctrl")).expect("named").1, [1, 0]);
    let refused = of(&["ctrl", "stim"], None).expect_err("nobody said");
    assert!(refused.help.expect("help").contains("positive: ctrl"));
    assert!(of(&["ctrl", "stim"], Some("treated")).expect_err("absent").message.contains("does not occur"));
    assert!(of(&["a", "b", "c"], Some("a")).expect_err("three").message.contains("needs two classes"));
    assert_eq!(known(&["T", "B", "NK"]), (vec!["B".into(), "NK".into(), "T".into()], vec![2, 0, 1]));
    assert!(of(&["a", "a"], None).expect_err("constant").message.contains("constant"));
}

#[test]
fn a_missing_column_is_named_with_what_there_is() {
    let cells = table(&["a", "b"], &["p", "q"]);
    let error =
        read_labels(&cells, &LabelRequest { label: "respnse", positive: None, group: None, exclude: &[] })
            .expect_err("missing");
    assert!(error.message.contains("response, patient"), "{}", error.message);
    assert_eq!(error.help.as_deref(), Some("did you mean `label: response`?"));
}

#[test]
fn cells_without_a_label_are_left_out_and_counted() {
    let mut cells = table(&["a", "b", "?", "a"], &["p", "p", "q", "q"]);
    let labels = ["a", "b", "?", ""].map(|l| (!l.is_empty()).then(|| l.to_owned()));
    cells.insert("response", Column::Text(labels.to_vec())).expect("length");
    let exclude = ["?".to_owned()];
    let wanted = LabelRequest { label: "response", positive: Some("b"), group: None, exclude: &exclude };
    let read = read_labels(&cells, &wanted).expect("labels");
    assert_eq!((read.ids, read.missing, read.excluded), (vec!["c0".into(), "c1".into()], 1, 1));
}

#[test]
fn stratified_folds_have_equal_sizes_and_class_shares() {
    let cells = labelled(100, 7);
    let test = assign(Scheme::StratifiedKFold, &cells, 5, 0.2, 3, 0).expect("folds");
    assert!(sizes(&test).values().all(|&n| n == 20), "{:?}", sizes(&test));
    for fold in 0..5 {
        let positive = (0..100).filter(|&c| test.of_cell[c] == Some(fold) && cells.class[c] == 1).count();
        assert!((6..=7).contains(&positive), "{positive}");
    }
    let other = assign(Scheme::StratifiedKFold, &cells, 5, 0.2, 4, 0).expect("folds");
    assert_ne!(test, other, "the seed matters");
    assert_ne!(test, assign(Scheme::StratifiedKFold, &cells, 5, 0.2, 3, 1).expect("folds"), "repeats differ");
}

#[test]
fn groups_stay_whole() {
    let cells = labelled(120, 9);
    for (scheme, folds) in [
        (Scheme::GroupKFold, 4),
        (Scheme::StratifiedGroupKFold, 4),
        (Scheme::LeaveGroupOut, 9),
        (Scheme::Holdout, 1),
    ] {
        let test = assign(scheme, &cells, folds, 0.25, 1, 0).expect("folds");
        assert_eq!(test.folds, folds);
        let mut of_group = BTreeMap::new();
        for (group, fold) in cells.group.iter().zip(&test.of_cell) {
            assert_eq!(of_group.entry(group).or_insert(fold), &fold, "{scheme:?}");
        }
        let used = sizes(&test).keys().flatten().count();
        assert_eq!(used, folds as usize, "{scheme:?} leaves no fold empty");
        for fold in roles(&cells, &test, 0.15, true, 1, 0).expect("roles") {
            let mut role_of = BTreeMap::new();
            for (group, role) in cells.group.iter().zip(&fold.roles) {
                assert_eq!(role_of.entry(group).or_insert(role), &role, "validation takes whole groups");
            }
            assert!(role_of.values().any(|r| **r == Some(Role::Validation)), "{scheme:?}");
        }
    }
    assert!(assign(Scheme::GroupKFold, &cells, 10, 0.2, 1, 0).expect_err("too many").message.contains("9"));
}

#[test]
fn validation_never_takes_the_last_training_group_of_a_class() {
    let labels: Vec<&str> = (0..40).map(|i| if i < 10 { "sensitive" } else { "resistant" }).collect();
    let groups: Vec<String> = (0..40).map(|i| format!("p{}", i / 10)).collect();
    let groups: Vec<&str> = groups.iter().map(String::as_str).collect();
    let cells = read_labels(&table(&labels, &groups), &request(None, Some("patient"))).expect("labels");
    for seed in 0..20 {
        let test = TestFolds { folds: 1, of_cell: (0..40).map(|i| (i >= 30).then_some(0)).collect() };
        let fold = &roles(&cells, &test, 0.4, true, seed, 0).expect("roles")[0];
        assert!((0..10).all(|c| fold.roles[c] == Some(Role::Train)), "only p0 is sensitive");
        assert_eq!(fold.roles.iter().filter(|r| **r == Some(Role::Validation)).count(), 10);
    }
}

#[test]
fn folds_are_read_from_json_and_csv() {
    let folder = tempfile::tempdir().expect("folder");
    let write = |name: &str, text: &str| {
        let path = folder.path().join(name);
        fs_err::write(&path, text).expect("write");
        path
    };
    let cells = labelled(6, 2);
    let plain = write("a.json", r#"{"cell":["c0","c1","c2","x"],"label":[0,1,0,1],"fold":[3,1,1,9]}"#);
    let read = read_assignment(&plain, None).expect("read");
    let test = read.test_folds(&cells).expect("folds");
    assert_eq!((test.folds, &test.of_cell[..4]), (2, &[Some(1), Some(0), Some(0), None][..]));
    let named = write("b.json", r#"{"cell":["c0","c1"],"folds":{"by line":[0,1],"random":[1,0]}}"#);
    assert!(read_assignment(&named, None).expect_err("which").message.contains("by line, random"));
    assert_eq!(
        read_assignment(&named, Some("random")).expect("read").test_folds(&cells).expect("folds").of_cell[0],
        Some(1)
    );
    let csv = write("c.csv", "cell,fold\nc0,0\nc1,1\n");
    assert_eq!(read_assignment(&csv, None).expect("read").cells(), 2);
    let roles =
        write("d.csv", "cell_id,repeat,fold,role\nc0,0,0,train\nc1,0,0,test\nc0,0,1,test\nc1,0,1,train\n");
    let folds = read_assignment(&roles, None).expect("read").roles(&cells).expect("roles");
    assert_eq!((folds.len(), folds[1].roles[0], folds[1].roles[2]), (2, Some(Role::Test), None));
    for bad in [
        "cell,fold\nc0,zero\n",
        "cell,fold\nc0,0\nc0,1\n",
        "name,fold\nc0,0\n",
        "cell,fold\n",
        "{\"cell\":[1]}",
    ] {
        assert!(read_assignment(&write("bad.csv", bad), None).is_err(), "{bad}");
    }
}

#[test]
fn a_label_that_belongs_to_the_sample_is_found() {
    let labels: Vec<&str> =
        (0..60).map(|i| if i / 15 % 2 == 0 { "sensitive" } else { "resistant" }).collect();
    let groups: Vec<String> = (0..60).map(|i| format!("p{}", i / 15)).collect();
    let groups: Vec<&str> = groups.iter().map(String::as_str).collect();
    let mut obs = table(&labels, &groups);
    let alias = labels.iter().map(|l| Some(i64::from(*l == "sensitive"))).collect();
    obs.insert("code", Column::Int(alias)).expect("length");
    obs.insert("noise", Column::Int((0..60).map(|i| Some(i % 4)).collect())).expect("length");
    let cells = read_labels(&obs, &request(None, Some("patient"))).expect("labels");
    let folds_of = |scheme| {
        let test = assign(scheme, &cells, 2, 0.3, 5, 0).expect("folds");
        roles(&cells, &test, 0.0, false, 5, 0).expect("roles")
    };
    let find = |obs: &Table, scheme| label_fixed_by_group(obs, &cells, &folds_of(scheme), "response", None);
    let found = find(&obs, Scheme::StratifiedKFold);
    assert_eq!(found.leaks.len(), 1, "`code` may be the label itself, `noise` is not: {found:?}");
    assert!(found.leaks[0].contains("column `patient`") && found.leaks[0].contains("leave-group-out"));
    assert_eq!(found.doubts.len(), 1, "{found:?}");
    assert!(found.doubts[0].starts_with("column `code` says the same as the label"));
    assert_eq!(find(&obs, Scheme::GroupKFold).leaks, Vec::<String>::new(), "whole patients do not straddle");
    // One sample a class: the name tells a sample from another spelling of the label, and no split can help.
    let code = obs.column("code").expect("there").clone();
    for name in ["orig.ident", "GSM"] {
        let mut with = obs.clone();
        with.insert(name, code.clone()).expect("length");
        let found = find(&with, Scheme::StratifiedKFold);
        let leak = found.leaks.iter().find(|l| l.contains(&format!("column `{name}`"))).expect(name);
        assert!(leak.contains("No split can separate") && !leak.contains("leave-group-out"), "{leak}");
    }
    let declared =
        label_fixed_by_group(&obs, &cells, &folds_of(Scheme::StratifiedKFold), "response", Some("code"));
    assert!(declared.leaks.iter().any(|l| l.contains("column `code`")), "declared: {declared:?}");
    let itself =
        label_fixed_by_group(&obs, &cells, &folds_of(Scheme::StratifiedKFold), "response", Some("response"));
    assert!(itself.leaks[0].contains("is the label column itself"), "{itself:?}");
    let upper = labels.iter().map(|l| Some(l.to_uppercase())).collect();
    obs.insert("code", Column::Text(upper)).expect("length");
    assert_eq!(find(&obs, Scheme::StratifiedKFold).doubts, Vec::<String>::new(), "a respelling");
}

#[test]
fn declared_groups_that_are_torn_apart_are_reported() {
    let cells = labelled(60, 6);
    let torn = |scheme| {
        let test = assign(scheme, &cells, 3, 0.3, 5, 0).expect("folds");
        let folds = roles(&cells, &test, 0.1, scheme.by_group(true), 5, 0).expect("roles");
        groups_on_both_sides(&cells, &folds, "patient", "the-kind")
    };
    for scheme in [Scheme::KFold, Scheme::StratifiedKFold] {
        let message = torn(scheme).expect("torn");
        assert!(message.contains("6 of 6") && message.contains("`stratified-group-k-fold`"), "{message}");
    }
    for scheme in [Scheme::GroupKFold, Scheme::StratifiedGroupKFold, Scheme::LeaveGroupOut, Scheme::Holdout] {
        assert_eq!(torn(scheme), None, "{scheme:?}");
    }
}

#[test]
fn few_groups_still_give_one_for_validation() {
    // Four groups of a dozen cells, each with both classes: a tenth of the training cells is less than any group.
    let labels: Vec<&str> = (0..48).map(|i| if i % 3 == 0 { "sensitive" } else { "resistant" }).collect();
    let groups: Vec<String> = (0..48).map(|i| format!("p{}", i / 12)).collect();
    let names: Vec<&str> = groups.iter().map(String::as_str).collect();
    let of = |labels: &[&str]| {
        let cells = read_labels(&table(labels, &names), &request(None, Some("patient"))).expect("labels");
        let test = assign(Scheme::LeaveGroupOut, &cells, 4, 0.2, 7, 0).expect("folds");
        (cells.clone(), roles(&cells, &test, 0.1, true, 7, 0).expect("roles"))
    };
    let (cells, folds) = of(&labels);
    assert_eq!(folds.len(), 4);
    for fold in &folds {
        let validation: std::collections::BTreeSet<&String> =
            (0..48).filter(|&c| fold.roles[c] == Some(Role::Validation)).map(|c| &cells.group[c]).collect();
        assert_eq!(validation.len(), 1, "one whole group validates in fold {}", fold.fold);
        assert_eq!(fold.roles.iter().filter(|r| **r == Some(Role::Train)).count(), 24);
    }
    // Labels that belong to the group: no group can stand for both classes, so none is forced.
    let lines: Vec<&str> = (0..48).map(|i| if i / 12 % 2 == 0 { "sensitive" } else { "resistant" }).collect();
    assert!(of(&lines).1.iter().all(|f| !f.roles.contains(&Some(Role::Validation))));
}

#[test]
fn truth_values_and_numbers_are_compared_by_meaning() {
    let positive = |labels: &[&str], name| {
        let groups = vec!["p"; labels.len()];
        read_labels(&table(labels, &groups), &request(Some(name), None)).map(|c| c.classes.positive)
    };
    assert_eq!(positive(&["true", "false"], "True").expect("truth"), Some("true".into()));
    assert_eq!(positive(&["0", "1"], "1.0").expect("number"), Some("1".into()));
    assert_eq!(positive(&["1", "1.0"], "1.0").expect("exact first"), Some("1.0".into()));
    assert!(positive(&["Stim", "ctrl"], "stim").is_err(), "other text is compared as written");
}

#[test]
fn copies_of_a_cell_on_both_sides_are_found() {
    let cells = labelled(8, 2);
    let mut dense: Vec<f32> = (0..8 * 20).map(|i| ((i * 7919) % 13 + 1) as f32).collect();
    let copy: Vec<f32> = dense[..20].to_vec();
    dense[60..80].copy_from_slice(&copy);
    let mut prints = Fingerprints::default();
    prints.push(&Csr::from_dense(20, &dense[..100]));
    prints.push(&Csr::from_dense(20, &dense[100..]));
    let fold = |test: &[usize]| {
        vec![FoldRoles {
            repeat: 0,
            fold: 0,
            roles: (0..8).map(|c| Some(if test.contains(&c) { Role::Test } else { Role::Train })).collect(),
        }]
    };
    let found = same_cell_on_both_sides(&prints, &cells, &fold(&[3, 4])).expect("twins");
    assert!(found.contains("1 test cells") && found.contains("`c3`") && found.contains("`c0`"), "{found}");
    assert_eq!(same_cell_on_both_sides(&prints, &cells, &fold(&[0, 3])), None, "both on one side");
}

#[test]
fn folds_without_a_class_are_named() {
    let cells = labelled(6, 2);
    let fold = FoldRoles {
        repeat: 0,
        fold: 2,
        roles: (0..6).map(|c| Some(if c % 3 == 0 { Role::Test } else { Role::Train })).collect(),
    };
    let found = missing_classes(&cells, &[fold]);
    assert_eq!(found.len(), 2, "{found:?}");
    assert!(found[0].starts_with("no train cell of class `sensitive` in fold 2"));
    assert!(found[1].starts_with("no test cell of class `resistant` in fold 2"));
}

proptest! {
    #[test]
    fn every_cell_is_tested_once_and_the_order_of_cells_does_not_matter(
        n in 12..60_usize, folds in 2..6_u32, seed in any::<u64>(), turn in 1..11_usize, scheme in 0..4_usize,
    ) {
        let scheme = [Scheme::KFold, Scheme::StratifiedKFold, Scheme::GroupKFold, Scheme::StratifiedGroupKFold][scheme];
        let cells = labelled(n, 7);
        let test = assign(scheme, &cells, folds, 0.2, seed, 0).expect("folds");
        prop_assert!(test.of_cell.iter().all(|f| f.is_some_and(|f| f < folds)));
        prop_assert_eq!(sizes(&test).len(), folds as usize);
        let mut turned = cells.clone();
        turned.ids.rotate_left(turn);
        turned.class.rotate_left(turn);
        turned.group.rotate_left(turn);
        let mut expected = test.of_cell.clone();
        expected.rotate_left(turn);
        prop_assert_eq!(assign(scheme, &turned, folds, 0.2, seed, 0).expect("folds").of_cell, expected);
        let plain = roles(&cells, &test, 0.2, false, seed, 0).expect("roles");
        let again = roles(&turned, &TestFolds { folds, of_cell: {
            let mut v = test.of_cell.clone(); v.rotate_left(turn); v
        } }, 0.2, false, seed, 0).expect("roles");
        for (a, b) in plain.iter().zip(&again) {
            let mut a = a.roles.clone();
            a.rotate_left(turn);
            prop_assert_eq!(&a, &b.roles);
            prop_assert!(a.iter().filter(|r| **r == Some(Role::Train)).count() > 0);
        }
    }
}
