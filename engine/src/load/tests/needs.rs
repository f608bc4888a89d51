//! `resources:`, `retries:`, `secrets:` and what a profile changes of them.

use serde_json::json;

use super::expansion::good;
use super::mistakes::{Case, snapshot};
use super::{Folder, set};
use crate::load::LoadOptions;
use crate::resources::{OutOfMemory, PerfChange, Resources, Retries};

const GIB: u64 = 1 << 30;

#[test]
fn amounts_are_read_with_their_units_and_may_differ_between_jobs() {
    let folder = Folder::new();
    fs_err::write(folder.0.path().join("sizes.tsv"), "id\tgb\tcards\nd1\t1.5\t1\nd2\t16\t2\n").unwrap();
    let text = "celldag: 1
axes: {d: {from: sizes.tsv, key: id}, n: [1, 2]}
nodes:
  a: {uses: make, foreach: [d, n], with: {text: x}, resources: {threads: \"${n}\", ram: \"${d.gb} GiB\", gpu: \"${d.cards}\", gpu_memory: 512 MB}}
  b: {uses: make, with: {text: x}, resources: {threads: 4}}
  c: {uses: shout, in: {text: b}, resources: {gpu_memory: 6GiB}}
";
    let pipeline = good(&folder, text, &set(&[]));
    let job = |id: &str| pipeline.jobs.iter().find(|job| job.id == id).unwrap();
    let a = |threads, ram, gpus| Resources {
        threads: Some(threads),
        ram: Some(ram),
        gpus,
        gpu_memory: Some(GIB / 2),
    };
    assert_eq!(job("a[d=d1,n=1]").resources, a(1, GIB * 3 / 2, 1));
    assert_eq!(job("a[d=d2,n=2]").resources, a(2, GIB * 16, 2));
    assert!(job("a[d=d1,n=1]").uses_device && !job("b").uses_device);
    assert_eq!(job("b").resources, Resources { threads: Some(4), ..Resources::default() });
    // A kind that uses the device need not ask for it.
    assert_eq!(job("c").resources, Resources { gpu_memory: Some(6 * GIB), ..Resources::default() });
}

#[test]
fn retries_are_counted_by_cause() {
    let folder = Folder::new();
    let text = "celldag: 1
nodes:
  a: {uses: make, with: {text: x}, retries: 2}
  b: {uses: make, with: {text: x}, retries: {out_of_memory: {set: {threads: half}}}}
  c: {uses: make, with: {text: x}, retries: {transient: 1, out_of_memory: {times: 3, set: {threads: 1}}}}
";
    let jobs = good(&folder, text, &set(&[])).jobs;
    let memory = |times, change| OutOfMemory { times, set: [("threads".to_owned(), change)].into() };
    assert_eq!(jobs[0].retries, Retries { transient: 2, out_of_memory: None });
    assert_eq!(jobs[1].retries, Retries { transient: 0, out_of_memory: Some(memory(1, PerfChange::Half)) });
    let value = PerfChange::Value(json!(1));
    assert_eq!(jobs[2].retries, Retries { transient: 1, out_of_memory: Some(memory(3, value)) });
}

#[test]
fn a_profile_changes_what_is_in_no_key() {
    let folder = Folder::new();
    let text = "celldag: 1
nodes:
  a: {uses: make, with: {text: x}, retries: 2, timeout: 1m, resources: {threads: 2, ram: 1 GiB}}
profiles:
  cluster: {nodes: {a: {resources: {ram: 2 GiB, gpu: 1}, timeout: 1h}}}
  again: {nodes: {a: {retries: {transient: 9}}}}
";
    let job = |profile: Option<&str>| {
        let options = LoadOptions { profiles: profile.map(Into::into).into_iter().collect(), ..set(&[]) };
        good(&folder, text, &options).jobs.remove(0)
    };
    let (plain, cluster, again) = (job(None), job(Some("cluster")), job(Some("again")));
    assert_eq!((plain.resources.ram, plain.resources.gpus), (Some(GIB), 0));
    assert_eq!(
        cluster.resources,
        Resources { threads: Some(2), ram: Some(2 * GIB), gpus: 1, gpu_memory: None }
    );
    assert_eq!((cluster.timeout.unwrap().as_secs(), cluster.retries.transient), (3600, 2));
    assert_eq!((again.timeout, again.retries.transient), (plain.timeout, 9));
}

#[test]
fn secrets_are_names() {
    let folder = Folder::new();
    let text = "celldag: 1\nsecrets: [NO_SUCH_VARIABLE_ANYWHERE, CARGO_MANIFEST_DIR]\nnodes: {a: {uses: make, with: {text: x}}}\n";
    let pipeline = good(&folder, text, &set(&[]));
    assert_eq!(pipeline.secrets, ["NO_SUCH_VARIABLE_ANYWHERE", "CARGO_MANIFEST_DIR"]);
    let warnings: Vec<&str> = pipeline.warnings.iter().map(|warning| warning.message.as_str()).collect();
    assert_eq!(warnings, ["the environment variable NO_SUCH_VARIABLE_ANYWHERE is not set"]);
}

const CASES: &[Case] = &[
    (
        "amounts out of range and without unit",
        "celldag: 1\nnodes:\n  a: {uses: make, with: {text: x}, resources: {threads: 0, ram: 8, gpu: 65, gpu_memory: 2 PB}}\n",
        &[],
    ),
    (
        "amounts of the wrong type",
        "celldag: 1\nnodes:\n  a: {uses: make, with: {text: x}, resources: {threads: all, ram: , gpu: [0], gpu_memory: lots}}\n  b: {uses: make, with: {text: x}, resources: 4}\n",
        &[],
    ),
    (
        "memory of no GPU",
        "celldag: 1\nnodes:\n  a: {uses: make, with: {text: x}, resources: {gpu_memory: 1 GiB}}\n",
        &[],
    ),
    (
        "an amount that is wrong for one job, and a name that does not exist",
        "celldag: 1\naxes: {n: [1, two]}\nnodes:\n  a: {uses: make, foreach: [n], with: {text: x}, resources: {threads: \"${n}\", ram: \"${m} GiB\"}}\n",
        &[],
    ),
    (
        "retries that change results, or nothing",
        "celldag: 1\nnodes:\n  a: {uses: make, with: {text: x}, retries: {out_of_memory: {set: {times: half, thread: half, threads: quarter}}}}\n  b: {uses: make, with: {text: x}, retries: {out_of_memory: 2}}\n  c: {uses: make, with: {text: x}, retries: {out_of_memory: {times: 0}}}\n  d: {uses: shout, in: {text: a}, retries: {oom: 1, out_of_memory: {set: {batch_size: half}}}}\n  e: {uses: make, with: {text: x}, retries: often}\n",
        &[],
    ),
    (
        "profiles that change what is in keys, or nobody",
        "celldag: 1\nnodes:\n  embed: {uses: make, with: {text: x}}\nprofiles: {p: {nodes: {embedd: {resources: {gpu: 1}}, embed: {with: {text: y}, timeout: soon}}}}\n",
        &[],
    ),
    (
        "keys under secrets",
        "celldag: 1\nsecrets: [NO_SUCH_VARIABLE_ANYWHERE, sk-proj-abc123, AKIAIOSFODNN7EXAMPLE, [x]]\nnodes: {a: {uses: make, with: {text: x}}}\n",
        &[],
    ),
    (
        "a key as the value of a secret",
        "celldag: 1\nsecrets: {OPENAI_API_KEY: sk-proj-abc123}\nnodes: {a: {uses: make, with: {text: x}}}\n",
        &[],
    ),
];

#[test]
fn mistakes_in_needs() {
    snapshot("needs", CASES);
}
