//! `--shard` and `--part`: one shard of a step, or a step put together from the parts of all.

use std::path::PathBuf;

use celldag_engine::part::PART;
use celldag_engine::{KindSpec, Portion};

use crate::args::StepArgs;
use crate::command::paths::must_exist;
use crate::failure::Failure;

/// What of the step is asked for.
///
/// # Errors
/// When a part is not there, or the shard has no place to go.
pub(super) fn portion(args: &StepArgs) -> Result<Portion, Failure> {
    if let Some(shard) = args.shard {
        if !args.outputs.iter().any(|(port, _)| port == PART) {
            return Err(Failure::Usage {
                message: format!("--shard {shard} writes a part, which has no place to go"),
                help: Some(format!("add --out {PART}=FILE")),
            });
        }
        return Ok(Portion::Shard(shard));
    }
    if args.parts.is_empty() {
        return Ok(Portion::Whole);
    }
    for part in &args.parts {
        must_exist("--part", part)?;
    }
    Ok(Portion::Parts(args.parts.iter().map(std::path::absolute).collect::<Result<Vec<PathBuf>, _>>()?))
}

/// The ports that a step has outputs on.
pub(super) fn ports(spec: &KindSpec, portion: &Portion) -> Vec<&'static str> {
    match portion {
        Portion::Shard(_) => vec![PART],
        Portion::Whole | Portion::Parts(_) => spec.outputs.iter().map(|port| port.name).collect(),
    }
}
