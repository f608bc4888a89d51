//! What a step runs: a kind, or the program that `--spec` describes.

use celldag_engine::registry::Registered;
use celldag_engine::{Registry, read_program};

use crate::args::StepArgs;
use crate::failure::Failure;
use crate::kinds::find;

/// The word for a program of the user, as in pipelines.
const EXEC: &str = "exec";

/// The kind of the step.
///
/// # Errors
/// When there is none, or the file of the program is wrong.
pub(super) fn kind(args: &StepArgs, registry: &Registry) -> Result<Registered, Failure> {
    match &args.spec {
        Some(spec) if args.kind == EXEC => Ok(read_program(spec, registry)?),
        Some(spec) => Err(Failure::Usage {
            message: format!("--spec {}: `{}` is a kind and needs no such file", spec.display(), args.kind),
            help: Some(format!("write `celldag step {EXEC} --spec FILE` for a program of your own")),
        }),
        None if args.kind == EXEC => Err(Failure::Usage {
            message: format!("`{EXEC}` has the ports and parameters that each program gives it: --spec is missing"),
            help: Some("add --spec FILE, which `celldag export` writes for nodes with `uses: exec`; docs/plugins.md shows one".to_owned()),
        }),
        None => find(registry, &args.kind),
    }
}
