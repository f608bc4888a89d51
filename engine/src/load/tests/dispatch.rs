//! `shards:` and `batch:`: what workflow managers are told, and mistakes in it.

use super::expansion::good;
use super::mistakes::{Case, snapshot};
use super::{Folder, set};
use crate::load::LoadOptions;
use crate::pipeline::Job;

/// Shards, 0 for the whole, and bundled axes.
fn dispatch(job: &Job) -> (u32, Vec<&str>) {
    let shards = job.dispatch.shards.map_or(0, std::num::NonZeroU32::get);
    (shards, job.dispatch.batch.iter().map(String::as_str).collect())
}

const TEXT: &str = "celldag: 1
params: {parts: 32}
axes: {model: [x, y], fold: {range: 2}}
nodes:
  a: {uses: make, foreach: [fold, model], with: {text: x}, batch: [fold, model]}
  b: {uses: shout, in: {text: ./a.txt}, shards: \"${parts}\"}
  c: {uses: shout, in: {text: ./a.txt}, shards: 1}
  d: {uses: make, with: {text: x}}
profiles:
  other: {nodes: {a: {batch: [fold]}, b: {shards: 4}, c: {shards: 10000}}}
  whole: {nodes: {a: {batch: []}, b: {shards: 1}}}
";

#[test]
fn jobs_say_how_they_may_be_dispatched() {
    let folder = Folder::new();
    let of = |profile: Option<&str>| {
        let options = LoadOptions { profiles: profile.map(Into::into).into_iter().collect(), ..set(&[]) };
        good(&folder, TEXT, &options).jobs
    };
    let shown = |jobs: &[Job]| {
        let first = |node: &str| dispatch(jobs.iter().find(|job| job.node == node).unwrap()).0;
        let bundled = jobs.iter().find(|job| job.node == "a").unwrap().dispatch.batch.join(" ");
        (bundled, ["b", "c", "d"].map(first))
    };
    // Axes come in the order of the file; one part is the whole.
    assert_eq!(shown(&of(None)), ("model fold".to_owned(), [32, 0, 0]));
    assert_eq!(shown(&of(Some("other"))), ("fold".to_owned(), [4, 10_000, 0]));
    assert_eq!(shown(&of(Some("whole"))), (String::new(), [0, 0, 0]));
    let set = good(&folder, TEXT, &set(&[("parts", "7")])).jobs;
    assert_eq!(shown(&set).1[0], 7);
}

const CASES: &[Case] = &[
    (
        "a kind that cannot be cut",
        "celldag: 1\nnodes:\n  a: {uses: make, with: {text: x}, shards: 4}\n  b: {uses: exec, run: [sh, \"{out:t}\"], out: {t: t}, shards: 4}\n",
        &[],
    ),
    (
        "shards that are no number",
        "celldag: 1\nparams: {n: many}\naxes: {m: [1, 2]}\nnodes:\n  a: {uses: shout, in: {text: ./a.txt}, shards: 0}\n  b: {uses: shout, in: {text: ./a.txt}, shards: 10001}\n  c: {uses: shout, in: {text: ./a.txt}, shards: \"${n}\"}\n  d: {uses: shout, in: {text: ./a.txt}, shards: [4]}\n  e: {uses: shout, in: {text: ./a.txt}, shards: }\n  f: {uses: shout, in: {text: ./a.txt}, shards: \"${nn}\"}\n  g: {uses: shout, foreach: [m], in: {text: ./a.txt}, shards: \"${m}\"}\n",
        &[],
    ),
    (
        "a batch over what the node does not vary over",
        "celldag: 1\naxes: {model: [x, y], fold: {range: 2}}\nnodes:\n  a: {uses: make, foreach: [fold], with: {text: \"${fold}\"}, batch: [flod, model, fold, fold]}\n  b: {uses: make, foreach: [model], with: {text: \"${model}\"}, batch: all}\n  c: {uses: make, with: {text: x}, batch: [fold]}\n",
        &[],
    ),
    (
        "cut and bundled",
        "celldag: 1\naxes: {m: [x, y]}\nnodes:\n  a: {uses: shout, foreach: [m], in: {text: ./a.txt}, shards: 4, batch: [m]}\n",
        &[],
    ),
    (
        "a slip in a name",
        "celldag: 1\nnodes:\n  a: {uses: shout, in: {text: ./a.txt}, shard: 4}\nprofiles: {p: {nodes: {a: {shard: 4}}}}\n",
        &[],
    ),
];

#[test]
fn mistakes_in_dispatch() {
    snapshot("dispatch", CASES);
}
