//! All tests of this crate that need no process of their own, in one program: linking it once instead of once a file is
//! most of what a build of the tests costs.

#![allow(
    clippy::cast_possible_truncation,
    clippy::expect_used,
    clippy::print_stdout,
    clippy::unwrap_used,
    reason = "a test says what it skips and stops at what fails"
)]

mod baselines;
mod common;
mod concat;
mod drug_response;
mod embed;
mod embed_drug;
mod embed_genes;
mod embed_resume;
mod embed_shards;
mod embedding_quality;
mod evaluation;
mod linear_head;
mod lora_resume;
mod lora_train;
mod metrics;
mod mlp_head;
mod peft_folders;
mod preprocess;
mod pretrain;
mod prompt;
mod regression;
mod responses;
mod shard_choices;
mod splits;
mod statistics;
