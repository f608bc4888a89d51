//! `celldag provenance export`: a run as a crate folder or as a PROV-JSON file.

use std::path::Path;

use celldag_cache::Store;
use celldag_engine::provenance::export::{Crate, Export, prov_json, ro_crate};
use celldag_engine::record;

use crate::args::ExportFormat;
use crate::failure::Failure;
use crate::output::Output;

pub(super) fn export(
    store: &Store,
    run: &str,
    format: ExportFormat,
    to: &Path,
    license: &str,
    with_outputs: bool,
    output: &Output,
) -> Result<(), Failure> {
    let record = record::load(store, run)?;
    if record.jobs.is_empty() {
        return Err(Failure::Usage {
            message: format!("run {} has recorded no jobs: there is nothing to export", record.id()),
            help: Some("a killed run has none; run the pipeline again, then export that run".to_owned()),
        });
    }
    let export = Export::new(store, &record);
    match format {
        ExportFormat::Prov => {
            write(to, &prov_json(&export))?;
        }
        ExportFormat::Crate => {
            let text = record.folder.join("pipeline.yaml");
            if record.header.file.as_os_str().is_empty() || !text.is_file() {
                return Err(Failure::Usage {
                    message: format!(
                        "run {} has no pipeline file, which a crate is built around",
                        record.id()
                    ),
                    help: Some("single steps and runs of earlier versions: use --format prov".to_owned()),
                });
            }
            if to.exists() && fs_err::read_dir(to)?.next().is_some() {
                return Err(Failure::Usage {
                    message: format!("{} is not empty", to.display()),
                    help: Some("name a new folder for the crate".to_owned()),
                });
            }
            let name =
                record.header.file.file_name().map_or("pipeline.yaml".into(), |name| name.to_string_lossy());
            let about = Crate { pipeline: name.into_owned(), with_outputs, license: license.to_owned() };
            fs_err::create_dir_all(to)?;
            for (path, artifact) in export.outputs().filter(|_| with_outputs) {
                let place = to.join(path);
                if let Some(folder) = place.parent() {
                    fs_err::create_dir_all(folder)?;
                }
                store.materialize(artifact, &place)?;
            }
            fs_err::copy(text, to.join(&about.pipeline))?;
            for (path, digest) in export.included() {
                let place = to.join(path);
                if let Some(folder) = place.parent() {
                    fs_err::create_dir_all(folder)?;
                }
                fs_err::copy(record.included_text(digest), place)?;
            }
            // Last: a folder with it is a whole crate.
            write(&to.join("ro-crate-metadata.json"), &ro_crate(&export, &about))?;
        }
    }
    output.result(&to.display().to_string())
}

fn write(path: &Path, value: &serde_json::Value) -> Result<(), Failure> {
    let text = serde_json::to_string_pretty(value).map_err(|e| Failure::Other(e.to_string()))?;
    Ok(fs_err::write(path, text)?)
}
