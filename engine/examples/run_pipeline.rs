//! The smallest program around the engine: `run_pipeline PIPELINE STORE` runs a pipeline of programs and executables, without the
//! kinds of celldag.

use std::path::Path;
use std::process::ExitCode;

use celldag_cache::{Options, Store};
use celldag_engine::{Cancel, LoadOptions, Quiet, Registry, RunOptions, load, run};

fn main() -> ExitCode {
    // Before anything else: external programs get this program once more as their parent.
    if let Some(ended) = celldag_engine::process::supervise_if_asked() {
        return ended;
    }
    match try_main() {
        Ok(code) => ExitCode::from(code),
        Err(message) => {
            tracing::error!("{message}");
            ExitCode::from(2)
        }
    }
}

fn try_main() -> Result<u8, String> {
    let args: Vec<String> = std::env::args().skip(1).collect();
    let [pipeline, store] = args.as_slice() else {
        return Err("usage: run_pipeline PIPELINE STORE".to_owned());
    };
    let pipeline = load(Path::new(pipeline), None, &Registry::new(), &LoadOptions::default())
        .map_err(|findings| findings.one_line_each())?;
    let store = Store::open(Path::new(store), Options::default()).map_err(|e| e.to_string())?;
    let record =
        run(&pipeline, &store, &RunOptions::default(), &Quiet, &Cancel::new()).map_err(|e| e.to_string())?;
    Ok(record.exit().code())
}
