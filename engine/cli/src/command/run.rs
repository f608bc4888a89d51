//! `celldag run`.

use super::shared::{Execution, execute, load};
use crate::args::RunArgs;
use crate::failure::Failure;
use crate::output::Output;

pub(crate) fn run(args: &RunArgs, output: &Output) -> Result<(), Failure> {
    let pipeline = load(&args.pipeline, output)?;
    let execution = Execution {
        out: args.out.as_deref(),
        only: &args.select.only,
        force: &args.select.force,
        retry_failed: args.select.retry_failed,
        keep_going: args.keep_going,
        ..Execution::whole(&args.compute)
    };
    execute(pipeline, &args.store, &execution, output)
}
