//! Files that include others: what they become, and that a mistake is shown where it was made.

use serde_json::json;

use super::expansion::{good, show};
use super::mistakes::show_all;
use super::{Folder, set};
use crate::load::LoadOptions;

/// A library in a folder of its own: a path, an axis with a table, and a nested file.
const LIBRARY: &[(&str, &str)] = &[
    ("lib/one.txt", "one"),
    ("lib/sets.csv", "id,file\ns1,one.txt\ns2,one.txt\n"),
    (
        "lib/qc.yaml",
        "celldag: 1
name: standard quality control
params: {cells: one.txt, times: 1, unit: words}
axes: {set: {from: sets.csv, key: id}, d: [d9]}
include: {file: ./deep/last.yaml, as: deep, with: {source: \"${cells}\", times: \"${times}\"}}
secrets: [LIBRARY_TOKEN]
nodes:
  base: {uses: count, in: {text: \"${cells}\"}, with: {unit: \"${unit}\"}}
  each: {uses: count, foreach: [set], in: {text: \"${set.file}\"}}
  both: {uses: trace, foreach: [d], in: {files: [deep_text, base]}}
outputs: {base.json: base}
",
    ),
    (
        "lib/deep/last.yaml",
        "celldag: 1
params: {source: none.txt, times: 5}
nodes:
  copy: {uses: join, in: {parts: \"${source}\"}}
  text: {uses: make, with: {text: \"x${times}\", times: \"${times}\"}}
",
    ),
];

fn library() -> Folder {
    let folder = Folder::new();
    write(&folder, LIBRARY);
    folder
}

fn write(folder: &Folder, files: &[(&str, &str)]) {
    for (name, text) in files {
        let path = folder.0.path().join(name);
        fs_err::create_dir_all(path.parent().unwrap()).unwrap();
        fs_err::write(path, text).unwrap();
    }
}

#[test]
fn an_included_file_has_its_own_parameters_paths_and_names() {
    let folder = library();
    let text = "celldag: 1
params: {copies: 3}
axes: {d: [d1, d2]}
secrets: [OWN_KEY]
include:
  - lib/qc.yaml
  - {file: lib/qc.yaml, as: std, with: {cells: load.text, times: \"${copies}\", unit: lines}}
  - {file: lib/qc.yaml, as: own, with: {cells: b.txt}}
nodes:
  load: {uses: make, with: {text: mine}}
  end: {uses: trace, foreach: [d], in: {files: [std_base.number, std_both, both, {gather: std_each}, std_deep_copy]}}
outputs: {r.json: std_base, \"r/${d}.json\": end}
";
    let pipeline = good(&folder, text, &set(&[]));
    insta::assert_snapshot!(show(&folder, &pipeline), @r"
    load
    base text<-FOLDER/lib/one.txt
    each[set=s1] text<-FOLDER/lib/one.txt
    each[set=s2] text<-FOLDER/lib/one.txt
    deep_copy parts(one.txt)<-FOLDER/lib/one.txt
    deep_text
    both[d=d1] files(base)<-base.number files(deep_text)<-deep_text.text
    both[d=d2] files(base)<-base.number files(deep_text)<-deep_text.text
    std_base text<-load.text
    std_each[set=s1] text<-FOLDER/lib/one.txt
    std_each[set=s2] text<-FOLDER/lib/one.txt
    std_deep_copy parts(load)<-load.text
    std_deep_text
    std_both[d=d1] files(std_base)<-std_base.number files(std_deep_text)<-std_deep_text.text
    std_both[d=d2] files(std_base)<-std_base.number files(std_deep_text)<-std_deep_text.text
    end[d=d1] files(both)<-both[d=d1].trace files(std_base)<-std_base.number files(std_both)<-std_both[d=d1].trace files(std_deep_copy)<-std_deep_copy.text files(std_each[set=s1])<-std_each[set=s1].number files(std_each[set=s2])<-std_each[set=s2].number
    end[d=d2] files(both)<-both[d=d2].trace files(std_base)<-std_base.number files(std_both)<-std_both[d=d2].trace files(std_deep_copy)<-std_deep_copy.text files(std_each[set=s1])<-std_each[set=s1].number files(std_each[set=s2])<-std_each[set=s2].number
    own_base text<-FOLDER/b.txt
    own_each[set=s1] text<-FOLDER/lib/one.txt
    own_each[set=s2] text<-FOLDER/lib/one.txt
    own_deep_copy parts(b.txt)<-FOLDER/b.txt
    own_deep_text
    own_both[d=d1] files(own_base)<-own_base.number files(own_deep_text)<-own_deep_text.text
    own_both[d=d2] files(own_base)<-own_base.number files(own_deep_text)<-own_deep_text.text
    r.json <= std_base.number
    r/d1.json <= end[d=d1].trace
    r/d2.json <= end[d=d2].trace
    ");
    let params = |id: &str| json!(pipeline.jobs.iter().find(|job| job.id == id).unwrap().params.0);
    assert_eq!(params("std_base")["unit"], "lines");
    assert_eq!(params("own_base")["unit"], "words");
    assert_eq!(
        (&params("std_deep_text")["text"], &params("std_deep_text")["times"]),
        (&json!("x3"), &json!(3))
    );
    assert_eq!(params("deep_text")["times"], 1);
    assert_eq!(pipeline.secrets, ["OWN_KEY", "LIBRARY_TOKEN"]);
    assert_eq!(pipeline.included.len(), 6);
    assert!(pipeline.tables[0].ends_with("lib/sets.csv"));
}

#[test]
fn the_included_file_is_a_pipeline_by_itself() {
    let folder = library();
    let file = folder.0.path().join("lib/qc.yaml");
    let pipeline = crate::load(&file, None, &crate::testing::registry(), &set(&[])).unwrap();
    let ids: Vec<&str> = pipeline.jobs.iter().map(|job| job.id.as_str()).collect();
    assert_eq!(ids, ["base", "each[set=s1]", "each[set=s2]", "deep_copy", "deep_text", "both[d=d9]"]);
    assert_eq!(pipeline.outputs.len(), 1);
}

#[test]
fn a_profile_and_a_parameter_of_the_pipeline_reach_included_nodes() {
    let folder = library();
    let text = "celldag: 1
params: {copies: 3}
include: [{file: lib/qc.yaml, as: std, with: {times: \"${copies}\"}}]
profiles: {big: {nodes: {std_deep_text: {resources: {threads: 7}}}, axes: {d: [z]}}}
";
    let options = LoadOptions { profiles: vec!["big".to_owned()], ..set(&[("copies", "4")]) };
    let pipeline = good(&folder, text, &options);
    let job = pipeline.jobs.iter().find(|job| job.node == "std_deep_text").unwrap();
    assert_eq!((job.params.get("times"), job.resources.threads), (Some(&json!(4)), Some(7)));
    assert!(pipeline.jobs.iter().any(|job| job.id == "std_both[d=z]"));
}

#[test]
fn what_the_pipeline_says_about_an_included_node_uses_its_own_parameters() {
    let folder = library();
    let text = "celldag: 1
params: {times: 8, folder: results}
include: {file: lib/qc.yaml, as: std, with: {times: 2}}
nodes: {own: {uses: make, with: {text: x}}}
outputs: {\"${folder}/${times}.json\": std_base}
profiles: {big: {nodes: {std_deep_text: {resources: {threads: \"${times}\"}}}}}
";
    let options = LoadOptions { profiles: vec!["big".to_owned()], ..set(&[]) };
    let pipeline = good(&folder, text, &options);
    assert_eq!(pipeline.outputs[0].path, std::path::Path::new("results/8.json"));
    let job = pipeline.jobs.iter().find(|job| job.node == "std_deep_text").unwrap();
    assert_eq!((job.params.get("times"), job.resources.threads), (Some(&json!(2)), Some(8)));
}

#[test]
fn a_path_that_begins_with_a_parameter_starts_where_the_parameter_was_given() {
    let folder = Folder::new();
    let inner =
        "celldag: 1\nparams: {cells: none.txt}\nnodes: {c: {uses: count, in: {text: \"${cells}\"}}}\n";
    let middle =
        "celldag: 1\nparams: {dir: none}\ninclude: {file: c.yaml, with: {cells: \"${dir}/x.txt\"}}\n";
    let files =
        [("data/x.txt", "right"), ("b/data/x.txt", "wrong"), ("b/b.yaml", middle), ("b/c.yaml", inner)];
    write(&folder, &files);
    let pipeline = good(&folder, "celldag: 1\ninclude: {file: b/b.yaml, with: {dir: data}}\n", &set(&[]));
    assert_eq!(show(&folder, &pipeline), "c text<-FOLDER/data/x.txt\n");
}

#[test]
fn axes_of_equal_text_and_different_meaning_are_not_shared() {
    let folder = Folder::new();
    let node = |axis: &str| format!("nodes: {{n: {{uses: make, foreach: [{axis}], with: {{text: x}}}}}}\n");
    let folds =
        format!("celldag: 1\nparams: {{folds: 2}}\naxes: {{k: {{range: \"${{folds}}\"}}}}\n{}", node("k"));
    let sets = format!("celldag: 1\naxes: {{d: {{from: d.tsv, key: id}}}}\n{}", node("d"));
    write(&folder, &[("f.yaml", &folds), ("1/s.yaml", &sets), ("2/s.yaml", &sets)]);
    write(&folder, &[("1/d.tsv", "id\na\n"), ("2/d.tsv", "id\nb\n")]);
    let twice = |one: &str, two: &str| {
        let text = format!("celldag: 1\ninclude: [{{as: a, {one}}}, {{as: b, {two}}}]\n");
        let found = folder.load(&text, &set(&[])).map(|_| ());
        found.is_err_and(|found| found.items.iter().any(|item| item.code.ends_with("axis_twice")))
    };
    assert!(twice("file: f.yaml, with: {folds: 3}", "file: f.yaml, with: {folds: 5}"));
    assert!(!twice("file: f.yaml, with: {folds: 3}", "file: f.yaml, with: {folds: 3}"));
    assert!(twice("file: 1/s.yaml", "file: 2/s.yaml"));
    assert!(!twice("file: 1/s.yaml", "file: 1/s.yaml"));
}

#[test]
fn values_that_begin_paths_are_shared_only_where_they_mean_the_same_files() {
    let folder = Folder::new();
    let file = |values: &str, path: &str| {
        format!(
            "celldag: 1\naxes: {{c: {values}}}\nnodes: {{n: {{uses: count, foreach: [c], in: {{text: \"{path}\"}}}}}}\n"
        )
    };
    let twice = |values: &str, path: &str, extra: &str| {
        let (one, two) = (file(values, path), file(values, path));
        write(&folder, &[("1/s.yaml", &one), ("2/s.yaml", &two)]);
        let text =
            format!("celldag: 1\ninclude: [{{as: a, file: 1/s.yaml}}, {{as: b, file: 2/s.yaml}}]\n{extra}");
        folder.load(&text, &set(&[]))
    };
    write(
        &folder,
        &[("1/x.txt", "one"), ("2/x.txt", "two"), ("both.txt", "three"), ("t.csv", "id,at\nr,x.txt\n")],
    );
    let refused = |values: &str, path: &str| {
        let found = twice(values, path, "").map(|_| ()).unwrap_err();
        let item = found.items.iter().find(|item| item.code.ends_with("axis_twice")).unwrap();
        assert!(
            item.to_string().contains("begin paths: in their folders these are different files"),
            "{item}"
        );
        let places = item.to_json()["related"].to_string();
        for told in ["and here", "this path begins with a value of it"] {
            assert!(places.contains(told), "{told} in {places}");
        }
    };
    refused("[x.txt]", "${c}");
    refused("[x]", "${c}.txt");
    refused("{from: ../t.csv, key: id}", "${c.at}");
    // The same file from both folders, or a value inside a path: nothing can be mixed up.
    let same = twice("[../both.txt]", "${c}", "").unwrap_or_else(|found| panic!("{found}"));
    assert_eq!(same.jobs.len(), 2);
    let inside = twice("[x]", "./${c}.txt", "").unwrap_or_else(|found| panic!("{found}"));
    assert_eq!(show(&folder, &inside), "a_n[c=x] text<-FOLDER/1/x.txt\nb_n[c=x] text<-FOLDER/2/x.txt\n");
    // The file that includes both says which files are meant.
    let outer = twice("[x.txt]", "${c}", "axes: {c: [both.txt]}\n").unwrap_or_else(|found| panic!("{found}"));
    let lines = "a_n[c=both.txt] text<-FOLDER/both.txt\nb_n[c=both.txt] text<-FOLDER/both.txt\n";
    assert_eq!(show(&folder, &outer), lines);
    // Also from further up.
    write(
        &folder,
        &[("m.yaml", "celldag: 1\ninclude: [{as: a, file: 1/s.yaml}, {as: b, file: 2/s.yaml}]\n")],
    );
    write(&folder, &[("1/s.yaml", &file("[x.txt]", "${c}")), ("2/s.yaml", &file("[x.txt]", "${c}"))]);
    let text = "celldag: 1\ninclude: [{as: m, file: m.yaml}]\naxes: {c: [both.txt]}\n";
    let further = folder.load(text, &set(&[])).unwrap_or_else(|found| panic!("{found}"));
    assert_eq!(show(&folder, &further), lines.replace("a_n", "m_a_n").replace("b_n", "m_b_n"));
}

/// Name, the pipeline, other files.
type Case = (&'static str, &'static str, &'static [(&'static str, &'static str)]);

const CASES: &[Case] = &[
    (
        "mistakes in both files, at once",
        "celldag: 1\ninclude: [{file: lib/bad.yaml, as: std}]\nnodes:\n  a: {uses: mke, with: {text: x}}\n  b: {uses: count, in: {text: std_q.text}}\n",
        &[(
            "lib/bad.yaml",
            "celldag: 1\nparams: {n: 2000}\nnodes:\n  qc: {uses: make, with: {text: x, times: \"${n}\"}}\n  b: {uses: count, in: {txt: qc}}\n  c: {uses: count, in: {text: data/none.txt}}\n  d: {uses: count, in: {text: a}}\n",
        )],
    ),
    (
        "a wrong value that the including file gives",
        "celldag: 1\ninclude:\n  - {file: lib/take.yaml, with: {n: many, m: 1}}\n",
        &[(
            "lib/take.yaml",
            "celldag: 1\nparams: {n: 1}\nnodes:\n  qc: {uses: make, with: {text: x, times: \"${n}\"}}\n",
        )],
    ),
    (
        "no such file, no such version, not YAML, empty",
        "celldag: 1\ninclude: [lib/qx.yaml, lib/old.yaml, lib/broken.yaml, lib/empty.yaml]\nnodes: {a: {uses: count, in: {text: qc.text}}}\noutputs: {r: qc}\n",
        &[
            ("lib/old.yaml", "celldag: 7\nnodes: {o: {uses: make, with: {text: x}}}\n"),
            ("lib/broken.yaml", "celldag: 1\nnodes: [\n"),
            ("lib/empty.yaml", "# nothing\n"),
        ],
    ),
    (
        "files that include each other",
        "celldag: 1\ninclude: [x.yaml]\nnodes: {a: {uses: make, with: {text: x}}}\n",
        &[
            ("x.yaml", "celldag: 1\ninclude: [sub/y.yaml]\n"),
            ("sub/y.yaml", "celldag: 1\ninclude: [../x.yaml]\n"),
        ],
    ),
    (
        "two nodes of one name",
        "celldag: 1\ninclude: [lib/take.yaml, {file: lib/take.yaml, as: std}, lib/take.yaml]\nnodes: {qc: {uses: make, with: {text: x}}, std_qc: {uses: make, with: {text: x}}}\n",
        &[("lib/take.yaml", "celldag: 1\nnodes: {qc: {uses: make, with: {text: x}}}\n")],
    ),
    (
        "axes that differ, and one that is a parameter elsewhere",
        "celldag: 1\ninclude: [one.yaml, two.yaml]\naxes: {k: [1]}\nnodes: {a: {uses: make, foreach: [k], with: {text: x}}}\n",
        &[
            (
                "one.yaml",
                "celldag: 1\naxes: {m: [x]}\nnodes: {b: {uses: make, foreach: [m], with: {text: x}}}\n",
            ),
            (
                "two.yaml",
                "celldag: 1\nparams: {k: 1}\naxes: {m: [x, y]}\nnodes: {c: {uses: make, foreach: [m], with: {text: \"${k}\"}}}\n",
            ),
        ],
    ),
    (
        "how include is written",
        "celldag: 1\nparams: {f: x.yaml}\naxes: {m: [x]}\ninclude:\n  - {with: {n: 1}}\n  - \"${f}\"\n  - {file: take.yaml, as: a b, params: {}}\n  - {file: take.yaml, as: c, with: {n: \"${m}\", text: \"${q}\"}}\n  - [take.yaml]\nnodes: {a: {uses: make, foreach: [m], with: {text: \"${f}\"}}}\n",
        &[(
            "take.yaml",
            "celldag: 1\nparams: {n: 1, text: x}\nnodes: {qc: {uses: make, with: {text: \"${text}\", times: \"${n}\"}}}\n",
        )],
    ),
    (
        "a parameter of the including file is not there",
        "celldag: 1\nparams: {outer: 1}\ninclude: [take.yaml]\nnodes: {a: {uses: make, with: {text: \"${outer}\"}}}\n",
        &[(
            "take.yaml",
            "celldag: 1\nparams: {outr: 1}\nnodes: {qc: {uses: make, with: {text: \"${outer}\", times: \"${outr}\"}}}\n",
        )],
    ),
];

#[test]
fn mistakes_are_shown_in_the_file_where_they_were_made() {
    let mut shown = String::new();
    for (name, text, files) in CASES {
        let folder = Folder::new();
        write(&folder, files);
        show_all(&folder, name, text, &set(&[]), &mut shown);
    }
    insta::with_settings!({ prepend_module_to_snapshot => false, omit_expression => true }, {
        insta::assert_snapshot!("includes", shown);
    });
}

#[test]
fn a_mistake_is_drawn_with_both_files() {
    let folder = Folder::new();
    write(&folder, CASES[0].2);
    let findings = folder.load(CASES[0].1, &set(&[])).map(|_| ()).unwrap_err();
    let item = findings.items.iter().find(|item| item.code.ends_with("unknown_port")).unwrap();
    let mut drawn = String::new();
    miette::NarratableReportHandler::new().render_report(&mut drawn, item).unwrap();
    let (inner, outer) = (drawn.find("lib/bad.yaml").unwrap(), drawn.find("pipeline.yaml").unwrap());
    assert!(inner < outer && drawn.contains("included here"), "{drawn}");
    let json = item.to_json();
    assert!(json["file"].as_str().unwrap().ends_with("lib/bad.yaml"), "{json}");
    assert!(json["related"][0]["file"].as_str().unwrap().ends_with("pipeline.yaml"), "{json}");
    assert_eq!((&json["place"]["line"], &json["related"][0]["line"]), (&5.into(), &2.into()));
}
