//! `celldag cache ls|cat|pin|purge`: single results rather than the store as a whole.

use std::collections::BTreeSet;
use std::io::Write as _;

use celldag_cache::{Key, Record, Store, StoreError};
use celldag_engine::{plan::duration, record, short};
use serde_json::{Value, json};

use crate::failure::Failure;
use crate::output::Output;
use crate::text::{bytes, table};

pub(super) fn ls(
    store: &Store,
    kind: Option<&str>,
    host: Option<&str>,
    output: &Output,
) -> Result<(), Failure> {
    let mut records = Vec::new();
    for key in store.keys()? {
        records.extend(store.record(&key)?);
    }
    let all = (!records.is_empty()).then(|| Known::of(&records));
    records.retain(|record| {
        kind.is_none_or(|kind| kind_of(record) == kind) && host.is_none_or(|host| record.host == host)
    });
    records.sort_by_key(|record| record.created);
    if output.json {
        let list: Vec<Value> = records
            .iter()
            .map(|r| {
                json!({
                    "key": r.key, "kind": kind_of(r), "created": r.created, "host": r.host, "version": r.version,
                    "seconds": r.seconds, "bytes": r.size(), "outputs": r.outputs,
                })
            })
            .collect();
        return output.json_result(&list);
    }
    if let Some(all) = all.filter(|_| records.is_empty()) {
        output.say(&format!("no result fits; {}", all.instead(kind, host)));
    }
    let rows: Vec<Vec<String>> = records
        .iter()
        .map(|r| {
            vec![
                short(&r.key.to_string()).to_owned(),
                kind_of(r),
                r.created.strftime("%Y-%m-%d %H:%M").to_string(),
                r.host.clone(),
                r.version.clone(),
                duration(r.seconds),
                bytes(r.size()),
            ]
        })
        .collect();
    output.result(&table(&["key", "kind", "created (UTC)", "host", "version", "took", "size"], &rows))
}

/// What results there are in the store.
struct Known {
    kinds: BTreeSet<String>,
    hosts: BTreeSet<String>,
}

impl Known {
    fn of(records: &[Record]) -> Self {
        let hosts = records.iter().map(|record| record.host.clone()).collect();
        Self { kinds: records.iter().map(kind_of).collect(), hosts }
    }

    /// What could have been asked for; only what was named and is not there is worth a list.
    fn instead(&self, kind: Option<&str>, host: Option<&str>) -> String {
        let list = |names: &BTreeSet<String>| names.iter().map(String::as_str).collect::<Vec<_>>().join(", ");
        match (kind, host) {
            (Some(kind), _) if !self.kinds.contains(kind) => {
                format!("the store has results of {}", list(&self.kinds))
            }
            (_, Some(host)) if !self.hosts.contains(host) => {
                format!("the store has results that were computed on {}", list(&self.hosts))
            }
            _ => "the store has results of this kind, and others that were computed on this host".to_owned(),
        }
    }
}

/// Of the action; empty for what other programs may have stored.
fn kind_of(record: &Record) -> String {
    record.action_value()["kind"].as_str().unwrap_or_default().to_owned()
}

pub(super) fn cat(store: &Store, key: &str, port: Option<&str>, output: &Output) -> Result<(), Failure> {
    let key = store.find_key(key)?;
    let Some(record) = store.record(&key)? else {
        // As for digits that no key begins with.
        let why = "`celldag cache ls` lists what there is".to_owned();
        return Err(StoreError::NoSuchKey { key: key.to_string(), why }.into());
    };
    let Some(port) = port else { return output.json_result(&record) };
    let Some(artifact) = record.outputs.get(port) else {
        let ports: Vec<&str> = record.outputs.keys().map(String::as_str).collect();
        return Err(Failure::Usage {
            message: format!("the result has no output `{port}`"),
            help: Some(format!("it has {}", ports.join(", "))),
        });
    };
    let path = store.fetch(artifact)?;
    if artifact.tree {
        // Bytes of several files in a row would be of no use; the folder can be read where it is.
        return output.result(&path.display().to_string());
    }
    let mut file = fs_err::File::open(path)?;
    let mut out = std::io::stdout().lock();
    match std::io::copy(&mut file, &mut out).and_then(|_| out.flush()) {
        Err(e) if e.kind() != std::io::ErrorKind::BrokenPipe => Err(e.into()),
        _ => Ok(()),
    }
}

pub(super) fn pin(store: &Store, name: &str, what: &[String], output: &Output) -> Result<(), Failure> {
    let mut keys: Vec<Key> = Vec::new();
    for wanted in what {
        keys.extend(keys_of(store, wanted)?);
    }
    keys.sort_unstable();
    keys.dedup();
    store.pin(name, &keys)?;
    if output.json {
        return output.json_result(&json!({"pin": name, "keys": keys}));
    }
    output.result(&format!("pinned {} results as `{name}`", keys.len()))
}

/// A run's keys, or the one key.
fn keys_of(store: &Store, wanted: &str) -> Result<Vec<Key>, Failure> {
    // Ids of runs hold a dash or are the word; keys are hexadecimal digits alone.
    if wanted.bytes().all(|b| b.is_ascii_hexdigit())
        && let Ok(key) = store.find_key(wanted)
    {
        return Ok(vec![key]);
    }
    let run = record::load(store, wanted)?;
    Ok(store.used_by_run(run.id())?)
}

/// What [`purge`] takes.
pub(super) struct Condemned<'a> {
    pub(super) host: Option<&'a str>,
    pub(super) version: Option<&'a str>,
    pub(super) kind: Option<&'a str>,
    pub(super) keys: &'a [String],
}

pub(super) fn purge(
    store: &Store,
    condemned: &Condemned<'_>,
    dry_run: bool,
    output: &Output,
) -> Result<(), Failure> {
    let keys = condemned.keys.iter().map(|key| store.find_key(key)).collect::<Result<Vec<Key>, _>>()?;
    // All of what was said has to hold; of several keys, one.
    let matches = |record: &Record| {
        condemned.host.is_none_or(|host| record.host == host)
            && condemned.version.is_none_or(|version| record.version == version)
            && condemned.kind.is_none_or(|kind| kind_of(record) == kind)
            && (keys.is_empty() || keys.contains(&record.key))
    };
    let report = store.purge(&matches, dry_run)?;
    if output.json {
        return output.json_result(&report);
    }
    let verb = if dry_run { "would take back" } else { "took back" };
    output
        .result(&format!("{verb} {} results; their bytes go with `celldag cache gc`", report.purged.len()))?;
    if report.shared > 0 {
        output.say(&format!("{} of them went from the shared store too", report.shared));
    }
    if report.kept_in_shared > 0 {
        output.complain(&format!(
            "warning: the shared store may still hold {} of them, and would give them back: purge again with the right to \
             write there",
            report.kept_in_shared
        ));
    }
    Ok(())
}
