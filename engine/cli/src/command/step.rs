//! `celldag step`: one node on given files, cached under the same key as in a run.

use std::path::PathBuf;

use celldag_engine::{JobOutput, Multiplicity, Pipeline};

use super::shared::{Execution, execute};
use crate::args::{LabelledInput, StepArgs};
use crate::failure::Failure;
use crate::kinds::{find, registry};
use crate::output::Output;

pub(crate) fn run(args: &StepArgs, output: &Output) -> Result<(), Failure> {
    let registry = registry();
    let kind = find(&registry, &args.kind)?;
    let spec = kind.spec.clone();
    let mut inputs = Vec::new();
    for LabelledInput { port, label, path } in &args.inputs {
        let path = std::path::absolute(path)?;
        if !path.exists() {
            let missing = std::io::Error::new(
                std::io::ErrorKind::NotFound,
                format!("input `{port}`: {} does not exist", path.display()),
            );
            return Err(missing.into());
        }
        let many = spec.inputs.iter().any(|p| p.name == port && p.many == Multiplicity::Many);
        let beside = args.inputs.iter().filter(|other| other.port == *port).count();
        // Labels tell gathered artifacts of one port apart; a single one needs none, and other ports do not count.
        let label = if many && label.is_empty() && beside > 1 {
            let before =
                inputs.iter().filter(|(other, ..): &&(String, String, PathBuf)| other == port).count();
            (before + 1).to_string()
        } else {
            label.clone()
        };
        inputs.push((port.clone(), label, path));
    }
    let mut pipeline = Pipeline::single(kind, &args.with, &inputs)?;
    for (port, path) in &args.outputs {
        if !spec.outputs.iter().any(|p| p.name == port) {
            let names: Vec<&str> = spec.outputs.iter().map(|p| p.name).collect();
            return Err(Failure::Usage {
                message: format!("kind `{}` has no output port `{port}`", spec.name),
                help: Some(format!("it has: {}", names.join(", "))),
            });
        }
        let path: PathBuf = std::path::absolute(path)?;
        pipeline.outputs.push(JobOutput { path, job: 0, port: port.clone() });
    }
    execute(pipeline, &Execution::whole(&args.compute, &args.store), output)
}
