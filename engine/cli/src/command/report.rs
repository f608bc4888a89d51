//! `celldag report`: a recorded run as one HTML page.

use std::path::Path;

use celldag_engine::record;
use serde_json::json;

use super::paths::{Folders, must_be_a_file};
use super::shared::{open_existing_store, read_document, reports};
use crate::args::StoreArgs;
use crate::failure::Failure;
use crate::output::Output;

pub(crate) fn run(run: &str, file: &Path, store: &StoreArgs, output: &Output) -> Result<(), Failure> {
    must_be_a_file("-o", file, Folders::There)?;
    let store = open_existing_store(store)?;
    let record = record::load(&store, run)?;
    let mut documents = Vec::new();
    for (job, port, artifact) in reports(&record) {
        match read_document(&record::stored(&store, job.key, artifact)?) {
            Some(document) => documents.push((job.id.clone(), document)),
            None => output.say(&format!("{}.{port} is not a report document; left out", job.id)),
        }
    }
    fs_err::write(file, celldag_report::run_page(&record, &documents))?;
    output.result(&file.display().to_string())?;
    if !celldag_report::is_collapsed(&record) {
        return Ok(());
    }
    // `page.html` and `page.html.jobs.json`: nobody loads thousands of rows with the page.
    let mut beside = file.as_os_str().to_owned();
    beside.push(".jobs.json");
    let all = json!({ "run": record.header, "jobs": record.jobs, "outputs": record.outputs });
    fs_err::write(&beside, all.to_string())?;
    output.result(&Path::new(&beside).display().to_string())
}
