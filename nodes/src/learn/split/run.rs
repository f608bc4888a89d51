//! What `split` does: read labels, divide, look for leaks, write.

use std::collections::BTreeSet;

use celldag_engine::{NodeError, Step};

use super::kind::Options;
use super::{
    Assignment, Fingerprints, FoldCounts, FoldRoles, JoinedCells, LabelRequest, LabelledCells, Role, Scheme,
    SplitInfo, SplitRow, SplitTable, assign, drop_copies, external, few_shots, fold_name,
    groups_on_both_sides, label_fixed_by_group, missing_classes, named_groups, read_assignment, read_labels,
    roles, same_cell_on_both_sides,
};

pub(super) fn run(step: &Step<'_>, options: &Options) -> Result<(), NodeError> {
    needs_external(step, options)?;
    let joined = JoinedCells::open(step)?;
    let mut warnings = Vec::new();
    let mut cells = read_labels(
        joined.obs(),
        &LabelRequest {
            label: &options.label,
            positive: options.positive.as_deref(),
            group: options.group.as_deref(),
            exclude: &options.exclude_labels,
        },
    )?;
    if cells.missing > 0 {
        warnings.push(format!("{} cells have no `{}` and are left out", cells.missing, options.label));
    }
    let assignment = assignment(step, options)?;
    let mut left_out = cells.missing + cells.excluded;
    left_out += assignment.as_ref().map_or(Ok(0), |a| keep_named(&mut cells, a, &mut warnings))?;
    let prints = joined.fingerprints(step)?;
    if !joined.same_genes() {
        warnings.push(
            "copies of a cell cannot be looked for between `cells` and `external`, because their genes differ"
                .to_owned(),
        );
    }
    if options.copies == "drop" {
        left_out += without_copies(&mut cells, &prints, joined.external(), &mut warnings);
    }
    let folds = divide(options, &cells, assignment.as_ref(), joined.external(), &mut warnings)?;
    if options.validation_fraction > 0.0 {
        warn_of_no_validation(&folds, &mut warnings);
    }
    let leaks = leaks(&joined, &prints, &cells, &folds, options, &mut warnings);
    if options.strict && !leaks.is_empty() {
        return Err(NodeError::data(format!("the split leaks or lacks classes:\n- {}", leaks.join("\n- ")))
            .help("divide by group, remove copies, use fewer folds, or set `strict: false` to go on with warnings"));
    }
    warnings.extend(leaks);
    let info = describe(options, &cells, &folds, &warnings, left_out);
    table(&cells, &folds).write(step.output("split")?)?;
    let text = serde_json::to_string_pretty(&info).map_err(|e| NodeError::failed(e.to_string()))?;
    fs_err::write(step.output("info")?, text + "\n").map_err(|e| NodeError::failed(e.to_string()))?;
    for warning in &warnings {
        step.warn(warning.as_str());
    }
    step.fact("cells", cells.ids.len());
    step.fact("left_out", info.left_out);
    step.fact("folds", info.folds);
    step.fact("classes", cells.classes.names.clone());
    step.fact("positive", cells.classes.positive.clone());
    Ok(())
}

/// The port `external` and `kind: external` go together.
fn needs_external(step: &Step<'_>, options: &Options) -> Result<(), NodeError> {
    match (options.kind == "external", step.optional_input("external").is_some()) {
        (true, false) => Err(NodeError::parameter("`kind: external` needs cells on the port `external`")
            .help("write `in: {cells: ..., external: other_study.h5ad}`")),
        (false, true) => Err(NodeError::parameter(format!(
            "cells stand on the port `external`, but `kind: {}` does not read them",
            options.kind
        ))
        .help("set `kind: external`, or remove the input")),
        _ => Ok(()),
    }
}

/// Drops copies and says how many. Returns how many cells were left out.
fn without_copies(
    cells: &mut LabelledCells,
    prints: &Fingerprints,
    external: Option<usize>,
    warnings: &mut Vec<String>,
) -> usize {
    let dropped = drop_copies(cells, prints, external);
    if dropped.copies > 0 {
        warnings.push(format!(
            "{} cells are copies of others (identical counts) and are left out, so that no copy can be on both sides",
            dropped.copies
        ));
    }
    if dropped.contradictions > 0 {
        warnings.push(format!(
            "{} cells have identical counts but different labels; all of them are left out, because nothing says which \
             label is right",
            dropped.contradictions
        ));
    }
    dropped.copies + dropped.contradictions
}

fn assignment(step: &Step<'_>, options: &Options) -> Result<Option<Assignment>, NodeError> {
    match (options.kind == "from-file", step.optional_input("assignment")) {
        (true, Some(file)) => read_assignment(&file.path, options.assignment_name.as_deref()).map(Some),
        (false, None) => Ok(None),
        (true, None) => Err(NodeError::parameter("`kind: from-file` needs a file on the port `assignment`")
            .help("write `in: {cells: ..., assignment: folds.csv}`")),
        (false, Some(_)) => Err(NodeError::parameter(format!(
            "a file stands on the port `assignment`, but `kind: {}` does not read one",
            options.kind
        ))
        .help("set `kind: from-file`, or remove the file")),
    }
}

/// Keeps the cells that the file names; says how many differ. Returns how many cells were left out.
fn keep_named(
    cells: &mut LabelledCells,
    file: &Assignment,
    warnings: &mut Vec<String>,
) -> Result<usize, NodeError> {
    let keep: Vec<bool> = cells.ids.iter().map(|id| file.names(id)).collect();
    let kept = keep.iter().filter(|k| **k).count();
    let dropped = keep.len() - kept;
    if kept == 0 {
        return Err(NodeError::data(format!(
            "the file of folds names {} cells, but none of the {} labelled cells is among them (first cell: `{}`)",
            file.cells(),
            keep.len(),
            cells.ids.first().map_or("", String::as_str)
        ))
        .help("cell names must be spelled as in the cells file; look at prefixes and suffixes such as `-1`"));
    }
    if dropped > 0 {
        warnings.push(format!("{dropped} labelled cells are not in the file of folds and are left out"));
    }
    if kept < file.cells() {
        warnings.push(format!(
            "{} cells of the file of folds are not among the labelled cells",
            file.cells() - kept
        ));
    }
    cells.retain(&keep);
    Ok(dropped)
}

fn divide(
    options: &Options,
    cells: &LabelledCells,
    file: Option<&Assignment>,
    first_external: Option<usize>,
    warnings: &mut Vec<String>,
) -> Result<Vec<FoldRoles>, NodeError> {
    if let Some(file) = file {
        if let Some(folds) = file.roles(cells) {
            return Ok(folds);
        }
        let test = file
            .test_folds(cells)
            .filter(|test| test.folds > 0)
            .ok_or_else(|| NodeError::data("the file of folds holds no folds"))?;
        // Groups that the file keeps whole stay whole in validation too.
        let whole = !cells.group.is_empty() && keeps_groups_whole(cells, &test.of_cell);
        return roles(cells, &test, options.validation_fraction, whole, options.seed, 0);
    }
    let scheme = match options.kind.as_str() {
        "holdout" => Scheme::Holdout,
        "random-holdout" => Scheme::RandomHoldout,
        "k-fold" => Scheme::KFold,
        "group-k-fold" => Scheme::GroupKFold,
        "stratified-group-k-fold" => Scheme::StratifiedGroupKFold,
        "leave-group-out" => Scheme::LeaveGroupOut,
        _ => Scheme::StratifiedKFold,
    };
    let has_group = !cells.group.is_empty();
    let by_group = scheme.by_group(has_group) || (first_external.is_some() && has_group);
    let mut all = Vec::new();
    for repeat in 0..options.repeats {
        let test = match first_external {
            Some(first) => external(cells, first),
            None if !options.test_groups.is_empty() => {
                named_groups(cells, &options.test_groups, scheme == Scheme::Holdout)?
            }
            None => assign(scheme, cells, options.folds, options.test_fraction, options.seed, repeat)?,
        };
        all.extend(roles(cells, &test, options.validation_fraction, by_group, options.seed, repeat)?);
    }
    if options.few_shot_fraction > 0.0 {
        let shots = few_shots(cells, &mut all, options.few_shot_fraction, options.seed);
        warnings.extend(shots.remarks(cells, options.few_shot_fraction)?);
    }
    Ok(all)
}

fn keeps_groups_whole(cells: &LabelledCells, fold: &[Option<u32>]) -> bool {
    let pairs: BTreeSet<_> = cells.group.iter().zip(fold).collect();
    let groups: BTreeSet<_> = cells.group.iter().collect();
    groups.len() > 1 && pairs.len() == groups.len()
}

fn warn_of_no_validation(folds: &[FoldRoles], warnings: &mut Vec<String>) {
    let without: Vec<String> = folds
        .iter()
        .filter(|f| !f.roles.contains(&Some(Role::Validation)))
        .map(|f| fold_name(f.repeat, f.fold))
        .collect();
    if !without.is_empty() {
        warnings.push(format!(
            "there are no validation cells in fold {}: no training group can be spared for validation that holds every \
             class, or the file of folds gives none. Early stopping is off there",
            without.join(", ")
        ));
    }
}

/// Everything that strict mode refuses; what only the user can judge goes to the warnings.
fn leaks(
    joined: &JoinedCells,
    prints: &Fingerprints,
    cells: &LabelledCells,
    folds: &[FoldRoles],
    options: &Options,
    warnings: &mut Vec<String>,
) -> Vec<String> {
    let group = options.group.as_deref();
    let mut found = Vec::new();
    if options.few_shot_fraction > 0.0 {
        // Asked for: the held-out group is on both sides, and the reader must know what that measures.
        warnings.push(format!(
            "few-shot: {:.1} % of the cells of each held-out `{}` train (`few_shot_fraction`). The test measures \
             adaptation to a group of which some cells are labelled, not transfer to a new one.",
            100.0 * options.few_shot_fraction,
            group.unwrap_or_default()
        ));
    } else {
        found.extend(group.and_then(|name| groups_on_both_sides(cells, folds, name, &options.kind)));
    }
    let origins = label_fixed_by_group(joined.obs(), cells, folds, &options.label, group);
    found.extend(origins.leaks);
    warnings.extend(origins.doubts);
    found.extend(same_cell_on_both_sides(prints, cells, folds));
    found.extend(missing_classes(cells, folds));
    found
}

fn table(cells: &LabelledCells, folds: &[FoldRoles]) -> SplitTable {
    let mut rows = Vec::new();
    for fold in folds {
        for (cell, role) in fold.roles.iter().enumerate() {
            let Some(role) = *role else { continue };
            rows.push(SplitRow {
                cell_id: cells.ids[cell].clone(),
                repeat: fold.repeat,
                fold: fold.fold,
                role,
                label: cells.classes.names[cells.class[cell]].clone(),
                class: cells.class[cell],
                group: cells.group.get(cell).cloned().unwrap_or_default(),
            });
        }
    }
    SplitTable { rows }
}

fn describe(
    options: &Options,
    cells: &LabelledCells,
    folds: &[FoldRoles],
    warnings: &[String],
    left_out: usize,
) -> SplitInfo {
    let classes = cells.classes.names.len();
    let counts = folds.iter().map(|fold| {
        let mut counts = FoldCounts {
            repeat: fold.repeat,
            fold: fold.fold,
            train: vec![0; classes],
            validation: vec![0; classes],
            test: vec![0; classes],
        };
        for (role, &class) in fold.roles.iter().zip(&cells.class) {
            match role {
                Some(Role::Train) => counts.train[class] += 1,
                Some(Role::Validation) => counts.validation[class] += 1,
                Some(Role::Test) => counts.test[class] += 1,
                None => {}
            }
        }
        counts
    });
    SplitInfo {
        kind: options.kind.clone(),
        folds: folds.iter().map(|f| f.fold + 1).max().unwrap_or(0),
        repeats: folds.iter().map(|f| f.repeat + 1).max().unwrap_or(0),
        seed: options.seed,
        label: options.label.clone(),
        classes: cells.classes.names.clone(),
        positive: cells.classes.positive.clone(),
        group: options.group.clone(),
        groups: cells.group.iter().cloned().collect::<BTreeSet<_>>().into_iter().collect(),
        cells: cells.ids.len(),
        left_out,
        few_shot_fraction: Some(options.few_shot_fraction).filter(|&f| f > 0.0),
        warnings: warnings.to_vec(),
        counts: counts.collect(),
    }
}
