//! `celldag embed-drug`: a table of SMILES to a table of vectors, as a pipeline of one node, cached like any other.

use std::path::PathBuf;

use celldag_engine::{JobOutput, Pipeline};

use super::shared::{Execution, execute, refuse_model};
use crate::args::EmbedDrugArgs;
use crate::failure::Failure;
use crate::kinds::{find, registry};
use crate::output::Output;

const KIND: &str = "embed-drug";

pub(crate) fn run(args: &EmbedDrugArgs, output: &Output) -> Result<(), Failure> {
    let mut inputs = Vec::new();
    for (port, path) in [("drugs", &args.drugs), ("checkpoint", &args.checkpoint)] {
        if !path.exists() {
            let message = format!("{} does not exist", path.display());
            return Err(std::io::Error::new(std::io::ErrorKind::NotFound, message).into());
        }
        inputs.push((port.to_owned(), String::new(), std::path::absolute(path)?));
    }
    refuse_model(&args.with)?;
    let mut with = vec![("model".to_owned(), args.model.clone())];
    with.extend(args.with.iter().cloned());
    let mut pipeline = Pipeline::single(find(&registry(), KIND)?, &with, &inputs)?;
    let path: PathBuf = std::path::absolute(&args.output)?;
    pipeline.outputs.push(JobOutput { path, job: 0, port: "embedding".to_owned() });
    execute(pipeline, &args.store, &Execution::whole(&args.compute), output)
}
