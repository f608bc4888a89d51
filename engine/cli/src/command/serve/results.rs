//! What is not a page: records and events for machines, and the files that a run wrote.

use std::io::{self, ErrorKind, Read as _, Seek as _, SeekFrom};
use std::path::Path;

use celldag_cache::Store;
use celldag_engine::{JobRecord, OutputRecord, RunHeader, record};
use celldag_report::served::LARGEST_FILE;
use serde::Serialize;
use serde_json::json;

use super::answer::{Answer, HTML, JSON};
use super::route::Trouble;
use super::site::Site;

type Result<T> = std::result::Result<T, Trouble>;

/// `celldag runs --json`.
pub(super) fn runs(site: &Site, store: &Store) -> Result<Answer> {
    Ok(Answer::ok(JSON, json!(record::list_again(store, site.killed())?).to_string()))
}

/// A run with all of its jobs.
#[derive(Serialize)]
struct Whole<'a> {
    run: &'a RunHeader,
    jobs: &'a [JobRecord],
    outputs: &'a [OutputRecord],
}

/// `celldag runs show RUN --json`, which is also the file beside the report of a large run.
pub(super) fn whole(site: &Site, store: &Store, wanted: &str) -> Result<Answer> {
    let turn = site.turn();
    let _alone = site.one_at_a_time();
    let run = record::load(store, wanted)?;
    // Written as it is read: another copy of a large record, as JSON values, would be several times as large.
    let whole = Whole { run: &run.header, jobs: &run.jobs, outputs: &run.outputs };
    let bytes =
        serde_json::to_vec(&whole).map_err(|e| celldag_engine::EngineError::from(io::Error::from(e)))?;
    Ok(Answer { turn: Some(turn), ..Answer::ok(JSON, bytes) })
}

/// Where a run stands.
pub(super) fn live(site: &Site, store: &Store, wanted: &str) -> Result<Answer> {
    let (header, folder) = record::load_header_again(store, wanted, site.killed())?;
    Ok(Answer::ok(JSON, json!(site.live(&header, &folder)?).to_string()))
}

/// Whole lines of the events of a run, from a byte on; at most [`LARGEST_FILE`] bytes at once. Who wants more asks again
/// from where the answer ended.
pub(super) fn events(site: &Site, store: &Store, wanted: &str, from: u64) -> Result<Answer> {
    let (_, folder) = record::load_header_again(store, wanted, site.killed())?;
    let read = || -> io::Result<Vec<u8>> {
        let mut file = match fs_err::File::open(folder.join("events.jsonl")) {
            // A kill may come before the file.
            Err(e) if e.kind() == ErrorKind::NotFound => return Ok(Vec::new()),
            file => file?,
        };
        file.seek(SeekFrom::Start(from))?;
        let mut bytes = Vec::new();
        file.take(LARGEST_FILE).read_to_end(&mut bytes)?;
        let whole = bytes.iter().rposition(|byte| *byte == b'\n').map_or(0, |end| end + 1);
        bytes.truncate(whole);
        Ok(bytes)
    };
    let bytes = read().map_err(celldag_engine::EngineError::from)?;
    Ok(Answer::ok("application/jsonl; charset=utf-8", bytes))
}

/// The content of an output file as this run made it: from the store and not from its path, where anything may be by now.
pub(super) fn output(site: &Site, store: &Store, wanted: &str, number: &str) -> Result<Answer> {
    let absent = |why: &str| Trouble::NotFound(why.to_owned());
    let (artifact, key, path) = {
        let _alone = site.one_at_a_time();
        let run = record::load(store, wanted)?;
        let number: Option<usize> = number.parse().ok();
        let output = number.and_then(|number| run.outputs.get(number));
        let output = output.ok_or_else(|| absent("the run has no output file of this number"))?;
        (output.artifact, run.job(&output.job).and_then(|job| job.key), output.path.clone())
    };
    if artifact.tree || artifact.size > LARGEST_FILE {
        return Err(absent(&format!("folders and large files are not sent: it is at {}", path.display())));
    }
    let stored = record::stored(store, key, &artifact).map_err(|e| {
        absent(&format!("the content of {} cannot be had from the store: {e}", path.display()))
    })?;
    let bytes = fs_err::read(stored).map_err(celldag_engine::EngineError::from)?;
    let (kind, shown) = media_type(&path);
    let save_as = (!shown).then(|| file_name(&path));
    Ok(Answer { foreign: true, save_as, ..Answer::ok(kind, bytes) })
}

/// Media type by the end of the name, and whether a browser shows it. Markup is shown without scripts; what is not known is
/// saved.
fn media_type(path: &Path) -> (&'static str, bool) {
    let end = path.extension().map(|end| end.to_string_lossy().to_lowercase());
    match end.as_deref() {
        Some("html" | "htm") => (HTML, true),
        Some("json") => (JSON, true),
        Some("csv" | "tsv" | "txt" | "md" | "log" | "yaml" | "yml" | "jsonl") => {
            ("text/plain; charset=utf-8", true)
        }
        Some("svg") => ("image/svg+xml", true),
        Some("png") => ("image/png", true),
        Some("jpg" | "jpeg") => ("image/jpeg", true),
        // The viewers of browsers are scripts, which results may not run here.
        Some("pdf") => ("application/pdf", false),
        _ => ("application/octet-stream", false),
    }
}

/// The last part of a path, without what has a meaning in a header.
fn file_name(path: &Path) -> String {
    let name = path.file_name().map(|name| name.to_string_lossy().into_owned()).unwrap_or_default();
    let plain = |c: char| if c.is_ascii_alphanumeric() || "._- ".contains(c) { c } else { '_' };
    name.chars().map(plain).collect()
}
