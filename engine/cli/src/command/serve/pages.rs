//! The pages: records and documents are read here and drawn in celldag-report.

use celldag_cache::Store;
use celldag_engine::document::ReportDocument;
use celldag_engine::{RunRecord, RunStatus, record};
use celldag_report::served::{self, Recorded};

use super::answer::{Answer, HTML};
use super::route::Trouble;
use super::site::Site;
use crate::command::shared::{read_document, reports};

/// A study may have thousands of documents; more that cannot be read are counted.
const MOST_UNREAD: usize = 20;

type Page = Result<Answer, Trouble>;

/// All runs.
pub(super) fn list(site: &Site, store: &Store) -> Page {
    let runs = record::list_again(store, site.killed())?;
    Ok(Answer::ok(HTML, served::list_page(&store.root().display().to_string(), &runs)))
}

/// A run: its report, or where it stands.
pub(super) fn run(site: &Site, store: &Store, wanted: &str) -> Page {
    let (header, folder) = record::load_header_again(store, wanted, site.killed())?;
    if matches!(header.status, RunStatus::Running | RunStatus::Killed) {
        let state = site.live(&header, &folder)?;
        return Ok(Answer::ok(HTML, served::live_page(&header, &state)));
    }
    let _alone = site.one_at_a_time();
    let run = record::load(store, &header.id)?;
    let previous = record::ended_before(store, &header)?;
    let (documents, unread) = documents(store, &run);
    let recorded =
        Recorded { run: &run, documents: &documents, unread: &unread, previous: previous.as_deref() };
    Ok(Answer::ok(HTML, served::recorded_page(&recorded)))
}

/// What `celldag report` writes.
pub(super) fn report(site: &Site, store: &Store, wanted: &str) -> Page {
    let _alone = site.one_at_a_time();
    let run = record::load(store, wanted)?;
    let (documents, _) = documents(store, &run);
    let save_as = Some(format!("{}.html", run.id()));
    Ok(Answer { save_as, ..Answer::ok(HTML, celldag_report::run_page(&run, &documents)) })
}

/// Two runs side by side.
pub(super) fn compare(site: &Site, store: &Store, earlier: &str, later: &str) -> Page {
    let _alone = site.one_at_a_time();
    let (earlier, later) = (record::load(store, earlier)?, record::load(store, later)?);
    let diff = record::diff(&earlier, &later);
    let results = record::diff_results(store, &earlier, &later);
    Ok(Answer::ok(HTML, served::compare_page(&earlier, &later, &diff, &results)))
}

/// Report documents with the ids of their jobs, and what is to be said about those that cannot be read.
fn documents(store: &Store, run: &RunRecord) -> (Vec<(String, ReportDocument)>, Vec<String>) {
    let (mut read, mut unread) = (Vec::new(), Vec::new());
    for (job, port, artifact) in reports(run) {
        match record::stored(store, job.key, artifact) {
            Ok(path) => match read_document(&path) {
                Some(document) => read.push((job.id.clone(), document)),
                None => unread.push(format!("{}.{port} is not a report document; left out", job.id)),
            },
            Err(e) => unread.push(format!("{}.{port} is left out: {e}", job.id)),
        }
    }
    if unread.len() > MOST_UNREAD {
        let more = unread.len() - MOST_UNREAD;
        unread.truncate(MOST_UNREAD);
        unread.push(format!("and {more} documents more"));
    }
    (read, unread)
}
