use super::world;
use crate::load::{LoadOptions, load};
use crate::testing::registry;

/// What is said about a node with these keys.
fn told(keys: &str) -> String {
    let world = world();
    let text = format!("celldag: 1\nnodes:\n  a:\n{keys}");
    let findings = match load(&world.path("demo.yaml"), Some(&text), &registry(), &LoadOptions::default()) {
        Ok(pipeline) => pipeline.warnings,
        Err(findings) => findings.items,
    };
    let mut shown = keys.to_owned();
    for item in findings {
        let label =
            item.label.as_ref().map(|label| format!(" |{}| {}", &text[label.span.clone()], label.text));
        shown.push_str(&format!("{}: {}\n   {}\n", item.severity, item.message, label.unwrap_or_default()));
        if let Some(help) = &item.help {
            shown.push_str(&format!("    help: {help}\n"));
        }
    }
    shown.replace(&world.dir.path().display().to_string(), "FOLDER")
}

#[test]
fn mistakes_are_told_with_place_and_remedy() {
    let shown = [
        "    uses: exec\n",
        "    uses: exec\n    run: python3 a.py\n    out: {t: t.txt}\n",
        "    uses: exec\n    run: [cp, \"{in:on}\", \"{outt:t}\"]\n    in: {one: numbers.txt}\n    out: {t: t.txt}\n",
        "    uses: exec\n    run: [touch, \"{out:u}\"]\n    in: {one: numbers.txt}\n    out: {t: t.txt}\n",
        "    uses: exec\n    run: [cp, \"--in={in:all}\", \"{out:t}\"]\n    in: {all: [numbers.txt, more.txt]}\n    out: {t: t.txt}\n",
        "    uses: exec\n    run: [sh, \"{code:tol.sh}\", \"{out:t}\"]\n    out: {t: t.txt}\n",
        "    uses: exec\n    run: [sh, \"{code:../tool.sh}\", \"{out:t}\"]\n    out: {t: t.txt}\n",
        "    uses: exec\n    run: [./tool.sh, \"{out:t}\"]\n    out: {t: t.txt}\n",
        "    uses: exec\n    run: [no-such-program-anywhere, \"{out:t}\"]\n    out: {t: t.txt}\n",
        "    uses: exec\n    run: [touch, \"{out:t}\", \"{out:u}\"]\n    out: {t: ../t.txt, u: {file: u.txt, type: txt}}\n",
        "    uses: exec\n    run: [touch, \"{out:t}\"]\n    with: {run: 1, min: 2, map: {a: 1}}\n    out: {t: t.txt}\n",
        "    uses: exec\n    run: [touch, \"{out:t}\"]\n    in: {code: tool.sh}\n    out: {t: t.txt}\n",
        "    uses: exec\n    run: [touch, \"{out:t}\"]\n    env: {A-B: x, A: y}\n    secrets: [A]\n    out: {t: t.txt}\n",
        "    uses: exec\n    run: [touch, \"{out:t}\"]\n    version: [sh, \"{code:tool.sh}\"]\n    out: {t: t.txt}\n",
        "    uses: make\n    run: [touch]\n    with: {text: x}\n",
    ]
    .map(told);
    insta::assert_snapshot!(shown.join("\n"));
}
