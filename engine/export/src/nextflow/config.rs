//! The configuration: what a user changes without touching the workflow.

use std::collections::{BTreeMap, BTreeSet};
use std::path::PathBuf;

use super::text::{literal, word};
use crate::error::ExportError;
use crate::modules::in_comment;
use crate::workflow::Workflow;

pub(super) fn config(
    workflow: &Workflow,
    files: &BTreeMap<PathBuf, String>,
    store: Option<&str>,
) -> Result<String, ExportError> {
    let mut inputs = String::new();
    let mut by_name: Vec<_> = files.iter().map(|(path, name)| (name, path)).collect();
    by_name.sort();
    for (name, path) in by_name {
        let text = path.to_str().ok_or_else(|| ExportError::NotText { path: path.clone() })?;
        inputs.push_str(&format!("    {name} = {}\n", literal(text)));
    }
    let store = store.map_or_else(|| "\"${launchDir}/.celldag\"".to_owned(), literal);
    let head = format!(
        "// {}: files, store and results. `--NAME VALUE` on the command line changes one.",
        in_comment(&workflow.name)
    );
    Ok(format!(
        r#"{head}
params {{
    // The store that all tasks share: a folder that every machine sees, or a URL. An empty text: none.
    store = {store}
    // Where results go.
    outdir = "${{launchDir}}/results"
    // auto, gpu, cpu, or the name of an adapter.
    device = 'auto'
{inputs}}}

env {{
    CELLDAG_DEVICE = params.device
}}

process {{
    ext.store = params.store
    errorStrategy = 'finish'
    // Nodes with `retries`. 4: the device or memory; 137 and 140: killed by the system or by Slurm. Everything else would
    // fail again. A label, and not `maxRetries = 0` for the others: Nextflow takes 0 for its default, which is 1.
    withLabel: 'retried' {{
        errorStrategy = {{ task.exitStatus in [4, 137, 140] ? 'retry' : 'finish' }}
    }}
}}

profiles {{
    local {{
        includeConfig 'conf/local.config'
    }}
    slurm {{
        includeConfig 'conf/slurm.config'
    }}
}}
"#
    ))
}

pub(super) const LOCAL: &str = "\
// One machine. Each process has one task on the device at a time. Tasks of two processes can still meet there: where its
// memory does not hold both, `nextflow run . -profile local -qs 1` runs one task at a time.
process {
    executor = 'local'
    withLabel: 'device' {
        maxForks = 1
    }
}
";

/// Slurm knows GPUs by `--gres` only.
pub(super) fn slurm(workflow: &Workflow, small: bool) -> String {
    let gpus = workflow.rules.iter().flat_map(|rule| rule.needs.values().map(|needs| needs.gpus));
    let gpus: BTreeSet<u32> = gpus.filter(|count| *count > 0).collect();
    let mut out = String::from(
        "// A cluster. Add what yours asks for: queue = '...', clusterOptions = '--account=...'. Options of a GPU label replace the\n// general ones: add yours there too, '--gres=... --account=...'.\nprocess {\n    executor = 'slurm'\n",
    );
    for count in gpus {
        out.push_str(&format!(
            "    withLabel: 'gpu_{count}' {{\n        clusterOptions = '--gres=gpu:{count}'\n    }}\n"
        ));
    }
    if small {
        out.push_str(
            "    // Too small for jobs of their own: they run on the machine where Nextflow runs.\n    withLabel: 'small' {\n        executor = 'local'\n    }\n",
        );
    }
    out.push_str("}\n\nexecutor {\n    queueSize = 200\n    submitRateLimit = '10/1sec'\n}\n");
    out
}

pub(super) fn readme(workflow: &Workflow, pipeline: &[String]) -> String {
    let pipeline: Vec<String> = pipeline.iter().map(|argument| word(argument)).collect();
    format!(
        r"# {name}

Written by `celldag export nextflow`. Do not change main.nf: change the pipeline and export again.

```sh
nextflow run . -profile local            # or slurm
nextflow run . -resume --outdir results --store /shared/celldag
```

`celldag` must be on the PATH of the tasks. main.nf has one process for each node, one more for the parts of a
node with `shards:`, and several for nodes that take from each other; `jobs/` has a line for each job. Results
and keys are those of `celldag run`: with the same store, `celldag plan` calls cached what tasks have computed, and a task
whose result is there ends at once. This records them as a run, where STORE is `params.store`:

```sh
celldag runs import {pipeline} --cache STORE --by nextflow
```

Files of the user are parameters in nextflow.config. Results are copied to `params.outdir` when a task is done; a copy
that was interrupted is repaired by `-resume`.
",
        name = workflow.name,
        pipeline = pipeline.join(" "),
    )
}
