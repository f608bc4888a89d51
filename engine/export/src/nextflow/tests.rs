//! What Nextflow cannot be told is refused; what it can, stands in the sheets as it was.

use std::path::Path;

use serde_json::{Value, json};

use super::{Options, nextflow};
use crate::folder::Files;
use crate::testing::Folder;

fn export(text: &str) -> Result<Files, String> {
    nextflow(&Folder::new().load(text), &Options::default()).map_err(|error| error.to_string())
}

fn main_and_sheet(files: &Files, node: &str) -> (String, Value) {
    let sheet = &files[Path::new(&format!("jobs/{node}.json"))];
    (files[Path::new("main.nf")].clone(), serde_json::from_str(sheet).unwrap())
}

#[test]
fn what_no_program_can_be_given_is_refused() {
    let nul = export("celldag: 1\nnodes: {x: {uses: make, with: {text: \"a\\0b\"}}}\n").unwrap_err();
    assert!(nul.contains("node `x`") && nul.contains("`text`") && nul.contains("NUL"), "{nul}");
}

#[test]
fn nodes_that_take_from_each_other_are_several_processes() {
    let files = export(
        "celldag: 1
axes: {way: [up, down, side]}
nodes:
  a: {uses: make, foreach: [way], in: {file: {by: way, up: b.text, down: ./a.txt, side: ./b.txt}}, with: {text: a}}
  b: {uses: make, foreach: [way], in: {file: {by: way, up: ./a.txt, default: a.text}}, with: {text: b}}
  both: {uses: join, in: {parts: [{gather: a.text}]}}
outputs: {\"${way}.txt\": a.text}
",
    )
    .unwrap();
    let (main, first) = main_and_sheet(&files, "a");
    let (_, second) = main_and_sheet(&files, "a_2");
    let ids = |sheet: &Value| -> Vec<String> {
        sheet.as_array().unwrap().iter().map(|row| row["id"].as_str().unwrap().to_owned()).collect()
    };
    assert_eq!(
        (ids(&first), ids(&second)),
        (vec!["a[way=down]".to_owned(), "a[way=side]".to_owned()], vec!["a[way=up]".to_owned()])
    );
    let call = |name: &str| main.find(&format!("    {name}(")).unwrap_or_else(|| panic!("{name}: {main}"));
    assert!(call("B") < call("A_2") && call("A") < call("B_2") && call("A_2") < call("BOTH"), "{main}");
}

#[test]
fn outputs_of_layers_that_take_turns_are_published_together() {
    let files = export(
        "celldag: 1
axes: {data: {range: 9}, way: [up, down]}
nodes:
  a: {uses: make, foreach: [data, way], in: {file: {by: way, up: b.text, down: ./a.txt}}, with: {text: a}}
  b: {uses: make, foreach: [data, way], in: {file: {by: way, up: ./a.txt, down: a.text}}, with: {text: b}}
outputs: {\"${data}/${way}.txt\": a.text}
",
    )
    .unwrap();
    let (main, sheet) = main_and_sheet(&files, "a");
    assert_eq!((main.matches("publishDir").count(), sheet.as_array().unwrap().len()), (2, 9), "{main}");
}

#[test]
fn names_of_inputs_hide_no_function() {
    let folder = Folder::new();
    folder.executable(
        "own",
        "#!/bin/sh\necho '{\"celldag\": 1, \"name\": \"own\", \"epoch\": 1, \"about\": \"\", \"inputs\": [{\"name\": \"groupKey\"}, {\"name\": \"projectDir\"}, {\"name\": \"batch\"}], \"outputs\": [{\"name\": \"o\", \"file\": \"o\"}]}'\n",
    );
    let text = "celldag: 1\naxes: {n: {range: 2}}\nnodes:\n  m: {uses: make, foreach: [n], with: {text: a}}\n  \
                x: {uses: ./own, foreach: [n], batch: [n], in: {groupKey: m.text, projectDir: m.text, batch: m.text}}\n";
    let files = nextflow(&folder.load(text), &Options::default()).unwrap();
    let (main, _) = main_and_sheet(&files, "x");
    assert!(
        main.contains("{ meta, groupKey_2, projectDir_2, batch_2 -> tuple(groupKey(meta.batch,"),
        "{main}"
    );
}

#[test]
fn hidden_results_are_in_no_batch() {
    let files = export(
        "celldag: 1
axes: {n: {range: 2}}
nodes: {x: {uses: exec, foreach: [n], batch: [n], out: {o: .hidden}, run: [sh, \"{out:o}\", \"${n}\"]}}
",
    )
    .unwrap();
    let (main, _) = main_and_sheet(&files, "x");
    assert!(main.contains("path('out/.hidden', glob: false)") && !main.contains("of_jobs"), "{main}");
}

#[test]
fn results_at_any_path_and_at_several() {
    let files = export(
        "celldag: 1
axes: {a: [\"it's\", '\"q\" $x']}
nodes: {x: {uses: make, foreach: [a], with: {text: t}}, y: {uses: make, with: {text: t}}}
outputs: {\"one/$${a}/${a}.txt\": x.text, \"/abs/${a}.txt\": x.text, y.txt: y.text}
",
    )
    .unwrap();
    let (main, sheet) = main_and_sheet(&files, "x");
    assert_eq!(sheet[0]["a"], "it's");
    assert_eq!(sheet[0]["results"], json!({"out/text.txt": "one/${a}/it's.txt"}));
    assert_eq!(sheet[1]["results_2"], json!({"out/text.txt": "/abs/\"q\" $x.txt"}));
    assert!(main.contains("saveAs: { name -> meta.results_2[name] }"), "{main}");
    assert_eq!(main.matches("publishDir").count(), 3);
    let (_, sheet) = main_and_sheet(&files, "y");
    assert_eq!(sheet[0]["results"], json!({"out/text.txt": "y.txt"}));
}

#[test]
fn processes_stand_behind_what_they_take() {
    // The first job of `a` takes from nothing, so that its node is the first one.
    let files = export(
        "celldag: 1
axes: {way: [file, made]}
nodes:
  a: {uses: make, foreach: [way], in: {file: {by: way, file: ./a.txt, made: b.text}}, with: {text: a}}
  b: {uses: make, with: {text: b}}
",
    )
    .unwrap();
    let (main, sheet) = main_and_sheet(&files, "a");
    assert!(main.find("    B(b_in)") < main.find("    A(a_in)"), "{main}");
    assert_eq!(
        (&sheet[0]["from_file_2"], &sheet[1]["from_file_2"]),
        (&json!("files"), &json!("b")),
        "{sheet}"
    );
}

#[test]
fn attempts_have_their_own_parameters() {
    let files = export(
        "celldag: 1
axes: {big: {range: 2}}
nodes:
  x: {uses: make, with: {text: t}, retries: {transient: 1, out_of_memory: {times: 2, set: {threads: 7}}}}
  y: {uses: device, foreach: [big], in: {cells: a.txt}, retries: {out_of_memory: {times: 7, set: {batch_size: half}}}}
",
    )
    .unwrap();
    let (main, _) = main_and_sheet(&files, "x");
    assert!(main.contains("def threads_now = ['1', '7'].take(task.attempt).last()\n"), "{main}");
    assert!(main.contains("maxRetries 3") && main.contains("--with threads=${quote(threads_now)}"), "{main}");
    let halves = "['64', '32', '16', '8', '4', '2', '1'].take(task.attempt).last()";
    assert!(main.contains(halves) && main.contains("maxRetries 7"), "{main}");
}

#[test]
fn texts_that_do_not_differ_are_quoted_in_each_layer() {
    let files =
        export("celldag: 1\nsalt: \"it's\\n$5\"\nnodes: {x: {uses: make, with: {text: \"a\\n  'b'\"}}}\n")
            .unwrap();
    let (main, _) = main_and_sheet(&files, "x");
    assert!(main.contains(r"--salt \$'it\\'s\\n\$5' \\"), "{main}");
    assert!(main.contains(r"--with \$'text=a\\n  \\'b\\'' \\"), "{main}");
}

#[test]
fn programs_and_executables_are_named_by_their_files() {
    let folder = Folder::new();
    let said =
        r#"{"celldag": 1, "name": "own", "epoch": 1, "about": "", "outputs": [{"name": "o", "file": "o"}]}"#;
    let own = folder.executable("own", &format!("#!/bin/sh\necho '{said}'\n"));
    let text = "celldag: 1\nnodes:\n  a: {uses: exec, in: {f: ./a.txt}, run: [sh, '{code:b.txt}', '{in:f}', '{out:g}'], out: {g: g.txt}}\n  \
                b: {uses: ./own}\n";
    let files = nextflow(&folder.load(text), &Options::default()).unwrap();
    let main = &files[Path::new("main.nf")];
    assert!(main.contains("celldag step exec") && main.contains("--spec ${program_file}"), "{main}");
    assert!(main.contains("file(\"${projectDir}/exec/a.yaml\", checkIfExists: true, glob: false)"), "{main}");
    assert!(files.contains_key(Path::new("exec/a.yaml")));
    let folder = own.parent().unwrap().display().to_string();
    assert!(main.contains(&format!("celldag step {folder}")) && main.contains("/own \\"), "{main}");
}

#[test]
fn no_text_leaves_its_comment() {
    let folder = Folder::new();
    let said = r#"{"celldag": 1, "name": "own", "epoch": 1, "about": "one\\nEVIL()\\rEVIL()", "outputs": [{"name": "o", "file": "o"}]}"#;
    folder.executable("own", &format!("#!/bin/sh\ncat <<'END'\n{}\nEND\n", said.replace("\\\\", "\\")));
    let text = "celldag: 1\nname: \"two\\rEVIL()\\nEVIL()\"\nnodes: {b: {uses: ./own}}\n";
    let files = nextflow(&folder.load(text), &Options::default()).unwrap();
    for name in ["main.nf", "nextflow.config"] {
        let text = &files[Path::new(name)];
        let lines: Vec<&str> = text.split(['\n', '\r']).filter(|line| line.contains("EVIL")).collect();
        assert!(!lines.is_empty() && lines.iter().all(|line| line.starts_with("//")), "{lines:?}");
    }
}
