//! `celldag embed-drug`: a table of SMILES to a table of vectors, as a pipeline of one node, cached like any other.

use std::path::PathBuf;

use celldag_engine::{JobOutput, Pipeline};

use super::model_names::{Embedded, refuse_model, refuse_unknown_model};
use super::paths::{Folders, must_be_a_file, must_exist};
use super::shared::{Execution, execute};
use crate::args::EmbedDrugArgs;
use crate::failure::Failure;
use crate::kinds::{find, registry};
use crate::output::Output;

const KIND: &str = "embed-drug";

pub(crate) fn run(args: &EmbedDrugArgs, output: &Output) -> Result<(), Failure> {
    let mut inputs = Vec::new();
    for (port, path) in [("drugs", &args.drugs), ("checkpoint", &args.checkpoint)] {
        must_exist(if port == "drugs" { "the drugs" } else { "--checkpoint" }, path)?;
        inputs.push((port.to_owned(), String::new(), std::path::absolute(path)?));
    }
    must_be_a_file("-o", &args.output, Folders::Made)?;
    refuse_model(&args.with)?;
    refuse_unknown_model(&args.model, Embedded::Drugs)?;
    let mut with = vec![("model".to_owned(), args.model.clone())];
    with.extend(args.with.iter().cloned());
    let mut pipeline = Pipeline::single(find(&registry(), KIND)?, &with, &inputs)?;
    let path: PathBuf = std::path::absolute(&args.output)?;
    pipeline.outputs.push(JobOutput { path, job: 0, port: "embedding".to_owned() });
    execute(pipeline, &args.store, &Execution::whole(&args.compute), output)
}
