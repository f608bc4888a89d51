//! The kind `prompt-classify`: asks a language model behind an OpenAI-compatible endpoint for the class of each cell,
//! given the names of its most expressed genes (scDrugMap, seed 000, does so with GPT-4o-mini).
//!
//! ```text
//! top genes ─▶ study (who is asked, in which batches) ─▶ interview ─▶ verdicts ─▶ predictions, transcript
//!                                                          │  prompt ─▶ client ─▶ server
//!                                                          ◀─ answer ─┘   (kept answers, pace, budget, retries)
//! ```
//!
//! What is asked never holds a test label: questions are made of names of genes and, with `shots`, of training cells.
//! A cell without a usable answer stays in the results as missing.

mod answer;
mod client;
mod endpoint;
mod genes;
mod interview;
mod kept;
mod kind;
mod limits;
mod output;
mod parse;
mod request;
mod run;
mod study;
mod template;

pub use kind::PromptClassify;
pub use parse::{Unreadable, published, tolerant};
