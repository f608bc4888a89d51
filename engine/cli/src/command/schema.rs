//! `celldag schema`: the JSON Schema of pipeline files.

use crate::failure::Failure;
use crate::kinds::registry;
use crate::output::Output;

pub(crate) fn run(output: &Output) -> Result<(), Failure> {
    output.json_result(&celldag_engine::schema::schema(&registry()))
}
