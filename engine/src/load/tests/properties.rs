//! Properties: nothing crashes on any text, and jobs are the product of their axes.

use proptest::prelude::*;

use super::{Folder, set};
use crate::load::LoadOptions;

/// Pieces of which nearly valid pipelines consist.
const PIECES: &[&str] = &[
    "celldag: 1\n",
    "nodes:\n",
    "  a: ",
    "  b: ",
    "{uses: make",
    "{uses: join",
    ", with: {text: x",
    "}",
    "}\n",
    "in: {parts: ",
    "a.text",
    "[a, b]",
    "{gather: a}",
    "axes: ",
    "{m: [x, y]}\n",
    "params: ",
    "{p: 1}\n",
    "foreach: [m]",
    ", ",
    "\"${p}\"",
    "\"${m.c}\"",
    "${",
    "outputs: ",
    "profiles: ",
    "when: \"${m} in [x]\"",
    "exclude: [{m: x}]",
    "\n",
    ": ",
    "- ",
    "'",
    "\"",
    "|",
    ">\n",
    "#",
    "&x ",
    "*x",
    "!!str ",
    "?",
    "%",
    "\t",
    "é",
    "\u{feff}",
    "---\n",
    "timeout: ",
    "1h",
    "99999999999999999999",
    "retries: ",
    "resources: {gpu: 1, ram: 1G}",
    "include: [a.txt]\n",
    "include: [{file: pipeline.yaml, as: p}]\n",
    "include: [{m: x}]",
    "{by: m, x: a, default: }",
    "{out_of_memory: {set: {threads: half}}}",
    "secrets: [sk-x, X]\n",
    "<<: ",
];

fn text() -> impl Strategy<Value = String> {
    prop_oneof![
        any::<String>(),
        proptest::collection::vec(proptest::sample::select(PIECES), 0..40).prop_map(|pieces| pieces.concat()),
        proptest::collection::vec(proptest::sample::select(PIECES), 0..20).prop_map(|pieces| format!(
            "celldag: 1\nnodes:\n  a: {{uses: make, with: {{text: x}}}}\n{}",
            pieces.concat()
        )),
    ]
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 1500, ..ProptestConfig::default() })]

    #[test]
    fn no_text_crashes_and_every_finding_can_be_drawn(text in text(), value in ".{0,8}") {
        let folder = Folder::new();
        let options = LoadOptions { set: vec![("p".to_owned(), value)], profiles: Vec::new() };
        let findings = match folder.load(&text, &options) {
            Ok(pipeline) => pipeline.warnings,
            Err(findings) => {
                prop_assert!(findings.has_errors());
                findings.items
            }
        };
        for item in &findings {
            let mut drawn = String::new();
            miette::NarratableReportHandler::new().render_report(&mut drawn, item).unwrap();
            prop_assert!(!item.one_line().contains('\n'));
            prop_assert!(item.to_json()["code"].is_string());
        }
    }
}

/// Lengths of three axes, and for each of three nodes which axes it varies over.
fn shapes() -> impl Strategy<Value = (Vec<usize>, Vec<Vec<bool>>)> {
    let lengths = proptest::collection::vec(1usize..5, 3);
    let varies = proptest::collection::vec(proptest::collection::vec(any::<bool>(), 3), 3);
    (lengths, varies)
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 300, ..ProptestConfig::default() })]

    #[test]
    fn jobs_are_the_product_of_axes_and_edges_agree((lengths, varies) in shapes()) {
        let folder = Folder::new();
        let mut text = "celldag: 1\naxes:\n".to_owned();
        for (axis, length) in lengths.iter().enumerate() {
            text.push_str(&format!("  x{axis}: {{range: {length}}}\n"));
        }
        text.push_str("nodes:\n");
        for (node, axes) in varies.iter().enumerate() {
            let foreach: Vec<String> = (0..3).filter(|a| axes[*a]).map(|a| format!("x{a}")).collect();
            let body = if node == 0 {
                "uses: make, with: {text: x}".to_owned()
            } else {
                format!("uses: join, in: {{parts: {{gather: n{}}}}}", node - 1)
            };
            text.push_str(&format!("  n{node}: {{foreach: [{}], {body}}}\n", foreach.join(", ")));
        }
        let pipeline = folder.load(&text, &set(&[])).map_err(|e| TestCaseError::fail(e.one_line_each()))?;
        for (node, axes) in varies.iter().enumerate() {
            let jobs: Vec<_> = pipeline.jobs.iter().filter(|job| job.node == format!("n{node}")).collect();
            let product: usize = (0..3).filter(|a| axes[*a]).map(|a| lengths[a]).product();
            prop_assert_eq!(jobs.len(), product);
            if node > 0 {
                let gathered: usize = (0..3).filter(|a| varies[node - 1][*a] && !axes[*a]).map(|a| lengths[a]).product();
                prop_assert!(jobs.iter().all(|job| job.inputs.len() == gathered));
            }
        }
        let ids: std::collections::BTreeSet<_> = pipeline.jobs.iter().map(|job| &job.id).collect();
        prop_assert_eq!(ids.len(), pipeline.jobs.len());
    }
}
