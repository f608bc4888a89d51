//! What stands beside the Snakefile: config.yaml, profiles, and how to run it.

use serde_json::{Map, Value};

use super::text::yaml;
use crate::workflow::Workflow;

/// Said before some entries of config.yaml.
const NOTES: &[(&str, &str)] = &[
    ("celldag", "The program; a path if it is not in PATH."),
    (
        "cache",
        "The store that all steps share: a folder that every machine sees, or a remote; null takes CELLDAG_CACHE, else .celldag here;\n# false keeps none.",
    ),
    ("device", "What models compute on: auto, gpu, cpu, or the name of an adapter."),
    ("threads", "Threads of steps that compute on the device, where the pipeline does not say."),
    ("pipeline", "What `celldag runs import` records the run under."),
    ("axes", "The values of each axis, as they stand in paths."),
    ("feeds", "Inputs whose sources differ between the jobs of a rule."),
    ("files", "Your files."),
    ("kinds", "Executables that are kinds of nodes."),
    ("needs", "Resources that differ between the jobs of a rule."),
    (
        "retried",
        "Parameters that change when a job fails, and differ between the jobs of a rule: one text for each attempt.",
    ),
    ("with", "Parameters that differ between the jobs of a rule; null is the default."),
    ("outputs", "Outputs whose paths follow no pattern: path, where it is made, whether it is a folder."),
];

/// config.yaml.
pub(super) fn config(config: &Map<String, Value>) -> String {
    let mut text =
        "# Written by `celldag export snakemake`. Change it here, or with `snakemake --config NAME=VALUE`.\n"
            .to_owned();
    let known = NOTES.iter().filter_map(|(name, note)| Some((*name, *note, config.get(*name)?)));
    for (name, note, value) in known {
        text.push_str(&format!("\n# {note}\n"));
        let entry: Map<String, Value> = [(name.to_owned(), value.clone())].into_iter().collect();
        yaml(&Value::Object(entry), 0, &mut text);
    }
    text
}

/// One machine.
pub(super) const LOCAL: &str = "# One machine: snakemake --profile profiles/local
cores: all
# GPUs of this machine: at most so many steps that ask for one run at a time.
resources:
  gpu: 1
rerun-incomplete: true
printshellcmds: true
";

/// A cluster.
pub(super) const SLURM: &str = "# A cluster with Slurm: snakemake --profile profiles/slurm
# Needs the package snakemake-executor-plugin-slurm, and a store that every node sees (`cache` in config.yaml).
executor: slurm
jobs: 100
# For steps whose node has no `resources:` or `timeout:`; mem_mb in MiB, runtime in minutes.
default-resources:
  mem_mb: 8000
  runtime: 120
# Shared file systems show new files late.
latency-wait: 60
rerun-incomplete: true
printshellcmds: true
# Where your cluster wants them:
#   slurm_account: NAME and slurm_partition: NAME under default-resources
# Without an accounting database:
#   slurm-no-account: true
#   slurm-status-command: squeue
";

/// How to run it.
pub(super) fn readme(workflow: &Workflow) -> String {
    let name: String = workflow.name.chars().filter(|c| !c.is_control()).collect();
    let rows: Vec<String> = workflow
        .rules
        .iter()
        .map(|rule| {
            let axes = if rule.axes.is_empty() { "-".to_owned() } else { rule.axes.join(", ") };
            format!("| {} | {} | {axes} | {} |\n", rule.node, rule.kind.spec.name, rule.jobs.len())
        })
        .collect();
    README.replace("NAME", &name).replace("ROWS", &rows.concat())
}

const README: &str = "# NAME for Snakemake

Written by `celldag export snakemake`, which writes these files again when the pipeline changes and leaves results alone, and files that
you have changed too: what is new for such a file is then in FILE.new.

    snakemake --cores 2                  # here; or --profile profiles/local
    snakemake --cores 2 --dry-run        # what would run
    snakemake --profile profiles/slurm   # on a cluster

Run it in this folder, with `celldag` in PATH (or its path as `celldag:` in config.yaml).

- The outputs of the pipeline appear at the paths that it gives them, below this folder. What rules make for each other is in
  `nodes/<node>/<axis>=<value>/`, what steps report in `summaries/`.
- All steps share one store (`cache:` in config.yaml). What `celldag run` has computed into it is not computed again, and the
  other way round; `celldag plan PIPELINE --cache STORE` says what it holds.
- A job that was killed is done again: `snakemake --rerun-incomplete`, after `snakemake --unlock` if Snakemake itself was
  killed. Finished parts come from the store.
- `retries:` of the pipeline are attempts of Snakemake, which does not tell causes of failures apart: parameters that change when
  memory runs out change with each attempt. They change no result.

| rule | kind | axes | jobs |
|---|---|---|---|
ROWS";
