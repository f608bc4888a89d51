//! What `tokenize` and `embed` share when their work is cut into shards: a part's content as a file of the scratch folder.

use std::path::{Path, PathBuf};

use celldag_engine::{NodeError, PartFile, Shard, Step};

/// Where the content of a part is written before it is wrapped, and unwrapped before it is read.
pub(super) fn content(step: &Step<'_>) -> PathBuf {
    step.scratch.join("part-content")
}

/// Says which shard it is, as the first fact.
pub(super) fn state(step: &Step<'_>, shard: Shard, cells: impl Into<serde_json::Value>) {
    step.fact("shard", shard.to_string());
    step.fact("cells", cells);
}

/// Calls `each` with every part and its unpacked content. One content is on disk at a time.
///
/// # Errors
/// When a part is damaged; those of `each`.
pub(super) fn each<E: From<NodeError>>(
    step: &Step<'_>,
    parts: &[PartFile],
    mut each: impl FnMut(&PartFile, &Path) -> Result<(), E>,
) -> Result<(), E> {
    let path = content(step);
    for part in parts {
        step.check_cancelled()?;
        part.unpack(&path)?;
        each(part, &path)?;
    }
    Ok(())
}
