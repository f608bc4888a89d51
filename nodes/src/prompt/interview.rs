//! Asking about the cells: one conversation a batch, several at a time, results in the order of the batches.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Mutex, PoisonError};

use celldag_engine::{FailureCause, NodeError};
use serde::Serialize;

use super::answer::Answer;
use super::client::{Client, Outcome};
use super::genes::TopGenes;
use super::parse::{published, tolerant, without_thoughts};
use super::request::{Format, Message, Request};
use super::study::Part;
use super::template::{Shot, Template, Wording};

/// Outcome of a request for more tokens than the server allows.
pub(super) const NO_ROOM: &str = "no_room";

/// How often a cut answer is asked for again with twice the tokens.
const GROWTHS: u32 = 3;

/// Why a cell has no prediction.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "snake_case")]
pub(super) enum Missing {
    /// No answer that could be read, or another number of answers than cells.
    Unreadable,
    /// The text ended at the limit of tokens.
    Truncated,
    /// The model refused.
    Refused,
    /// A filter of the server stopped question or answer.
    Filtered,
    /// The model said nothing.
    Empty,
    /// The question about this cell alone is too long.
    TooLong,
    /// Nothing is expressed, so that there is nothing to ask.
    NoGenes,
    /// The last batch was not full (template `scdrugmap`).
    NotSent,
    /// Nothing was to be sent.
    DryRun,
}

impl Missing {
    /// The word in tables.
    pub(super) fn word(self) -> &'static str {
        match self {
            Self::Unreadable => "unreadable",
            Self::Truncated => "truncated",
            Self::Refused => "refused",
            Self::Filtered => "filtered",
            Self::Empty => "empty",
            Self::TooLong => "too_long",
            Self::NoGenes => "no_genes",
            Self::NotSent => "not_sent",
            Self::DryRun => "dry_run",
        }
    }
}

/// The class of a cell, or why there is none.
pub(super) type Verdict = Result<usize, Missing>;

/// One request and what came of it: a line of the transcript.
#[derive(Debug, Serialize)]
pub(super) struct Exchange {
    /// Digest of the request.
    pub(super) request: String,
    /// Cells in the order in which they were asked about.
    pub(super) cells: Vec<String>,
    pub(super) messages: Vec<Message>,
    /// `read`, or why not.
    pub(super) outcome: String,
    pub(super) answer: Option<Answer>,
}

/// Everything that questions are made of.
pub(super) struct Interview<'a> {
    pub(super) genes: &'a TopGenes,
    pub(super) wording: Wording<'a>,
    pub(super) model: &'a str,
    pub(super) temperature: f64,
    pub(super) seed: u64,
    pub(super) max_tokens: u64,
    pub(super) format: Format,
    pub(super) repairs: u32,
}

/// What an answer is worth.
enum Worth {
    Read(Vec<usize>),
    /// The text and what is wrong with it.
    Unreadable(String, String),
    Truncated,
    /// It was cut, and the server does not allow a longer one.
    NoRoom,
    Never(Missing),
}

impl Interview<'_> {
    /// Asks about all batches of a part. Returns a verdict for each cell that was asked about, and the transcript.
    ///
    /// # Errors
    /// The first failure; other conversations stop before their next request.
    pub(super) fn hold(
        &self,
        part: &Part,
        client: &Client<'_>,
        concurrency: usize,
    ) -> Result<(BTreeMap<usize, Verdict>, Vec<Exchange>), NodeError> {
        type Slot = Mutex<Option<Result<(Vec<Verdict>, Vec<Exchange>), NodeError>>>;
        let slots: Vec<Slot> = part.batches.iter().map(|_| Mutex::default()).collect();
        let next = AtomicUsize::new(0);
        let work = || loop {
            let at = next.fetch_add(1, Ordering::Relaxed);
            let (Some(slot), Some(batch)) = (slots.get(at), part.batches.get(at)) else { return };
            let mut log = Vec::new();
            let result = self.ask(&part.shots, batch, client, &mut log).map(|verdicts| (verdicts, log));
            let failed = result.is_err();
            *slot.lock().unwrap_or_else(PoisonError::into_inner) = Some(result);
            if failed {
                client.stop();
                return;
            }
            client.step.progress.advance(batch.len() as u64);
        };
        std::thread::scope(|scope| {
            for _ in 0..concurrency.min(part.batches.len()) {
                scope.spawn(work);
            }
        });
        let (mut verdicts, mut transcript, mut failure) = (BTreeMap::new(), Vec::new(), None::<NodeError>);
        for (slot, batch) in slots.into_iter().zip(&part.batches) {
            match slot.into_inner().unwrap_or_else(PoisonError::into_inner) {
                Some(Ok((found, log))) => {
                    verdicts.extend(batch.iter().copied().zip(found));
                    transcript.extend(log);
                }
                // Those that were stopped say less than the one that failed.
                Some(Err(e)) if failure.as_ref().is_none_or(|f| f.cause == FailureCause::Cancelled) => {
                    failure = Some(e);
                }
                _ => {}
            }
        }
        match failure {
            Some(e) => Err(e),
            None => Ok((verdicts, transcript)),
        }
    }

    /// The first message about some cells.
    pub(super) fn question(&self, shots: &[Shot], cells: &[usize]) -> Message {
        let genes: Vec<Vec<&str>> = cells.iter().map(|&cell| self.genes.of(cell)).collect();
        Message { role: "user", content: self.wording.question(shots, &genes) }
    }

    /// Asks about some cells; if that fails, about each half of them on its own, down to single cells.
    fn ask(
        &self,
        shots: &[Shot],
        cells: &[usize],
        client: &Client<'_>,
        log: &mut Vec<Exchange>,
    ) -> Result<Vec<Verdict>, NodeError> {
        match self.converse(shots, cells, client, log)? {
            Ok(classes) => Ok(classes.into_iter().map(Ok).collect()),
            Err(_) if cells.len() > 1 && self.wording.template != Template::Scdrugmap => {
                let (left, right) = cells.split_at(cells.len() / 2);
                let mut verdicts = self.ask(shots, left, client, log)?;
                verdicts.extend(self.ask(shots, right, client, log)?);
                Ok(verdicts)
            }
            Err(why) => Ok(vec![Err(why); cells.len()]),
        }
    }

    /// One conversation: the question, the same with more room for the answer, and what was wrong with an answer.
    fn converse(
        &self,
        shots: &[Shot],
        cells: &[usize],
        client: &Client<'_>,
        log: &mut Vec<Exchange>,
    ) -> Result<Result<Vec<usize>, Missing>, NodeError> {
        let mut messages = vec![self.question(shots, cells)];
        let (mut repairs, mut growths, mut max_tokens) = (self.repairs, GROWTHS, self.max_tokens);
        if self.wording.template == Template::Scdrugmap {
            growths = 0;
        }
        loop {
            let request = Request {
                model: self.model,
                messages: messages.clone(),
                temperature: self.temperature,
                seed: self.seed,
                max_tokens,
                format: self.format,
                cells: cells.len(),
                classes: self.wording.classes.len(),
                grown: max_tokens > self.max_tokens,
            };
            let digest = request.digest(client.address);
            let outcome = client.ask(&request, &digest)?;
            let worth = self.worth(&outcome, cells.len());
            log.push(Exchange {
                request: digest,
                cells: cells.iter().map(|&cell| self.genes.ids[cell].clone()).collect(),
                messages: messages.clone(),
                outcome: match &worth {
                    Worth::Read(_) => "read".to_owned(),
                    Worth::Unreadable(_, problem) => format!("unreadable: {problem}"),
                    Worth::Truncated => Missing::Truncated.word().to_owned(),
                    Worth::NoRoom => NO_ROOM.to_owned(),
                    Worth::Never(why) => why.word().to_owned(),
                },
                answer: if let Outcome::Answer(answer) = outcome { Some(answer) } else { None },
            });
            match worth {
                Worth::Read(classes) => return Ok(Ok(classes)),
                Worth::Truncated if growths > 0 => {
                    growths -= 1;
                    max_tokens = max_tokens.saturating_mul(2);
                }
                Worth::Unreadable(text, problem) if repairs > 0 => {
                    repairs -= 1;
                    messages.push(Message { role: "assistant", content: text });
                    messages
                        .push(Message { role: "user", content: self.wording.repair(&problem, cells.len()) });
                }
                Worth::Unreadable(..) => return Ok(Err(Missing::Unreadable)),
                Worth::Truncated | Worth::NoRoom => return Ok(Err(Missing::Truncated)),
                Worth::Never(why) => return Ok(Err(why)),
            }
        }
    }

    fn worth(&self, outcome: &Outcome, cells: usize) -> Worth {
        let answer = match outcome {
            Outcome::Answer(answer) => answer,
            Outcome::TooLong => return Worth::Never(Missing::TooLong),
            Outcome::Filtered => return Worth::Never(Missing::Filtered),
            Outcome::NoRoom => return Worth::NoRoom,
        };
        let as_published = self.wording.template == Template::Scdrugmap;
        let ended = answer.finish_reason.as_deref();
        if ended == Some("content_filter") {
            return Worth::Never(Missing::Filtered);
        }
        if answer.refusal.as_deref().is_some_and(|words| !words.is_empty()) {
            return Worth::Never(Missing::Refused);
        }
        if ended == Some("length") && !as_published {
            return Worth::Truncated;
        }
        let text = answer.content.as_deref().unwrap_or_default();
        if text.trim().is_empty() {
            return Worth::Never(Missing::Empty);
        }
        let read = if as_published {
            published(text, cells)
        } else {
            tolerant(text, cells, self.wording.classes.len())
        };
        match read {
            Ok(classes) => Worth::Read(classes),
            // What the model thought need not be paid for twice.
            Err(problem) => Worth::Unreadable(without_thoughts(text).to_owned(), problem.to_string()),
        }
    }
}
