//! Which address is what. An address never holds a path: runs are found among the names of the store, files by their number
//! in the record of a run.

use celldag_cache::{Store, StoreError};
use celldag_engine::EngineError;
use celldag_report::served;
use oxhttp::model::StatusCode;
use serde_json::json;

use super::answer::{Answer, JSON};
use super::site::Site;
use super::{pages, results};

/// Why there is no answer.
#[derive(Debug)]
pub(super) enum Trouble {
    /// There is no such thing.
    NotFound(String),
    /// The store cannot tell.
    Engine(EngineError),
}

impl From<EngineError> for Trouble {
    fn from(error: EngineError) -> Self {
        match error {
            error @ (EngineError::NoRun { .. } | EngineError::AmbiguousRun { .. }) => {
                Self::NotFound(error.to_string())
            }
            error => Self::Engine(error),
        }
    }
}

impl From<StoreError> for Trouble {
    fn from(error: StoreError) -> Self {
        Self::Engine(error.into())
    }
}

/// The answer to an address.
pub(super) fn route(site: &Site, path: &str, query: &str) -> Answer {
    match find(site, path, query) {
        Ok(answer) => answer,
        Err(trouble) => explain(&trouble, path.starts_with("/api/")),
    }
}

fn find(site: &Site, path: &str, query: &str) -> Result<Answer, Trouble> {
    let parts: Vec<&str> = path.trim_start_matches('/').split('/').collect();
    if parts == ["live.js"] {
        return Ok(Answer::ok("text/javascript; charset=utf-8", served::LIVE_SCRIPT));
    }
    let store = || -> Result<Store, Trouble> {
        let gone = || Trouble::NotFound(format!("there is no store at {} any more", site.folder().display()));
        site.store()?.ok_or_else(gone)
    };
    let value = |name: &str| {
        let pairs = query.split('&').filter_map(|pair| pair.split_once('='));
        pairs.filter(|(known, _)| *known == name).map(|(_, value)| value).next_back()
    };
    match parts.as_slice() {
        [""] => pages::list(site, &store()?),
        ["diff"] => {
            let marked = |name| {
                value(name).ok_or_else(|| {
                    Trouble::NotFound(format!("the address does not say which run is `{name}`"))
                })
            };
            pages::compare(site, &store()?, marked("earlier")?, marked("later")?)
        }
        ["runs", run] => pages::run(site, &store()?, run),
        ["runs", run, "report.html"] => pages::report(site, &store()?, run),
        // Beside the page, as `celldag report` puts it.
        ["runs", run, "report.html.jobs.json"] => results::whole(site, &store()?, run),
        ["runs", run, "outputs", number] => results::output(site, &store()?, run, number),
        ["api", "runs.json"] => results::runs(site, &store()?),
        ["api", "runs", run, "live.json"] => results::live(site, &store()?, run),
        ["api", "runs", run, "events.jsonl"] => {
            let from = value("from").unwrap_or("0");
            let from =
                from.parse().map_err(|_| Trouble::NotFound(format!("from={from} is no number of bytes")))?;
            results::events(site, &store()?, run, from)
        }
        ["api", "runs", file] if file.ends_with(".json") => {
            results::whole(site, &store()?, file.trim_end_matches(".json"))
        }
        _ => Err(Trouble::NotFound("there is no page at this address".to_owned())),
    }
}

fn explain(trouble: &Trouble, machine: bool) -> Answer {
    let (status, title, message, help) = match trouble {
        Trouble::NotFound(message) => (
            StatusCode::NOT_FOUND,
            "Not found",
            message.clone(),
            "The list of runs has what there is.".to_owned(),
        ),
        Trouble::Engine(error) => (
            StatusCode::INTERNAL_SERVER_ERROR,
            "The store cannot be read",
            error.to_string(),
            error.help().unwrap_or_default(),
        ),
    };
    if machine {
        // As every command tells its errors under --json.
        let told = json!({ "errors": [{ "message": message, "help": help }] });
        return Answer { status, ..Answer::ok(JSON, told.to_string()) };
    }
    Answer::message(status, title, &message, &help)
}
