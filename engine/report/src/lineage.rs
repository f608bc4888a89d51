//! What happened upstream of a report: the graph of nodes, what each counted, and what each warned about.

use std::collections::{BTreeMap, BTreeSet};

use celldag_engine::graph::{NodeGraph, Role};
use serde_json::{Map, Value};

use crate::page::Page;

/// What the nodes upstream warned about: it concerns every number of the report, so it stands above them.
/// What a document below repeats (`known`) is left to it.
pub(crate) fn warnings(page: &mut Page, lineage: &Value, known: &[&str]) {
    let nodes = lineage.as_array().map_or(&[][..], Vec::as_slice);
    let warnings: Vec<String> = nodes
        .iter()
        .flat_map(|node| {
            let list = node["warnings"].as_array().into_iter().flatten();
            let new = list
                .filter_map(Value::as_str)
                .filter(|w| !known.iter().any(|known| plain(known).ends_with(&plain(w))));
            new.filter_map(move |w| Some(format!("{}: {w}", node["node"].as_str()?)))
        })
        .collect();
    page.warnings(warnings.iter().map(String::as_str));
}

/// A sentence without its quotation marks, which documents may set differently.
fn plain(text: &str) -> String {
    text.replace(['`', '“', '”'], "")
}

/// Adds the section; nothing when the lineage is empty, as for a single step outside of a pipeline.
pub(crate) fn render(page: &mut Page, lineage: &Value) {
    let Some(nodes) = lineage.as_array().filter(|nodes| !nodes.is_empty()) else { return };
    page.section("Pipeline");
    page.picture("Nodes and what flows between them", &graph(nodes).to_svg_inline(), "");
    counts(page, nodes);
    page.paragraph(
        "Parameters, versions, keys and digests of the run that made this page: celldag report last -o run.html",
    );
}

fn graph(nodes: &[Value]) -> NodeGraph {
    let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
    let mut graph = NodeGraph::new("pipeline");
    let mut index: BTreeMap<String, usize> = BTreeMap::new();
    for node in nodes {
        let jobs = node["jobs"].as_u64().and_then(|n| usize::try_from(n).ok()).unwrap_or(1);
        let title = text(&node["node"]);
        let place = graph.add(Role::Step, title.clone(), text(&node["kind"]), jobs);
        index.insert(title, place);
    }
    for node in nodes {
        let Some(&to) = node["node"].as_str().and_then(|name| index.get(name)) else { continue };
        for input in node["inputs"].as_array().into_iter().flatten() {
            let from = input["from"].as_str().unwrap_or_default();
            match from.split_once('.') {
                Some((producer, port)) => {
                    if let Some(&from) = index.get(producer) {
                        graph.connect(from, to, port);
                    }
                }
                None => {
                    let file = graph.add(Role::File, text(&input["port"]), "your file", 1);
                    graph.connect(file, to, "");
                }
            }
        }
    }
    graph
}

/// One row a node. Facts called `x_in` and `x_out` become one column `x` that reads `in → out`.
fn counts(page: &mut Page, nodes: &[Value]) {
    let empty = Map::new();
    let flows: BTreeSet<&str> = nodes
        .iter()
        .filter_map(|node| node["facts"].as_object())
        .flat_map(|facts| {
            let entered = facts.keys().filter_map(|name| name.strip_suffix("_in"));
            entered.filter(|flow| facts.contains_key(&format!("{flow}_out")))
        })
        .collect();
    let is_flow = |name: &str| {
        let flow = name.strip_suffix("_in").or(name.strip_suffix("_out"));
        flow.is_some_and(|flow| flows.contains(flow))
    };
    let mut columns = vec!["node".to_owned(), "kind".to_owned()];
    columns.extend(flows.iter().map(|flow| (*flow).to_owned()));
    columns.push("facts".to_owned());
    let rows: Vec<Vec<Value>> = nodes
        .iter()
        .map(|node| {
            let facts = node["facts"].as_object().unwrap_or(&empty);
            let mut row = vec![node["node"].clone(), node["kind"].clone()];
            row.extend(flows.iter().map(|flow| {
                match (facts.get(&format!("{flow}_in")), facts.get(&format!("{flow}_out"))) {
                    (Some(from), Some(to)) => Value::String(format!("{from} → {to}")),
                    (None, Some(one)) | (Some(one), None) => one.clone(),
                    (None, None) => Value::String(String::new()),
                }
            }));
            let rest = facts.iter().filter(|(k, v)| !is_flow(k) && !v.is_object() && !v.is_array());
            let rest: Vec<String> = rest
                .map(|(name, value)| {
                    let shown = value.as_f64().filter(|_| value.is_f64()).map(crate::escape::number);
                    let shown = shown.or_else(|| value.as_str().map(str::to_owned));
                    format!("{} {}", name.replace('_', " "), shown.unwrap_or_else(|| value.to_string()))
                })
                .collect();
            row.push(Value::String(rest.join("; ")));
            row
        })
        .collect();
    page.table("What each step took in, gave on and counted", &columns, &rows, "");
}
