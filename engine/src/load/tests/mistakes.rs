//! Mistakes of users. Each case shows all findings, so a check that stops early or repeats itself is seen.

use super::{Folder, set, with_nodes};
use crate::load::LoadOptions;

/// Name, text, `--set`.
pub(super) type Case = (&'static str, &'static str, &'static [(&'static str, &'static str)]);

const CASES: &[Case] = &[
    ("not yaml", "celldag: 1\nnodes: {a: [1, 2}\n", &[]),
    ("tab indentation", "celldag: 1\nnodes:\n\ta: {uses: make}\n", &[]),
    ("unquoted interpolation", "celldag: 1\nnodes:\n  a: {uses: make, with: {text: ${x}}}\n", &[]),
    ("empty file", "# nothing\n", &[]),
    ("a list instead of a mapping", "- a\n- b\n", &[]),
    ("no version, no nodes", "name: x\n", &[]),
    ("future version", "celldag: 2\nnodes: {a: {uses: make, with: {text: x}}}\n", &[]),
    ("unknown top-level key", "celldag: 1\nnode: {}\nnodes: {a: {uses: make, with: {text: x}}}\n", &[]),
    (
        "unknown node key",
        "celldag: 1\nnodes: {a: {use: make, uses: make, with: {text: x}, need: [b]}}\n",
        &[],
    ),
    (
        "duplicate node",
        "celldag: 1\nnodes:\n  a: {uses: make, with: {text: x}}\n  b: {uses: make, with: {text: x}}\n  a: {uses: join}\n",
        &[],
    ),
    (
        "anchor and merge key",
        "celldag: 1\nnodes:\n  a: &base {uses: make, with: {text: x}}\n  b: {<<: *base}\n",
        &[],
    ),
    ("tag", "celldag: 1\nnodes: {a: {uses: make, with: {text: !!str 7}}}\n", &[]),
    ("two documents", "celldag: 1\nnodes: {a: {uses: make, with: {text: x}}}\n---\ncelldag: 1\n", &[]),
    (
        "unknown kind, no kind, bad name",
        "celldag: 1\nnodes:\n  a: {uses: mke}\n  b: {with: {text: x}}\n  c c: {uses: make, with: {text: x}}\n",
        &[],
    ),
    ("unknown parameter", "celldag: 1\nnodes: {a: {uses: make, with: {txt: x, tims: 3}}}\n", &[]),
    (
        "input written as parameter and the other way round",
        "celldag: 1\nnodes:\n  a: {uses: make, with: {text: x}}\n  b: {uses: join, with: {parts: a}, in: {separator: a.txt}}\n",
        &[],
    ),
    (
        "wrong types",
        "celldag: 1\nnodes:\n  a:\n    uses: make\n    with: {text: [x], times: many, upper: yes, tags: one, weights: {x: 2}}\n  b: {uses: make, with: {text: , times: 1.5, upper: \"true\", tags: {a: b}}}\n  c: {uses: make, with: {text: null, times: \"3\"}}\n",
        &[],
    ),
    (
        "out of range and not a choice",
        "celldag: 1\nnodes:\n  a: {uses: make, with: {text: x, times: 2000}}\n  b: {uses: count, in: {text: a}, with: {unit: word, scale: -1}}\n  c: {uses: count, in: {text: a}, with: {scale: .inf}}\n  d: {uses: count, in: {text: a}, with: {scale: \"0,5\"}}\n",
        &[],
    ),
    (
        "rule between parameters",
        "celldag: 1\nnodes:\n  a: {uses: make, with: {text: x, upper: true, times: 11}}\n",
        &[],
    ),
    (
        "undefined names",
        "celldag: 1\nparams: {text: x}\nnodes:\n  a: {uses: make, with: {text: \"${txt} ${nothing}\", note: \"${text.column}\"}}\n",
        &[],
    ),
    (
        "not a name in braces",
        "celldag: 1\nparams: {n: 1}\nnodes:\n  a: {uses: make, with: {text: \"${n + 1}\", note: \"${n\"}}\n",
        &[],
    ),
    (
        "list inside a text",
        "celldag: 1\nparams: {tags: [a, b]}\nnodes:\n  a: {uses: make, with: {text: \"x ${tags}\"}}\n",
        &[],
    ),
    (
        "missing input and output ports",
        "celldag: 1\nnodes:\n  a: {uses: make, with: {text: x}}\n  b: {uses: count}\n  c: {uses: count, in: {txt: a}}\n  d: {uses: count, in: {text: a.txet}}\n",
        &[],
    ),
    (
        "unknown node and missing files",
        "celldag: 1\nnodes:\n  make: {uses: make, with: {text: x}}\n  b: {uses: count, in: {text: mke.text}}\n  c: {uses: count, in: {text: a.tx}}\n  d: {uses: count, in: {text: ./c.txt}}\n  e: {uses: count, in: {text: data/c.txt}}\n",
        &[],
    ),
    (
        "type mismatch",
        "celldag: 1\nnodes:\n  a: {uses: make, with: {text: x}}\n  b: {uses: count, in: {text: a.text}}\n  c: {uses: count, in: {text: b.number}}\n",
        &[],
    ),
    (
        "too many on one port",
        "celldag: 1\naxes: {n: {range: 2}}\nnodes:\n  a: {uses: make, foreach: [n], with: {text: x}}\n  b: {uses: count, in: {text: [./a.txt, ./b.txt]}}\n  c: {uses: count, in: {text: {gather: a}}}\n",
        &[],
    ),
    (
        "cycles",
        "celldag: 1\nnodes:\n  a: {uses: join, in: {parts: c}}\n  b: {uses: join, in: {parts: a}}\n  c: {uses: join, in: {parts: [b.text, a.txt, ./a.txt]}}\n  d: {uses: join, in: {parts: d}}\n  e: {uses: join, in: {parts: d}}\n",
        &[],
    ),
    (
        "gather forgotten",
        "celldag: 1\naxes: {m: [x, y], n: {range: 2}}\nnodes:\n  a: {uses: make, foreach: [m, n], with: {text: x}}\n  b: {uses: join, foreach: [m], in: {parts: a.text}}\n",
        &[],
    ),
    (
        "bad gather",
        "celldag: 1\naxes: {m: [x, y]}\nnodes:\n  a: {uses: join, in: {parts: {gather: data/a.txt}}}\n  b: {uses: join, in: {parts: {gather: nobody.text}}}\n  c: {uses: join, in: {parts: {collect: a}}}\n  d: {uses: join, in: {parts: []}}\n",
        &[],
    ),
    (
        "axis not here",
        "celldag: 1\naxes: {m: [x, y], k: [1]}\nnodes:\n  a: {uses: make, foreach: [k], with: {text: \"${m}\"}}\n  b: {uses: make, foreach: [mm, k, k], with: {text: x}}\noutputs: {\"r/${m}\": a}\n",
        &[],
    ),
    (
        "columns",
        "celldag: 1\naxes: {d: {from: data.tsv, key: id}, m: [x]}\nnodes:\n  a: {uses: count, foreach: [d, m], in: {text: \"${d.pth}\"}, with: {scale: \"${m.x}\"}}\n",
        &[],
    ),
    (
        "bad axes",
        "celldag: 1\naxes:\n  a: []\n  b: {range: ten}\n  c: {from: nothing.tsv, key: id}\n  d: {from: data.tsv, key: di}\n  e: {from: holes.csv, key: id}\n  f: [x, x]\n  g: [\"a,b\"]\n  h: 3\n  i: {range: 3, from: x}\nnodes:\n  n: {uses: make, foreach: [a, b, c, d, e, f, g, h, i], with: {text: x}}\n",
        &[],
    ),
    (
        "axis values of the wrong type",
        "celldag: 1\naxes: {times: [1, two, three]}\nnodes:\n  a: {uses: make, foreach: [times], with: {text: x, times: \"${times}\"}}\n",
        &[],
    ),
    (
        "axis and parameter of one name",
        "celldag: 1\nparams: {m: 1}\naxes: {m: [x]}\nnodes:\n  a: {uses: make, foreach: [m], with: {text: \"${m}\"}}\n",
        &[],
    ),
    (
        "nested parameter",
        "celldag: 1\nparams: {a: 1, b: \"${a}\"}\nnodes:\n  a: {uses: make, with: {text: \"${a}${b}\"}}\n",
        &[],
    ),
    (
        "outputs collide",
        "celldag: 1\naxes: {m: [x, y]}\nnodes:\n  a: {uses: make, foreach: [m], with: {text: x}}\n  b: {uses: make, with: {text: x}}\n  c: {uses: make, with: {text: x}}\n  d: {uses: count, in: {text: ./a.txt}}\noutputs:\n  results/a.txt: a.text\n  results/b.txt: b\n  ./results/b.txt: c\n  results/b.txt/c: c\n  a.txt: d\n",
        &[],
    ),
    (
        "outputs the wrong way round",
        "celldag: 1\nnodes:\n  a: {uses: make, with: {text: x}}\noutputs: {a.text: results/a.txt, r.txt: b.text}\n",
        &[],
    ),
    (
        "profiles",
        "celldag: 1\nparams: {n: 1}\naxes: {m: [x]}\nnodes:\n  a: {uses: make, foreach: [m], with: {text: \"${n}\"}}\nprofiles: {small: {params: {k: 1}, axes: {mm: [x]}, jobs: 1}}\n",
        &[],
    ),
    (
        "options of a node",
        "celldag: 1\naxes: {m: [geneformer, scgpt]}\nnodes:\n  a:\n    uses: make\n    foreach: [m]\n    with: {text: x}\n    keep: tmp\n    retries: -1\n    timeout: 30\n    resources: {cpu: 2, gpu: 3}\n    exclude: [{m: scgtp}, {n: 1}, x]\n    when: \"${m} > 3\"\n",
        &[],
    ),
    (
        "conditions",
        "celldag: 1\naxes: {m: [x, y]}\nnodes:\n  a: {uses: make, foreach: [m], with: {text: x}, when: \"${m}\"}\n  b: {uses: make, foreach: [m], with: {text: x}, when: \"(${m} == x\"}\n  c: {uses: make, foreach: [m], with: {text: x}, when: \"${q} in [x, y] z\"}\n",
        &[],
    ),
    (
        "excluded input",
        "celldag: 1\naxes: {m: [x, y]}\nnodes:\n  a: {uses: make, foreach: [m], with: {text: x}, exclude: [{m: y}]}\n  b: {uses: count, foreach: [m], in: {text: a}}\n",
        &[],
    ),
    (
        "all gathers of a list are empty",
        "celldag: 1\nparams: {on: false}\nnodes:\n  a: {uses: make, with: {text: x}, when: \"${on}\"}\n  b: {uses: make, with: {text: x}, when: \"${on}\"}\n  c: {uses: join, in: {parts: [{gather: a}, {gather: b}]}}\n",
        &[],
    ),
    ("a program without outputs", "celldag: 1\nnodes:\n  a: {uses: exec, run: [ls]}\n", &[]),
    (
        "unknown and wrong --set",
        "celldag: 1\nparams: {times: 1, tags: [a]}\naxes: {m: [x]}\nnodes:\n  a: {uses: make, foreach: [m], with: {text: x, times: \"${times}\", tags: \"${tags}\"}}\n",
        &[("tims", "2"), ("m", "y"), ("tags", "b"), ("times", "many")],
    ),
    (
        "the same artifact twice",
        "celldag: 1\nnodes:\n  a: {uses: make, with: {text: x}}\n  b: {uses: join, in: {parts: [a.text, a.text]}}\n",
        &[],
    ),
];

#[test]
fn each_mistake_is_told_with_place_and_hint() {
    snapshot("mistakes", CASES);
}

/// All findings of all cases, as a snapshot.
pub(super) fn snapshot(snapshot: &str, cases: &[Case]) {
    let folder = Folder::new();
    let mut shown = String::new();
    for (name, text, options) in cases {
        show_all(&folder, name, text, &set(options), &mut shown);
    }
    insta::with_settings!({ prepend_module_to_snapshot => false, omit_expression => true }, {
        insta::assert_snapshot!(snapshot, shown);
    });
}

/// All findings of one case.
pub(super) fn show_all(folder: &Folder, name: &str, text: &str, options: &LoadOptions, shown: &mut String) {
    let findings = folder.load(text, options).map(|_| ()).expect_err(name);
    assert!(findings.has_errors(), "{name}");
    shown.push_str(&format!("## {name}\n"));
    for item in &findings.items {
        assert!(item.source.is_some(), "{name}: {item}");
        shown.push_str(&folder.show(item));
    }
    shown.push('\n');
}

#[test]
fn an_unknown_profile_and_a_missing_file_are_told() {
    let folder = Folder::new();
    let text = with_nodes("  a: {uses: make, with: {text: x}}\n") + "profiles: {smoke: {}}\n";
    let options = LoadOptions { set: Vec::new(), profiles: vec!["smok".to_owned()] };
    let findings = folder.load(&text, &options).map(|_| ()).unwrap_err();
    assert_eq!(findings.items.len(), 1);
    assert_eq!(findings.items[0].help.as_deref(), Some("did you mean `smoke`?"));

    let missing = folder.0.path().join("none.yaml");
    let findings =
        crate::load(&missing, None, &crate::testing::registry(), &LoadOptions::default()).map(|_| ());
    assert_eq!(findings.unwrap_err().items[0].code, "celldag::pipeline::unreadable");
}

#[test]
fn one_mistake_hides_no_other() {
    let folder = Folder::new();
    let nodes = "  a: {uses: make, with: {text: x, times: no}, in: {}}
  b: {uses: nothing, in: {text: no/one.txt}}
  c: {uses: count, in: {text: no/two.txt}, with: {unit: x}}
  d: {uses: join, in: {parts: e.wrong}}
  e: {uses: join, in: {parts: d.text}}
";
    let findings = folder.load(&with_nodes(nodes), &set(&[])).map(|_| ()).unwrap_err();
    let codes: Vec<&str> =
        findings.items.iter().filter_map(|item| item.code.strip_prefix("celldag::pipeline::")).collect();
    let count = |code: &str| codes.iter().filter(|found| **found == code).count();
    assert_eq!(count("missing_file"), 2, "{codes:?}");
    assert_eq!(count("cycle"), 1, "{codes:?}");
    assert_eq!(count("unknown_kind"), 1, "{codes:?}");
    assert_eq!(count("unknown_output"), 1, "{codes:?}");
}

#[test]
fn only_missing_files_is_missing_data() {
    let folder = Folder::new();
    let lacks = |nodes: &str| {
        folder.load(&with_nodes(nodes), &set(&[])).map(|_| ()).unwrap_err().only_missing_files()
    };
    assert!(lacks("  a: {uses: count, in: {text: no/such.txt}}\n"));
    assert!(!lacks("  a: {uses: count, in: {text: no/such.txt}, with: {unit: x}}\n"));
}

#[test]
fn findings_are_drawn_in_three_forms() {
    let folder = Folder::new();
    let text = with_nodes("  a: {uses: mak, with: {text: x}}\n");
    let findings = folder.load(&text, &set(&[])).map(|_| ()).unwrap_err();
    assert_eq!(
        folder.tidy(&findings.one_line_each()),
        "FOLDER/pipeline.yaml:3:13: unknown kind `mak` (did you mean `make`?)\n"
    );
    assert_eq!(findings.to_string(), "1 error");
    let json = findings.to_json();
    assert_eq!(json[0]["code"], "celldag::pipeline::unknown_kind");
    assert_eq!((&json[0]["place"]["line"], &json[0]["place"]["column"]), (&3.into(), &13.into()));
    let mut drawn = String::new();
    miette::NarratableReportHandler::new().render_report(&mut drawn, &findings.items[0]).unwrap();
    assert!(
        drawn.contains("pipeline.yaml") && drawn.contains("uses: mak") && drawn.contains("no such kind"),
        "{drawn}"
    );
}
