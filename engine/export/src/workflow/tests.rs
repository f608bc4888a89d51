//! A workflow says exactly what the jobs of its pipeline say.

use proptest::prelude::*;

use super::*;
use crate::testing::{Folder, inputs_of, params_of};

/// Reads the jobs back off the rules, whether or not nodes are divided.
fn agrees(pipeline: &Pipeline) -> Workflow {
    says_the_jobs(&Workflow::without_circles(pipeline).unwrap(), pipeline);
    let workflow = Workflow::of(pipeline).unwrap();
    says_the_jobs(&workflow, pipeline);
    workflow
}

fn says_the_jobs(workflow: &Workflow, pipeline: &Pipeline) {
    let mut seen = 0;
    for rule in &workflow.rules {
        for (index, at) in rule.jobs.iter().zip(&rule.combinations) {
            let job = &pipeline.jobs[*index];
            assert_eq!((&rule.node, at), (&job.node, &*job.coordinates));
            assert_eq!(params_of(rule, at), *job.params, "{}", job.id);
            assert_eq!(inputs_of(workflow, rule, at), job.inputs, "{}", job.id);
            let needs = rule.needs.at(at).unwrap();
            assert_eq!((needs.threads, needs.gpus), (job.resources.threads, job.resources.gpus));
            seen += 1;
        }
    }
    assert_eq!(seen, pipeline.jobs.len());
    let mut paths: Vec<(usize, &str, &PathBuf)> = Vec::new();
    for entry in &workflow.outputs {
        let jobs = &workflow.rules[entry.rule].jobs;
        let given = jobs
            .iter()
            .zip(&entry.paths)
            .filter_map(|(job, path)| Some((*job, &*entry.port, path.as_ref()?)));
        paths.extend(given);
    }
    let wanted: Vec<_> = pipeline.outputs.iter().map(|o| (o.job, &*o.port, &o.path)).collect();
    assert_eq!(paths, wanted);
}

#[test]
fn rules_without_circles() {
    let pipeline = Folder::new().load(
        "celldag: 1
axes: {way: [up, down, side]}
nodes:
  first: {uses: make, foreach: [way], with: {text: x}}
  a: {uses: make, foreach: [way], in: {file: {by: way, up: b.text, down: first.text, side: first.text}}, with: {text: a}}
  b: {uses: make, foreach: [way], in: {file: {by: way, up: first.text, default: a.text}}, with: {text: b}}
  all: {uses: join, in: {parts: [{gather: a.text}, {gather: b.text}]}}
",
    );
    let workflow = agrees(&pipeline);
    let circle = |workflow: &Workflow| {
        let above = above(
            &pipeline,
            &rule_of(&pipeline, &workflow.rules.iter().map(|rule| rule.jobs.clone()).collect::<Vec<_>>()),
            workflow.rules.len(),
        );
        above.iter().enumerate().any(|(rule, above)| above.contains(&rule))
    };
    assert!(circle(&workflow));
    let divided = Workflow::without_circles(&pipeline).unwrap();
    assert!(!circle(&divided));
    let jobs = |node: &str| -> Vec<usize> {
        divided.rules.iter().filter(|rule| rule.node == node).map(|rule| rule.jobs.len()).collect()
    };
    assert_eq!(
        [jobs("first"), jobs("a"), jobs("b"), jobs("all")],
        [vec![3], vec![2, 1], vec![1, 2], vec![1]]
    );
}

#[test]
fn a_study_with_everything_that_a_file_can_say() {
    let folder = Folder::new();
    let pipeline = folder.load(
        "celldag: 1
axes:
  model: [b/1, a, c]
  fold: {range: 11}
  strategy: [frozen, lora]
  data: {from: data.tsv, key: id}
nodes:
  read: {uses: make, foreach: [data], in: {file: \"${data.path}\"}, with: {text: \"${data}\", share: \"${data.share}\"}}
  frozen: {uses: join, foreach: [data, model], in: {parts: read}, resources: {threads: 2}}
  lora:
    {uses: join, foreach: [data, model], when: \"${model} in [a, c]\", in: {parts: [read, a.txt], one: read}}
  model:
    uses: make
    foreach: [data, model, strategy, fold]
    exclude: [{model: b/1, strategy: lora}, {fold: 3, model: a}]
    in: {file: {by: strategy, frozen: frozen.text, lora: lora.text}}
    with: {text: \"${fold}\", times: \"${fold}\"}
    keep: temp
  all: {uses: join, foreach: [data], in: {parts: {gather: model}, one: read}}
  each: {uses: join, foreach: [data, model], in: {parts: [{gather: model.text}, {gather: lora}, frozen]}}
outputs:
  \"out/${data}.txt\": all.text
  \"out/${data}/${model}.txt\": each.text
",
    );
    let workflow = agrees(&pipeline);
    let model = workflow.rules.iter().find(|rule| rule.node == "model").unwrap();
    assert_eq!(model.axes, ["model", "fold", "strategy", "data"], "as in the file");
    assert_eq!(model.ident, "model_2", "an axis has the name");
    let text = &model.params.iter().find(|(name, _)| name == "text").unwrap().1;
    assert!(matches!(text, Setting::Table(table) if table.axes == ["fold"]));
    let [file] = model.feeds.as_slice() else { panic!("one port") };
    assert!(matches!(&file.items, Setting::Table(table) if table.axes == ["strategy"]), "{:?}", file.items);
    let all = workflow.rules.iter().find(|rule| rule.node == "all").unwrap();
    let Some([Item::Gather { over, members: Setting::Same(members), .. }]) =
        all.feeds[0].items.same().map(Vec::as_slice)
    else {
        panic!("{:?}", all.feeds[0])
    };
    assert_eq!(over, &["fold", "model", "strategy"], "as labels are written");
    assert_eq!(members[1], ["0", "a", "lora"]);
    assert_eq!(members.len(), 11 * 5 - 2);
}

#[test]
fn parameters_come_back_as_they_were() {
    let folder = Folder::new();
    for with in [
        "text: '33'",
        "text: ''",
        "text: 'null'",
        "text: \"a 'b' \\\"c\\\" ${x} \\\\n\"",
        "text: 'a', tags: ['1', 'b, c', '', 'null', \"it's \\\"q\\\" \\u00e9\"]",
        "text: a, tags: []",
        "text: a, share: 1e-3",
        "text: a, share: 1",
        "text: a, times: 7, upper: true",
        "text: a, note: hello",
        "text: a, note: '12'",
        "text: greeting",
        "text: greeting, note: bye",
        "text: a, weights: {b: 0.25, 'c d': 1, '7': 0}",
        "text: a, maybe: 4",
        "text: a, unit: lines, threads: 3",
    ] {
        let with = with.replace("${x}", "$${x}");
        let pipeline = folder.load(&format!("celldag: 1\nnodes:\n  a: {{uses: make, with: {{{with}}}}}\n"));
        agrees(&pipeline);
    }
    let filled = folder.load("celldag: 1\nnodes:\n  a: {uses: make, with: {text: greeting}}\n");
    let rule = &agrees(&filled).rules[0];
    assert_eq!(rule.params.len(), 1, "what the kind fills in is not said");
}

#[test]
fn what_cannot_be_a_step_is_refused() {
    let folder = Folder::new();
    let pipeline = folder.load("celldag: 1\nnodes:\n  a: {uses: make, with: {text: a, note: 'null'}}\n");
    let told = Workflow::of(&pipeline).err().unwrap().to_string();
    assert!(told.starts_with("a: the value \"null\" of parameter `note`"), "{told}");
}

#[test]
fn a_program_is_a_file_and_what_differs_between_jobs() {
    let folder = Folder::new();
    let workflow = agrees(&folder.load(
        "celldag: 1
axes: {fold: {range: 2}, tool: [head, tail]}
nodes:
  a: {uses: make, foreach: [fold], with: {text: a}}
  cut:
    uses: exec
    foreach: [fold, tool]
    in: {one: a.text, all: {gather: a}}
    out: {g: g.txt}
    with: {fold: \"${fold}\", words: [x, \"${tool}\"], same: \"7\"}
    env: {A: \"1\"}
    version: [\"${tool}\", --version]
    run: [\"${tool}\", \"{in:one}\", \"{in:all}\", \"{code:a.txt}\", \"{param:fold}\", \"{param:words}\", \"{param:same}\", '{out:g}']
  copy: {uses: exec, in: {f: cut.g}, foreach: [fold, tool], run: [cp, '{in:f}', '{out:g}'], out: {g: g.txt}}
",
    ));
    let given = |rule: &Rule| rule.params.iter().map(|(name, _)| name.clone()).collect::<Vec<_>>().join(" ");
    let cut = &workflow.rules[1];
    assert_eq!((given(cut).as_str(), cut.runs.file()), ("run version fold words", Some("exec/cut.yaml")));
    let copy = &workflow.rules[2];
    assert_eq!((given(copy).as_str(), copy.runs.word()), ("", "exec"));
    let (_, text) = copy.runs.entry().unwrap();
    insta::assert_snapshot!(text);
}

/// The name of a kind says nothing without `CELLDAG_PLUGINS`, and may be that of a built-in one.
#[test]
fn an_executable_is_run_by_its_path() {
    let folder = Folder::new();
    let said =
        r#"{"celldag": 1, "name": "make", "epoch": 1, "about": "", "outputs": [{"name": "o", "file": "o"}]}"#;
    let path = folder.executable("make", &format!("#!/bin/sh\necho '{said}'\n"));
    let workflow = agrees(&folder.load("celldag: 1\nnodes:\n  a: {uses: ./make}\n"));
    assert_eq!(
        std::path::Path::new(workflow.rules[0].runs.word()).canonicalize().unwrap(),
        path.canonicalize().unwrap()
    );
}

#[test]
fn rules_above_a_report_write_summaries() {
    let folder = Folder::new();
    let text = "celldag: 1\nnodes:\n  a: {uses: make, with: {text: a}}\n  b: {uses: join, in: {parts: a}}\n  \
                t: {uses: trace, in: {files: b}}\n  c: {uses: join, in: {parts: t.trace}}\n";
    let workflow = agrees(&folder.load(text));
    let summarised: Vec<&str> =
        workflow.rules.iter().filter(|rule| rule.summarised).map(|rule| rule.node.as_str()).collect();
    assert_eq!(summarised, ["a", "b"]);
    assert_eq!(workflow.rules[2].above, [0, 1]);
}

/// Lengths of three axes, the axes of four nodes, and which combinations are left out.
fn shapes() -> impl Strategy<Value = (Vec<usize>, Vec<Vec<bool>>, Vec<Vec<usize>>)> {
    let lengths = proptest::collection::vec(1usize..4, 3);
    let varies = proptest::collection::vec(proptest::collection::vec(any::<bool>(), 3), 4);
    let excluded = proptest::collection::vec(proptest::collection::vec(0usize..4, 3), 0..4);
    (lengths, varies, excluded)
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 150, ..ProptestConfig::default() })]

    #[test]
    fn any_pipeline_comes_back((lengths, varies, excluded) in shapes()) {
        let folder = Folder::new();
        let mut text = "celldag: 1\naxes:\n".to_owned();
        for (axis, length) in lengths.iter().enumerate() {
            text.push_str(&format!("  x{axis}: {{range: {length}}}\n"));
        }
        text.push_str("nodes:\n");
        for (node, axes) in varies.iter().enumerate() {
            let own: Vec<usize> = (0..3).filter(|axis| axes[*axis]).collect();
            let foreach: Vec<String> = own.iter().map(|axis| format!("x{axis}")).collect();
            let with = own.last().map_or("a".to_owned(), |axis| format!("a${{x{axis}}}"));
            let body = if node == 0 {
                format!("uses: make, with: {{text: \"{with}\"}}")
            } else {
                let others: Vec<String> = (0..node).map(|other| format!("{{gather: n{other}}}")).collect();
                format!("uses: join, with: {{separator: \"{with}\"}}, in: {{parts: [{}]}}", others.join(", "))
            };
            let without: Vec<String> = excluded
                .iter()
                .filter(|_| !own.is_empty())
                .map(|values| {
                    let of = |axis: &usize| format!("x{axis}: {}", values[*axis] % lengths[*axis]);
                    format!("{{{}}}", own.iter().map(of).collect::<Vec<_>>().join(", "))
                })
                .collect();
            text.push_str(&format!(
                "  n{node}: {{foreach: [{}], exclude: [{}], {body}}}\n",
                foreach.join(", "),
                without.join(", ")
            ));
        }
        // Some leave a job without anything to take, which is an error of the pipeline.
        if let Ok(pipeline) = folder.try_load(&text) {
            agrees(&pipeline);
        }
    }
}
