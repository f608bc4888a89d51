//! `celldag cache`: how much the store holds, whether it is intact, and freeing space.

use std::time::Duration;

use celldag_cache::{GcPolicy, Store, VerifyReport};
use celldag_engine::ExitClass;

use super::cache_records::{self, Condemned};
use super::shared::open_existing_store;
use crate::args::{CacheCommand, StoreArgs};
use crate::failure::Failure;
use crate::interrupt;
use crate::output::Output;
use crate::text::bytes;

pub(crate) fn run(command: &CacheCommand, args: &StoreArgs, output: &Output) -> Result<(), Failure> {
    let store = open_existing_store(args)?;
    match command {
        CacheCommand::Stats => stats(&store, output),
        CacheCommand::Verify => verify(&store, output),
        CacheCommand::Gc { max_age, max_size, keep_runs, dry_run } => {
            if !(max_age.is_finite() && *max_age >= 0.0) {
                return Err(Failure::usage("--max-age must be a number of days, zero or more"));
            }
            let policy = GcPolicy {
                max_age: Some(Duration::from_secs_f64((max_age * 86_400.0).min(1e12))),
                max_bytes: *max_size,
                keep_runs: *keep_runs,
                dry_run: *dry_run,
                ..GcPolicy::default()
            };
            gc(&store, &policy, output)
        }
        CacheCommand::Ls { kind, host } => {
            cache_records::ls(&store, kind.as_deref(), host.as_deref(), output)
        }
        CacheCommand::Cat { key, port } => cache_records::cat(&store, key, port.as_deref(), output),
        CacheCommand::Pin { name, what } => cache_records::pin(&store, name, what, output),
        CacheCommand::Unpin { name } => {
            if store.unpin(name)? {
                return Ok(());
            }
            Err(Failure::Usage {
                message: format!("there is no pin `{name}`"),
                help: Some("`celldag cache pins` lists them".to_owned()),
            })
        }
        CacheCommand::Pins => {
            let pins = store.pins()?;
            if output.json { output.json_result(&pins) } else { output.result(&pins.join("\n")) }
        }
        CacheCommand::Purge { host, version, kind, key, dry_run } => {
            let condemned = Condemned {
                host: host.as_deref(),
                version: version.as_deref(),
                kind: kind.as_deref(),
                keys: key,
            };
            cache_records::purge(&store, &condemned, *dry_run, output)
        }
        CacheCommand::Push { all } => push(&store, *all, output),
    }
}

fn push(store: &Store, all: bool, output: &Output) -> Result<(), Failure> {
    if !store.has_remote() {
        return Err(Failure::Usage {
            message: "there is no shared store to send to".to_owned(),
            help: Some("name it with --remote URL or CELLDAG_REMOTE".to_owned()),
        });
    }
    if !store.may_push() {
        return Err(Failure::Usage {
            message: "the shared store is for reading only, so nothing can be sent".to_owned(),
            help: Some(
                "leave out `role=read` in its address, --remote-role read and CELLDAG_REMOTE_ROLE=read; \
                 --remote-role write overrides the address"
                    .to_owned(),
            ),
        });
    }
    if all {
        store.queue_all()?;
    }
    let cancel = interrupt::cancel_on_signals(*output)?;
    let report = store.push(&|| cancel.is_cancelled())?;
    if output.json {
        output.json_result(&report)?;
    } else {
        output.result(&format!(
            "sent {} results; {} were there, {} wait",
            report.uploaded, report.known, report.waiting
        ))?;
        if report.purged > 0 {
            output.say(&format!("{} were taken back there, and were not sent", report.purged));
        }
    }
    if cancel.is_cancelled() {
        return Err(Failure::Run(ExitClass::Interrupted));
    }
    // For scripts: not everything is there yet.
    if report.waiting > 0 { Err(Failure::Run(ExitClass::Failed)) } else { Ok(()) }
}

fn stats(store: &Store, output: &Output) -> Result<(), Failure> {
    let stats = store.stats()?;
    if output.json {
        return output.json_result(&stats);
    }
    output.result(&format!(
        "{}\n{} results that took {} to compute\n{} blobs, {}\n{} runs, {} pins, {} remembered failures\n{} unfinished pieces of work saved {}\n{} objects in quarantine, {}\n{} results wait to be sent to a shared store",
        store.root().display(),
        stats.records,
        celldag_engine::plan::duration(stats.seconds),
        stats.blobs,
        bytes(stats.blob_bytes),
        stats.runs,
        stats.pins,
        stats.failures,
        stats.partials,
        bytes(stats.partial_bytes),
        stats.quarantined,
        bytes(stats.quarantined_bytes),
        stats.queued,
    ))
}

fn verify(store: &Store, output: &Output) -> Result<(), Failure> {
    let report = store.verify(&mut |_| {})?;
    if output.json {
        output.json_result(&report)?;
    } else {
        show_check(&report, output)?;
    }
    if report.is_clean() {
        return Ok(());
    }
    output.say("damaged results are computed again when they are needed");
    Err(Failure::Run(ExitClass::Failed))
}

fn show_check(report: &VerifyReport, output: &Output) -> Result<(), Failure> {
    for (digest, place) in &report.damaged_blobs {
        let place = place.as_ref().map(|p| format!(", now {}", p.display())).unwrap_or_default();
        output.result(&format!("damaged: blob {digest}{place}"))?;
    }
    for path in &report.damaged_partials {
        output.result(&format!("damaged: saved state {}", path.display()))?;
    }
    for (path, reason) in &report.damaged_records {
        output.result(&format!("damaged: record {}: {reason}", path.display()))?;
    }
    output.result(&format!(
        "{} results complete, {} without all their bytes; {} blobs, {} hashed; {} saved states; {} damaged",
        report.complete,
        report.partial,
        report.blobs,
        bytes(report.bytes),
        report.partials,
        report.damaged_blobs.len() + report.damaged_records.len() + report.damaged_partials.len(),
    ))
}

fn gc(store: &Store, policy: &GcPolicy, output: &Output) -> Result<(), Failure> {
    let report = store.gc(policy)?;
    if output.json {
        return output.json_result(&report);
    }
    let verb = if report.dry_run { "would free" } else { "freed" };
    output.result(&format!(
        "{verb} {}: {} results, {} blobs, {} left-over work folders, {} saved states of unfinished work, {} objects of \
         quarantine",
        bytes(report.freed_bytes()),
        report.evicted.len(),
        report.blobs,
        report.workspaces,
        report.partials,
        report.quarantined,
    ))?;
    output.say("results and bytes younger than an hour are kept, and quarantine for a week");
    Ok(())
}
