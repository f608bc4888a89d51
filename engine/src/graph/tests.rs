//! Pictures of a small study.

use super::{NodeGraph, Role};
use crate::load::{LoadOptions, load};
use crate::testing::registry;

fn study() -> NodeGraph {
    let folder = tempfile::tempdir().unwrap();
    for name in ["cells.txt", "x.txt", "y.txt"] {
        fs_err::write(folder.path().join(name), name).unwrap();
    }
    let text = "celldag: 1
name: small <study>
axes: {m: [x, y], n: {range: 10}}
nodes:
  qc: {uses: shout, in: {text: ./cells.txt}}
  embed: {uses: join, foreach: [m], in: {parts: qc.text, header: \"./${m}.txt\"}}
  head: {uses: join, foreach: [m, n], in: {parts: embed.text, header: qc}}
  metrics: {uses: trace, in: {files: [{gather: head}, {gather: embed}, ./cells.txt]}}
";
    let pipeline = load(&folder.path().join("p.yaml"), Some(text), &registry(), &LoadOptions::default())
        .unwrap_or_else(|findings| panic!("{}", findings.one_line_each()));
    NodeGraph::from_pipeline(&pipeline)
}

#[test]
fn one_box_a_node_with_kind_and_jobs() {
    insta::assert_snapshot!(study().to_dot(), @r#"
    digraph "small <study>" {
      node [shape=box, style=rounded, fontname="sans-serif"];
      edge [fontname="sans-serif", fontsize=10];
      n0 [label="qc\nshout"];
      n1 [label="embed\njoin × 2"];
      n2 [label="head\njoin × 20"];
      n3 [label="metrics\ntrace"];
      n4 [label="cells.txt", style=dashed];
      n5 [label="2 files", style=dashed];
      n0 -> n1 [label="text → parts"];
      n0 -> n2 [label="text → header"];
      n1 -> n2 [label="text → parts"];
      n1 -> n3 [label="text → files"];
      n2 -> n3 [label="text → files"];
      n4 -> n0 [label="text"];
      n4 -> n3 [label="files"];
      n5 -> n1 [label="header"];
    }
    "#);
    insta::assert_snapshot!(study().to_mermaid(), @r#"
    flowchart TD
      n0("qc<br/><small>shout</small>")
      n1("embed<br/><small>join × 2</small>")
      n2("head<br/><small>join × 20</small>")
      n3("metrics<br/><small>trace</small>")
      n4[/"cells.txt"/]
      n5[/"2 files"/]
      n0 -->|"text → parts"| n1
      n0 -->|"text → header"| n2
      n1 -->|"text → parts"| n2
      n1 -->|"text → files"| n3
      n2 -->|"text → files"| n3
      n4 -->|"text"| n0
      n4 -->|"files"| n3
      n5 -->|"header"| n1
    "#);
}

#[test]
fn the_svg_is_stable_and_stands_alone() {
    let svg = study().to_svg();
    insta::with_settings!({ prepend_module_to_snapshot => false, omit_expression => true }, {
        insta::assert_snapshot!("study_svg", svg);
    });
    assert!(!svg.contains("href") && !svg.contains("url("));
    assert!(svg.contains("small &lt;study&gt;"));
    assert!(!study().to_svg_inline().contains("<style>"));
}

#[test]
fn a_graph_of_ones_own() {
    let mut graph = NodeGraph::new("lineage");
    let file = graph.add(Role::File, "a \"b\" & <c>.h5ad", "", 1);
    let step = graph.add(Role::Step, "qc", "4,321 cells", 1);
    graph.connect(file, step, "cells");
    graph.connect(file, step, "cells");
    graph.connect(file, step, "genes");
    assert_eq!(graph.edges.len(), 1);
    assert_eq!(graph.edges[0].label, "cells, genes");
    let svg = graph.to_svg_inline();
    assert!(svg.contains("a &quot;b&quot; &amp; &lt;c&gt;.h5ad") && svg.contains("4,321 cells"));
    assert!(graph.to_dot().contains(r#"label="a \"b\" & <c>.h5ad", style=dashed"#));
    assert!(graph.to_mermaid().contains("a #quot;b#quot; #amp; #lt;c#gt;.h5ad"));
    assert!(NodeGraph::new("").to_svg().starts_with("<svg"));
}
