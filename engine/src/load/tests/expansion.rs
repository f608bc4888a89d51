//! What valid pipelines expand to.

use std::fmt::Write as _;
use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, Instant};

use serde_json::json;

use super::{Folder, set, with_nodes};
use crate::load::LoadOptions;
use crate::pipeline::{Pipeline, Source};

/// Jobs with parameters and inputs, one line each.
pub(super) fn show(folder: &Folder, pipeline: &Pipeline) -> String {
    let mut out = String::new();
    for job in &pipeline.jobs {
        out.push_str(&job.id);
        for input in &job.inputs {
            let source = match &input.source {
                Source::Path(path) => path.display().to_string(),
                Source::Job { job, port } => format!("{}.{port}", pipeline.jobs[*job].id),
            };
            let label = if input.label.is_empty() { String::new() } else { format!("({})", input.label) };
            let _ = write!(out, " {}{label}<-{source}", input.port);
        }
        out.push('\n');
    }
    for output in &pipeline.outputs {
        let _ =
            writeln!(out, "{} <= {}.{}", output.path.display(), pipeline.jobs[output.job].id, output.port);
    }
    folder.tidy(&out)
}

pub(super) fn good(folder: &Folder, text: &str, options: &LoadOptions) -> Pipeline {
    folder.load(text, options).unwrap_or_else(|findings| panic!("{}", findings.one_line_each()))
}

#[test]
fn axes_join_by_name_and_gather_takes_the_rest() {
    let folder = Folder::new();
    let text = "celldag: 1
axes:
  d: {from: data.tsv, key: id}
  m: [x, y]
  n: {range: [1, 3]}
nodes:
  table: {uses: join, in: {parts: {gather: sum.text}, header: note}}
  note: {uses: make, with: {text: all}}
  base: {uses: count, foreach: [d], in: {text: \"${d.path}\"}, with: {scale: \"${d.share}\"}}
  parts: {uses: make, foreach: [n, m], with: {text: \"${m}${n}\", times: \"${n}\"}, exclude: [{m: y, n: 2}]}
  sum: {uses: join, foreach: [m], in: {parts: {gather: parts}}}
  mixed: {uses: join, foreach: [m], in: {parts: [note, sum.text, a.txt, {gather: parts.text}]}}
  one: {uses: join, in: {parts: {gather: note.text}, header: [note]}}
outputs:
  \"results/${m}.txt\": sum
  ./table.txt: table.text
";
    let pipeline = good(&folder, text, &set(&[]));
    assert_eq!(pipeline.tables, [folder.0.path().join("data.tsv")], "outputs must not overwrite it");
    insta::assert_snapshot!(show(&folder, &pipeline), @r"
    note
    base[d=d1] text<-FOLDER/a.txt
    base[d=d2] text<-FOLDER/b.txt
    parts[m=x,n=1]
    parts[m=x,n=2]
    parts[m=y,n=1]
    sum[m=x] parts(n=1)<-parts[m=x,n=1].text parts(n=2)<-parts[m=x,n=2].text
    sum[m=y] parts(n=1)<-parts[m=y,n=1].text
    table header<-note.text parts(m=x)<-sum[m=x].text parts(m=y)<-sum[m=y].text
    mixed[m=x] parts(a.txt)<-FOLDER/a.txt parts(note)<-note.text parts(parts[n=1])<-parts[m=x,n=1].text parts(parts[n=2])<-parts[m=x,n=2].text parts(sum)<-sum[m=x].text
    mixed[m=y] parts(a.txt)<-FOLDER/a.txt parts(note)<-note.text parts(parts[n=1])<-parts[m=y,n=1].text parts(sum)<-sum[m=y].text
    one header<-note.text parts(note)<-note.text
    results/x.txt <= sum[m=x].text
    results/y.txt <= sum[m=y].text
    table.txt <= table.text
    ");
}

#[test]
fn values_keep_their_type_through_parameters_axes_and_tables() {
    let folder = Folder::new();
    let text = "celldag: 1
params: {times: 007, upper: false, tags: [no, 1e4, \"${{}\"], word: 007, note: null}
axes: {d: {from: data.tsv, key: id}}
nodes:
  a: {uses: make, with: {text: \"${word}\", times: \"${times}\", upper: \"${upper}\", tags: \"${tags}\", note: \"${note}\"}}
  b: {uses: make, with: {text: \"n=${times} $${x}\", note: 12, tags: [\"${word}\", x]}}
  c: {uses: count, foreach: [d], in: {text: a}, with: {scale: \"${d.share}\"}}
"
    .replace("\"${{}\"", "z");
    let pipeline = good(&folder, &text, &set(&[]));
    let params = |id: &str| json!(pipeline.jobs.iter().find(|job| job.id == id).unwrap().params.0);
    assert_eq!(
        params("a"),
        json!({"text": "007", "times": 7, "upper": false, "tags": ["no", "1e4", "z"], "note": null, "weights": {}, "threads": 1})
    );
    assert_eq!(
        params("b"),
        json!({"text": "n=007 ${x}", "times": 1, "upper": false, "tags": ["007", "x"], "note": "12", "weights": {}, "threads": 1})
    );
    assert_eq!(params("c[d=d2]"), json!({"unit": "words", "scale": 0.001}));

    let pipeline =
        good(&folder, &text, &set(&[("times", "1e1"), ("word", "no"), ("tags", "[on, 5]"), ("note", "")]));
    let a = &pipeline.jobs.iter().find(|job| job.id == "a").unwrap().params;
    assert_eq!((a.get("times"), a.get("text")), (Some(&json!(10)), Some(&json!("no"))));
    assert_eq!((a.get("tags"), a.get("note")), (Some(&json!(["on", "5"])), Some(&json!(""))));
}

#[test]
fn profiles_change_parameters_axes_and_pick_rows() {
    let folder = Folder::new();
    let text = "celldag: 1
params: {times: 5, size: 9}
axes: {d: {from: data.tsv, key: id}, m: [x, y], n: {range: \"${size}\"}}
nodes:
  a: {uses: make, foreach: [d, m, n], with: {text: \"${d.path}\", times: \"${times}\"}}
profiles:
  smoke: {params: {times: 1}, axes: {d: [d2], m: [z], n: {range: 2}}}
";
    let options = |profile: Option<&str>, pairs| LoadOptions {
        profiles: profile.map(Into::into).into_iter().collect(),
        ..set(pairs)
    };
    assert_eq!(good(&folder, text, &options(None, &[])).jobs.len(), 2 * 2 * 9);
    assert_eq!(good(&folder, text, &options(None, &[("size", "1")])).jobs.len(), 4);
    let smoke = good(&folder, text, &options(Some("smoke"), &[]));
    let ids: Vec<_> = smoke.jobs.iter().map(|job| job.id.as_str()).collect();
    assert_eq!(ids, ["a[d=d2,m=z,n=0]", "a[d=d2,m=z,n=1]"]);
    assert_eq!(smoke.jobs[0].params.get("text"), Some(&json!("b.txt")));
    assert_eq!(smoke.jobs[0].params.get("times"), Some(&json!(1)));
    let both = good(&folder, text, &options(Some("smoke"), &[("times", "3")]));
    assert_eq!(both.jobs[0].params.get("times"), Some(&json!(3)));
    let options = LoadOptions { profiles: vec!["smoke".to_owned(), "more".to_owned()], ..set(&[]) };
    let more =
        good(&folder, &format!("{text}  more: {{params: {{times: 2}}, axes: {{m: [y]}}}}\n"), &options);
    let ids: Vec<_> = more.jobs.iter().map(|job| job.id.as_str()).collect();
    assert_eq!(ids, ["a[d=d2,m=y,n=0]", "a[d=d2,m=y,n=1]"], "the later profile wins where both speak");
    assert_eq!(more.jobs[0].params.get("times"), Some(&json!(2)));
    assert_eq!(smoke.warnings.len(), 1, "`size` is unused under the profile: {:?}", smoke.warnings);
}

#[test]
fn options_of_a_node_reach_its_jobs() {
    let folder = Folder::new();
    let text = "celldag: 1
name: study
salt: v2
numerics: strict
nodes:
  a: {uses: make, with: {text: x}, keep: temp, retries: 2, timeout: 1h30m, resources: {threads: 3, gpu: 1}}
  b: {uses: shout, in: {text: a}, keep: always}
";
    let pipeline = good(&folder, text, &set(&[]));
    assert_eq!(
        (pipeline.name.as_str(), pipeline.salt.as_str(), pipeline.strict_numerics),
        ("study", "v2", true)
    );
    let [a, b] = pipeline.jobs.as_slice() else { panic!("two jobs") };
    assert_eq!(
        (a.temporary, a.retries.transient, a.resources.threads, a.uses_device),
        (true, 2, Some(3), true)
    );
    assert_eq!(a.timeout, Some(Duration::from_secs(5400)));
    assert_eq!(
        (b.temporary, b.retries.transient, b.resources.threads, b.timeout, b.uses_device),
        (false, 0, None, None, true)
    );
    assert_eq!(good(&folder, &with_nodes("  a: {uses: make, with: {text: x}}"), &set(&[])).name, "pipeline");
}

#[test]
fn a_condition_drops_jobs_and_gather_takes_what_is_left() {
    let folder = Folder::new();
    let text = "celldag: 1
params: {report: false}
axes: {m: [x, y, z]}
nodes:
  a: {uses: make, foreach: [m], with: {text: x, times: \"${m}\"}, when: \"${m} != y\"}
  all: {uses: join, in: {parts: {gather: a}}}
  report: {uses: join, in: {parts: all}, when: \"${report}\"}
"
    .replace(", times: \"${m}\"", "");
    let pipeline = good(&folder, &text, &set(&[]));
    assert_eq!(
        show(&folder, &pipeline),
        "a[m=x]\na[m=z]\nall parts(m=x)<-a[m=x].text parts(m=z)<-a[m=z].text\n"
    );
    assert_eq!(good(&folder, &text, &set(&[("report", "true")])).jobs.len(), 4);
}

#[test]
fn a_list_goes_without_a_gather_that_a_condition_emptied() {
    let folder = Folder::new();
    let text = "celldag: 1
params: {more: false}
nodes:
  a: {uses: make, with: {text: x}}
  b: {uses: make, with: {text: y}, when: \"${more}\"}
  all: {uses: join, in: {parts: [a, {gather: b}]}}
";
    assert_eq!(show(&folder, &good(&folder, text, &set(&[]))), "a\nall parts(a)<-a.text\n");
    let with = good(&folder, text, &set(&[("more", "true")]));
    assert_eq!(show(&folder, &with), "a\nb\nall parts(a)<-a.text parts(b)<-b.text\n");
}

#[test]
fn jobs_that_name_no_axis_share_their_parameters() {
    let folder = Folder::new();
    let text = "celldag: 1
axes: {m: [x, y], n: {range: 3}}
nodes: {a: {uses: make, foreach: [m, n], with: {text: \"${m}\"}}}
";
    let jobs = good(&folder, text, &set(&[])).jobs;
    assert!(Arc::ptr_eq(&jobs[0].params, &jobs[2].params));
    assert!(!Arc::ptr_eq(&jobs[0].params, &jobs[3].params));
}

#[test]
fn paths_start_at_the_folder_of_the_file() {
    let folder = Folder::new();
    fs_err::create_dir(folder.0.path().join("sub")).unwrap();
    let text = with_nodes("  a.b: 1\n").replace("  a.b: 1\n", "  b: {uses: count, in: {text: ./a.txt}}\n");
    fs_err::write(folder.0.path().join("sub/p.yaml"), text.replace("./a.txt", "../a.txt")).unwrap();
    let file = folder.0.path().join("sub/p.yaml");
    let pipeline =
        crate::load(&file, None, &crate::testing::registry(), &set(&[])).unwrap_or_else(|e| panic!("{e}"));
    assert_eq!(pipeline.root, folder.0.path().join("sub"));
    let Source::Path(path) = &pipeline.jobs[0].inputs[0].source else { panic!("a path") };
    assert_eq!(path, Path::new(&folder.0.path().join("sub/../a.txt")));
    let pipeline = good(&folder, &text, &set(&[]));
    assert_eq!(pipeline.jobs[0].inputs[0].source, Source::Path(folder.0.path().join("a.txt")));
}

/// The reference study of the design: 36 data sets x 9 models x 2 strategies x 10 folds.
pub(super) const STUDY: &str = "celldag: 1
params: {times: 2}
axes:
  dataset: {range: 36}
  model: [tgpt, scbert, geneformer, cellLM, scfoundation, scgpt, cellplm, uce, llama3-8b]
  strategy: [frozen, lora]
  fold: {range: 10}
nodes:
  qc: {uses: make, foreach: [dataset], with: {text: \"${dataset}\", times: \"${times}\"}}
  tokens: {uses: shout, foreach: [dataset, model], in: {text: qc.text}, keep: temp}
  embed: {uses: shout, foreach: [dataset, model], in: {text: tokens.text}}
  train: {uses: join, foreach: [dataset, model, strategy, fold], in: {parts: embed.text, header: qc}, with: {separator: \"${fold}\"}}
  evaluate: {uses: count, foreach: [dataset, model, strategy, fold], in: {text: train}}
  table: {uses: trace, foreach: [dataset], in: {files: {gather: evaluate.number}}}
  all: {uses: trace, in: {files: {gather: table}}}
outputs: {\"results/${dataset}/trace.json\": table}
";

#[test]
fn the_reference_study_expands_fast_and_completely() {
    let folder = Folder::new();
    let start = Instant::now();
    let pipeline = good(&folder, STUDY, &set(&[]));
    let took = start.elapsed();
    assert_eq!(pipeline.jobs.len(), 36 + 36 * 9 * 2 + 36 * 9 * 2 * 10 * 2 + 36 + 1);
    assert_eq!(pipeline.outputs.len(), 36);
    // The budget is generous: a loaded machine and a debug build must pass, a quadratic expansion must not.
    assert!(took < Duration::from_secs(3), "{took:?}");
    for (index, job) in pipeline.jobs.iter().enumerate() {
        for input in &job.inputs {
            let Source::Job { job: producer, .. } = &input.source else { panic!("no files here") };
            assert!(*producer < index);
            let producer = &pipeline.jobs[*producer];
            for (axis, value) in job.coordinates.iter() {
                assert!(
                    producer.coordinates.get(axis).is_none_or(|other| other == value),
                    "{} {}",
                    job.id,
                    producer.id
                );
            }
        }
    }
    let table = pipeline.jobs.iter().find(|job| job.id == "table[dataset=7]").unwrap();
    assert_eq!(table.inputs.len(), 9 * 2 * 10);
    assert_eq!(table.inputs[0].label, "fold=0,model=cellLM,strategy=frozen");
}

#[test]
fn one_kind_on_given_files() {
    let folder = Folder::new();
    let registry = crate::testing::registry();
    let kind = |name: &str| registry.get(name).unwrap().clone();
    let with = |pairs: &[(&str, &str)]| set(pairs).set;
    let file =
        |port: &str, label: &str, name: &str| (port.to_owned(), label.to_owned(), folder.0.path().join(name));

    let pairs = [("text", "007"), ("times", "1e1"), ("tags", "[no, 5]"), ("note", "null"), ("upper", "true")];
    let pipeline = Pipeline::single(kind("make"), &with(&pairs), &[]).unwrap_or_else(|e| panic!("{e}"));
    assert_eq!(
        json!(pipeline.jobs[0].params.0),
        json!({"text": "007", "times": 10, "tags": ["no", "5"], "note": null, "upper": true, "weights": {}, "threads": 1})
    );
    let inputs = [file("parts", "", "b.txt"), file("parts", "a", "a.txt"), file("header", "x", "a.txt")];
    let pipeline = Pipeline::single(kind("join"), &[], &inputs).unwrap_or_else(|e| panic!("{e}"));
    let ports: Vec<_> = pipeline.jobs[0].inputs.iter().map(|i| (i.port.as_str(), i.label.as_str())).collect();
    assert_eq!(ports, [("header", ""), ("parts", "a"), ("parts", "b.txt")]);

    let wrong = [("texts", "x"), ("times", "0"), ("tags", "a"), ("upper", "yes")];
    let findings =
        Pipeline::single(kind("make"), &with(&wrong), &[file("in", "", "a.txt")]).map(|_| ()).unwrap_err();
    let inputs = [file("text", "", "a.txt"), file("text", "", "none.txt")];
    let more = Pipeline::single(kind("count"), &[], &inputs).map(|_| ()).unwrap_err();
    let none = Pipeline::single(kind("count"), &with(&[("unit", "word")]), &[]).map(|_| ()).unwrap_err();
    let all = [findings.one_line_each(), more.one_line_each(), none.one_line_each()].concat();
    insta::assert_snapshot!(folder.tidy(&all), @r#"
    --with texts: kind `make` has no parameter `texts` (did you mean `text`?)
    --with:1:7: --with times: expected a whole number from 1 to 1000, not `0` (how often)
    --with:1:6: --with tags: expected a list, each item a text, not `a` (write [a] for a list of one)
    --with:1:7: --with upper: expected true or false, not `yes` (write true)
    kind `make` needs the parameter `text`: what to write (add --with text=..., a text)
    --in in: kind `make` has no input `in` (it takes no inputs)
    --in text: there is no file FOLDER/none.txt (check the path)
    --in text takes one file (give it once)
    --with:1:6: --with unit: expected one of words, lines, characters, not the text "word" (did you mean `words`?)
    kind `count` needs the input `text` (text): what to count (add --in text=PATH)
    "#);
}

#[test]
fn defaults_that_follow_from_other_parameters_are_written_out() {
    let folder = Folder::new();
    let text = "celldag: 1
nodes:
  usual: {uses: make, with: {text: greeting}}
  given: {uses: make, with: {text: greeting, note: hi}}
  other: {uses: make, with: {text: a}}
";
    let pipeline = good(&folder, text, &set(&[]));
    let note = |node: &str| {
        let job = pipeline.jobs.iter().find(|job| job.node == node).unwrap();
        (job.params.get("note").cloned().unwrap(), job.kind.kind.parts(&job.params).get("greeting").copied())
    };
    assert_eq!(note("usual"), (json!("hello"), Some(3)));
    assert_eq!(note("given"), (json!("hi"), Some(3)));
    assert_eq!(note("other"), (json!(null), None));
    let kind = crate::testing::registry().get("make").unwrap().clone();
    let step = |with: &[(&str, &str)]| {
        let with: Vec<(String, String)> = with.iter().map(|(n, v)| ((*n).into(), (*v).into())).collect();
        Pipeline::single(kind.clone(), &with, &[]).map(|pipeline| pipeline.jobs[0].params.clone())
    };
    // `celldag step` gives the same key, and a text is a text whatever it looks like.
    assert_eq!(step(&[("text", "greeting")]).unwrap(), pipeline.jobs[0].params);
    assert_eq!(step(&[("text", "a"), ("note", "33")]).unwrap().get("note"), Some(&json!("33")));
    assert!(step(&[("text", "a"), ("times", "often")]).is_err());
}
