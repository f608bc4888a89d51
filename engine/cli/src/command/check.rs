//! `celldag check`: parse, type-check and validate, without reading data.

use serde_json::json;

use super::shared::load;
use crate::args::PipelineArgs;
use crate::failure::Failure;
use crate::output::Output;

pub(crate) fn run(args: &PipelineArgs, output: &Output) -> Result<(), Failure> {
    let pipeline = load(args, output)?;
    let mut nodes: Vec<&str> = pipeline.jobs.iter().map(|job| job.node.as_str()).collect();
    nodes.dedup();
    if output.json {
        let warnings: Vec<_> = pipeline.warnings.iter().map(celldag_engine::Diagnostic::to_json).collect();
        return output.json_result(&json!({
            "pipeline": pipeline.name,
            "nodes": nodes.len(),
            "jobs": pipeline.jobs.len(),
            "outputs": pipeline.outputs.len(),
            "warnings": warnings,
        }));
    }
    output.result(&format!(
        "{}: {} nodes, {} jobs, {} outputs: ok",
        args.pipeline.display(),
        nodes.len(),
        pipeline.jobs.len(),
        pipeline.outputs.len()
    ))
}
