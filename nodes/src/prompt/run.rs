//! What `prompt-classify` does: read, plan, ask (or only count), write.

use std::path::Path;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use celldag_engine::{NodeError, Step};

use super::answer::Usage;
use super::client::Client;
use super::endpoint::Endpoint;
use super::genes::TopGenes;
use super::interview::{Exchange, Interview, Missing, NO_ROOM, Verdict};
use super::kept::Kept;
use super::kind::Options;
use super::limits::{Budget, Pace, Prices, Spent};
use super::output::{Answered, Rows, write_transcript};
use super::request::{Dialect, Request, tokens_of};
use super::study::{Part, Plan};
use super::template::{Template, Wording};
use crate::learn::split::SplitTable;

pub(super) fn run(step: &Step<'_>, options: &Options) -> Result<(), NodeError> {
    let split_path = step.optional_input("split").map(|input| input.path.as_path());
    let split = split_path.map(SplitTable::read).transpose()?;
    let classes = classes(options, split.as_ref().zip(split_path))?;
    let genes = TopGenes::read(step, &options.matrix, options.genes, &options.exclude)?;
    let plan = Plan {
        template: options.template,
        cells_per_request: options.cells_per_request,
        shots: options.shots,
        fold: options.fold,
        seed: options.seed,
    };
    let parts = match split.as_ref().zip(split_path) {
        Some((split, path)) => plan.test_cells(&genes, split, path)?,
        None => plan.all_cells(&genes),
    };
    let interview = Interview {
        genes: &genes,
        wording: Wording {
            template: options.template,
            task: &options.task,
            classes: &classes,
            source: &options.source,
        },
        model: &options.model,
        temperature: options.temperature,
        seed: options.seed,
        max_tokens: options.max_tokens,
        format: options.answer_format,
        repairs: options.repairs,
    };
    let (verdicts, transcript) = if options.dry_run {
        dry_run(step, options, &interview, &parts)
    } else {
        ask(step, options, &interview, &parts)?
    };
    let rows = parts.iter().zip(&verdicts).flat_map(|(part, verdicts)| {
        part.rows.iter().map(|row| {
            let verdict = verdicts.get(&row.cell).copied().unwrap_or(Err(Missing::NoGenes));
            Answered { row, verdict }
        })
    });
    let rows = Rows { genes: &genes, classes: &classes, dataset: &options.dataset, rows: rows.collect() };
    rows.write_all(step.output("predictions")?)?;
    rows.answered().write(step.output("answered")?)?;
    rows.missing_as_wrong().write(step.output("missing_as_wrong")?)?;
    write_transcript(step.output("responses")?, &transcript)?;
    rows.report(step);
    Ok(())
}

/// Class names by number: those of the split, else those of the parameter.
fn classes(options: &Options, split: Option<(&SplitTable, &Path)>) -> Result<Vec<String>, NodeError> {
    let Some((split, path)) = split else {
        if options.shots > 0 || options.fold.is_some() {
            return Err(NodeError::parameter("`shots` and `fold` need the input `split`")
                .help("connect the output of `split`, or leave the parameters out"));
        }
        return Ok(options.classes.clone());
    };
    let classes = split.classes(path)?;
    let most = if options.template == Template::Scdrugmap { 2 } else { 10 };
    if classes.len() > most {
        return Err(NodeError::parameter(format!(
            "the split has {} classes; this template has numbers for {most}",
            classes.len()
        ))
        .help("leave classes out of the split"));
    }
    Ok(classes)
}

type Found = (Vec<std::collections::BTreeMap<usize, Verdict>>, Vec<Exchange>);

fn ask(
    step: &Step<'_>,
    options: &Options,
    interview: &Interview<'_>,
    parts: &[Part],
) -> Result<Found, NodeError> {
    let client = client(step, options)?;
    let cells: usize = parts.iter().flat_map(|part| &part.batches).map(Vec::len).sum();
    step.progress.total(cells as u64, "cells");
    let (mut verdicts, mut transcript) = (Vec::new(), Vec::new());
    for part in parts {
        let held = interview.hold(part, &client, options.concurrency);
        report_spent(step, &client, options);
        let (mut found, exchanges) = held?;
        found.extend(part.not_sent.iter().map(|&cell| (cell, Err(Missing::NotSent))));
        verdicts.push(found);
        transcript.extend(exchanges);
    }
    let usage: Vec<Usage> = transcript.iter().filter_map(|e| e.answer.as_ref()?.usage).collect();
    step.fact("requests", transcript.len());
    step.fact("prompt_tokens", usage.iter().map(|u| u.prompt_tokens).sum::<u64>());
    step.fact("completion_tokens", usage.iter().map(|u| u.completion_tokens).sum::<u64>());
    if usage.len() < transcript.len() {
        step.fact("requests_without_token_counts", transcript.len() - usage.len());
    }
    warn_of_server(step, &client, interview, &transcript);
    Ok((verdicts, transcript))
}

/// What the user should know of the server, from what it answered.
fn warn_of_server(step: &Step<'_>, client: &Client<'_>, interview: &Interview<'_>, transcript: &[Exchange]) {
    let uncounted = transcript.iter().filter_map(|e| e.answer.as_ref()).filter(|a| a.usage.is_none()).count();
    if uncounted > 0 {
        step.warn(format!(
            "the server gave no token counts with {uncounted} answers: they are not in `prompt_tokens` and \
             `completion_tokens`; budgets went by an estimate for them, without what the model thought"
        ));
    }
    let no_room = transcript.iter().filter(|e| e.outcome == NO_ROOM).count();
    if no_room > 0 {
        step.warn(format!(
            "answers were cut {no_room} times, and the server allows no longer ones (`max_tokens` is {}): their cells were asked \
             about in smaller groups; a smaller `cells_per_request` costs less",
            interview.max_tokens
        ));
    }
    let left_out = client.left_out.lock().unwrap_or_else(PoisonError::into_inner);
    let unsure: Vec<&str> =
        ["temperature", "seed"].into_iter().filter(|field| left_out.contains(*field)).collect();
    if !unsure.is_empty() {
        let fields = unsure.join(" and no ");
        step.warn(format!("the server takes no {fields}: asked again, it may answer otherwise"));
    }
}

/// What this execution cost; another one may find kept answers, and prices change.
fn report_spent(step: &Step<'_>, client: &Client<'_>, options: &Options) {
    let spent = client.budget.spent();
    step.execution("requests_sent", spent.requests);
    step.execution("requests_retried", client.retried.load(Ordering::Relaxed));
    step.execution("answers_reused", client.reused.load(Ordering::Relaxed));
    step.execution("tokens_billed", spent.usage.prompt_tokens + spent.usage.completion_tokens);
    if options.price_prompt > 0.0 || options.price_completion > 0.0 {
        step.execution("cost", prices(options).of(spent.usage));
    }
}

fn prices(options: &Options) -> Prices {
    Prices { prompt: options.price_prompt, completion: options.price_completion }
}

fn client<'a>(step: &'a Step<'a>, options: &'a Options) -> Result<Client<'a>, NodeError> {
    let endpoint = if step.offline {
        None
    } else {
        let timeout = Duration::from_secs_f64(options.timeout);
        let endpoint = Endpoint::new(&options.endpoint, options.api_key_env.as_deref(), timeout)?;
        if endpoint.shows_key() {
            step.warn(
                "the endpoint is reached without encryption: the key and the genes can be read on the way",
            );
        }
        Some(endpoint)
    };
    Ok(Client {
        step,
        address: options.endpoint.trim_end_matches('/'),
        endpoint,
        kept: Kept::open(options.keep_answers.as_deref().map(Path::new), step.resume())?,
        pace: Pace::new(options.requests_per_minute),
        budget: Budget {
            requests: options.max_requests,
            tokens: options.max_total_tokens,
            cost: options.max_cost,
            prices: prices(options),
            spent: Mutex::new(Spent::default()),
        },
        retries: options.retries,
        backoff: Duration::from_secs_f64(options.backoff),
        dialect: Mutex::new(Dialect::ALL),
        left_out: Mutex::default(),
        stopped: AtomicBool::new(false),
        retried: AtomicU64::new(0),
        reused: AtomicU64::new(0),
    })
}

/// Counts what would be asked and sends nothing.
fn dry_run(step: &Step<'_>, options: &Options, interview: &Interview<'_>, parts: &[Part]) -> Found {
    let (mut verdicts, mut transcript) = (Vec::new(), Vec::new());
    let mut usage = Usage::default();
    for part in parts {
        let mut found = std::collections::BTreeMap::new();
        for batch in &part.batches {
            let messages = vec![interview.question(&part.shots, batch)];
            usage.prompt_tokens += messages.iter().map(|message| tokens_of(&message.content)).sum::<u64>();
            // A number and a comma for each cell, and what stands around them.
            usage.completion_tokens += 2 * batch.len() as u64 + 10;
            let request = Request {
                model: interview.model,
                messages: messages.clone(),
                temperature: interview.temperature,
                seed: interview.seed,
                max_tokens: interview.max_tokens,
                format: interview.format,
                cells: batch.len(),
                classes: interview.wording.classes.len(),
                grown: false,
            };
            transcript.push(Exchange {
                request: request.digest(options.endpoint.trim_end_matches('/')),
                cells: batch.iter().map(|&cell| interview.genes.ids[cell].clone()).collect(),
                messages,
                outcome: Missing::DryRun.word().to_owned(),
                answer: None,
            });
            found.extend(batch.iter().map(|&cell| (cell, Err(Missing::DryRun))));
        }
        found.extend(part.not_sent.iter().map(|&cell| (cell, Err(Missing::NotSent))));
        verdicts.push(found);
    }
    step.fact("requests", transcript.len());
    step.fact("prompt_tokens_estimated", usage.prompt_tokens);
    step.fact("completion_tokens_estimated", usage.completion_tokens);
    if options.price_prompt > 0.0 || options.price_completion > 0.0 {
        step.execution("cost_estimated", prices(options).of(usage));
    }
    step.warn(
        "dry run: nothing was sent; `responses` holds the questions. Tokens are estimated, and models that reason use many \
         more",
    );
    (verdicts, transcript)
}
