//! Choice by the value of an axis, and combinations that are taken away and brought back.

use serde_json::json;

use super::expansion::{good, show};
use super::mistakes::{Case, snapshot};
use super::{Folder, set};
use crate::load::LoadOptions;

#[test]
fn an_input_is_chosen_by_the_value_of_an_axis() {
    let folder = Folder::new();
    let text = "celldag: 1
axes: {strategy: [frozen, lora, none], d: {from: data.tsv, key: id}}
nodes:
  tokens: {uses: make, foreach: [d], with: {text: t}}
  embedding: {uses: shout, foreach: [d], in: {text: tokens}}
  data: {uses: count, foreach: [d, strategy], in: {text: {by: strategy, frozen: embedding.text, lora: tokens.text, default: \"${d.path}\"}}}
  extra: {uses: join, foreach: [strategy, d], in: {parts: [tokens, {by: strategy, lora: [embedding, a.txt], default: null}], header: {by: d.share, 0.5: tokens, default: null}}}
";
    insta::assert_snapshot!(show(&folder, &good(&folder, text, &set(&[]))), @r"
    tokens[d=d1]
    tokens[d=d2]
    embedding[d=d1] text<-tokens[d=d1].text
    embedding[d=d2] text<-tokens[d=d2].text
    data[d=d1,strategy=frozen] text<-embedding[d=d1].text
    data[d=d2,strategy=frozen] text<-embedding[d=d2].text
    data[d=d1,strategy=lora] text<-tokens[d=d1].text
    data[d=d2,strategy=lora] text<-tokens[d=d2].text
    data[d=d1,strategy=none] text<-FOLDER/a.txt
    data[d=d2,strategy=none] text<-FOLDER/b.txt
    extra[d=d1,strategy=frozen] header<-tokens[d=d1].text parts(tokens)<-tokens[d=d1].text
    extra[d=d2,strategy=frozen] parts(tokens)<-tokens[d=d2].text
    extra[d=d1,strategy=lora] header<-tokens[d=d1].text parts(a.txt)<-FOLDER/a.txt parts(embedding)<-embedding[d=d1].text parts(tokens)<-tokens[d=d1].text
    extra[d=d2,strategy=lora] parts(a.txt)<-FOLDER/a.txt parts(embedding)<-embedding[d=d2].text parts(tokens)<-tokens[d=d2].text
    extra[d=d1,strategy=none] header<-tokens[d=d1].text parts(tokens)<-tokens[d=d1].text
    extra[d=d2,strategy=none] parts(tokens)<-tokens[d=d2].text
    ");
}

#[test]
fn what_is_not_chosen_is_no_edge() {
    let folder = Folder::new();
    // Without the profile `a` would wait for itself; the unchosen file does not exist either.
    let text = "celldag: 1
axes: {s: [x, y]}
nodes:
  a: {uses: join, foreach: [s], in: {parts: {by: s, x: ./a.txt, y: b}}}
  b: {uses: join, foreach: [s], in: {parts: {by: s, x: a, y: no/such.txt}}}
profiles: {one: {axes: {s: [x]}}}
";
    let options = LoadOptions { profiles: vec!["one".to_owned()], ..set(&[]) };
    assert_eq!(
        show(&folder, &good(&folder, text, &options)),
        "a[s=x] parts(./a.txt)<-FOLDER/a.txt\nb[s=x] parts(a)<-a[s=x].text\n"
    );
}

#[test]
fn nodes_may_refer_to_each_other_where_jobs_do_not() {
    let folder = Folder::new();
    let text = "celldag: 1
axes: {s: [x, y]}
nodes:
  a: {uses: join, foreach: [s], in: {parts: {by: s, x: ./a.txt, y: b}}}
  b: {uses: join, foreach: [s], in: {parts: {by: s, x: a, y: ./b.txt}}}
  c: {uses: join, foreach: [s], in: {parts: b}}
outputs: {\"${s}/a\": a, \"${s}/b\": b}
";
    insta::assert_snapshot!(show(&folder, &good(&folder, text, &set(&[]))), @r"
    a[s=x] parts(./a.txt)<-FOLDER/a.txt
    b[s=x] parts(a)<-a[s=x].text
    b[s=y] parts(./b.txt)<-FOLDER/b.txt
    a[s=y] parts(b)<-b[s=y].text
    c[s=x] parts(b)<-b[s=x].text
    c[s=y] parts(b)<-b[s=y].text
    x/a <= a[s=x].text
    y/a <= a[s=y].text
    x/b <= b[s=x].text
    y/b <= b[s=y].text
    ");
}

#[test]
fn choices_that_take_nothing_may_complete_each_other() {
    let folder = Folder::new();
    let text = "celldag: 1
axes: {s: [x, y], t: [1, 2]}
nodes:
  a: {uses: make, with: {text: a}}
  b: {uses: make, with: {text: b}}
  c: {uses: join, foreach: [s], in: {parts: [{by: s, x: a, default: null}, {by: s, x: null, y: b}]}}
  d: {uses: join, foreach: [s, t], exclude: [{s: y, t: 2}], in: {parts: [{by: s, x: a, y: []}, {by: t, 1: b, 2: []}]}}
  e: {uses: join, foreach: [s], exclude: [{s: y}], in: {parts: {by: s, x: a, y: []}}}
";
    insta::assert_snapshot!(show(&folder, &good(&folder, text, &set(&[]))), @r"
    a
    b
    c[s=x] parts(a)<-a.text
    c[s=y] parts(b)<-b.text
    d[s=x,t=1] parts(a)<-a.text parts(b)<-b.text
    d[s=x,t=2] parts(a)<-a.text
    d[s=y,t=1] parts(b)<-b.text
    e[s=x] parts(a)<-a.text
    ");
}

#[test]
fn a_parameter_is_chosen_by_the_value_of_an_axis() {
    let folder = Folder::new();
    let text = "celldag: 1
axes: {model: [scbert, uce, scgpt], n: [1, 2]}
nodes:
  a:
    uses: make
    foreach: [model, n]
    with:
      text: {by: model, scbert: mean, default: \"cls${n}\"}
      tags: {by: n, 1: [one], 2: []}
      note: {by: model, uce: null, default: yes}
      weights: {by: 0.5, default: 1}
";
    let jobs = good(&folder, text, &set(&[])).jobs;
    let shown: Vec<String> = jobs
        .iter()
        .map(|job| {
            let of = |name: &str| job.params.get(name).cloned().unwrap_or_default();
            format!("{} {} {} {}", job.id, of("text"), of("tags"), of("note"))
        })
        .collect();
    insta::assert_snapshot!(shown.join("\n"), @r###"
    a[model=scbert,n=1] "mean" ["one"] "yes"
    a[model=scbert,n=2] "mean" [] "yes"
    a[model=uce,n=1] "cls1" ["one"] null
    a[model=uce,n=2] "cls2" [] null
    a[model=scgpt,n=1] "cls1" ["one"] "yes"
    a[model=scgpt,n=2] "cls2" [] "yes"
    "###);
    // A parameter that takes mappings keeps them.
    assert_eq!(jobs[0].params.get("weights"), Some(&json!({"by": 0.5, "default": 1.0})));
}

#[test]
fn include_brings_back_what_exclude_took() {
    let folder = Folder::new();
    let text = "celldag: 1
axes: {m: [x, y], n: {range: [0, 7, 3]}}
nodes:
  a: {uses: make, foreach: [m, n], with: {text: x}, exclude: [{m: y}], include: [{m: y, n: [3, 6]}], when: \"${n} != 6\"}
";
    let ids: Vec<String> = good(&folder, text, &set(&[])).jobs.into_iter().map(|job| job.id).collect();
    assert_eq!(ids, ["a[m=x,n=0]", "a[m=x,n=3]", "a[m=y,n=3]"]);
}

const CASES: &[Case] = &[
    (
        "choices of inputs",
        "celldag: 1\naxes: {s: [frozen, lora], t: [1]}\nnodes:\n  a: {uses: make, with: {text: x}}\n  b: {uses: count, foreach: [s], in: {text: {by: s, frozen: a, loar: a}}}\n  c: {uses: count, foreach: [s], in: {text: {by: t, 1: a}}}\n  d: {uses: count, foreach: [s], in: {text: {by: strategy, frozen: a}}}\n  e: {uses: count, foreach: [s], in: {text: {by: \"${s}\", frozen: a}}}\n  f: {uses: count, foreach: [s], in: {text: {by: s}}}\n  g: {uses: count, in: {text: {by: [s], frozen: a}}}\n",
        &[],
    ),
    (
        "missing and empty choices",
        "celldag: 1\naxes: {s: [frozen, lora]}\nnodes:\n  a: {uses: make, with: {text: x}}\n  b: {uses: count, foreach: [s], in: {text: {by: s, frozen: a}}}\n  c: {uses: count, foreach: [s], in: {text: {by: s, frozen: a, default: null}}}\n  d: {uses: count, foreach: [s], in: {text: {by: s, frozen: a, default: [a, ./a.txt]}}}\n  e: {uses: count, foreach: [s], in: {text: {by: s, frozen: a}}, exclude: [{s: lora}]}\n",
        &[],
    ),
    (
        "nothing on ports that need something",
        "celldag: 1\naxes: {s: [frozen, lora]}\nnodes:\n  a: {uses: make, with: {text: x}}\n  b: {uses: count, foreach: [s], in: {text: {by: s, frozen: [], lora: a}}}\n  c: {uses: join, foreach: [s], in: {parts: {by: s, frozen: a, default: null}}}\n  d: {uses: join, foreach: [s], in: {parts: [{by: s, frozen: a, lora: []}, {by: s, frozen: null, default: null}]}}\n  e: {uses: join, foreach: [s], in: {parts: [a, {by: s, frozen: ./a.txt, lora: []}], header: {by: s, frozen: a, lora: []}}}\n",
        &[],
    ),
    (
        "wrong things to choose",
        "celldag: 1\naxes: {s: [frozen, lora], d: {from: data.tsv, key: id}}\nnodes:\n  a: {uses: make, with: {text: x}}\n  n: {uses: count, in: {text: a}}\n  b: {uses: count, foreach: [s], in: {text: {by: s, frozen: n.number, lora: aa.text}}}\n  c: {uses: count, foreach: [d], in: {text: {by: d.shar, default: a}}}\n  e: {uses: count, foreach: [s], in: {text: {by: s.x, default: {by: s, default: a}}}}\n",
        &[],
    ),
    (
        "choices of parameters",
        "celldag: 1\naxes: {m: [scbert, uce]}\nnodes:\n  a: {uses: make, foreach: [m], with: {text: {by: m, scbret: mean, uce: x}}}\n  b: {uses: make, foreach: [m], with: {text: x, times: {by: m, scbert: 3}}}\n  c: {uses: make, foreach: [m], with: {text: x, times: {by: m, scbert: many, default: 2000}}}\n  d: {uses: make, with: {text: {by: m, default: x}}}\n  e: {uses: make, with: {text: {by: , default: x}}}\n",
        &[],
    ),
    (
        "a cycle through a choice that some job takes",
        "celldag: 1\naxes: {s: [x, y]}\nnodes:\n  a: {uses: join, foreach: [s], in: {parts: {by: s, x: b, y: ./a.txt}}}\n  b: {uses: join, foreach: [s], in: {parts: a}}\n",
        &[],
    ),
    (
        "include of combinations",
        "celldag: 1\naxes: {m: [x, y]}\nnodes:\n  a: {uses: make, foreach: [m], with: {text: x}, exclude: [{m: y}], include: [{m: z}, {n: 1}, {}]}\n  b: {uses: make, foreach: [m], with: {text: x}, include: [{m: y}]}\n  c: {uses: make, foreach: [m], with: {text: x}, include: x.yaml}\n",
        &[],
    ),
    (
        "ranges",
        "celldag: 1\naxes: {a: {range: [1, 9, 0]}, b: {range: [1, 2, 3, 4]}, c: {range: 1.5}, d: {range: 3, step: 2}, e: {range: [5, 1]}}\nnodes: {n: {uses: make, foreach: [a, b, c, d, e], with: {text: x}}}\n",
        &[],
    ),
];

#[test]
fn mistakes_in_choices() {
    snapshot("choices", CASES);
}
