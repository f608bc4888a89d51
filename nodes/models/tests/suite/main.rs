//! All tests of this crate that need no process of their own, in one program: linking it once instead of once a file is
//! most of what a build of the tests costs.

#![allow(
    clippy::expect_used,
    clippy::print_stdout,
    clippy::unwrap_used,
    reason = "a test says what it skips and stops at what fails"
)]

mod base_gradients;
mod bert_text;
mod celllm;
mod cellplm;
mod common;
mod drug_tokens;
mod drugs;
mod gene_aliases;
mod geneformer;
mod geneformer_checkpoint;
mod gradients;
mod half_weights;
mod llama;
mod lora_targets;
mod masked_lm;
mod options;
mod performer_checkpoint;
mod scbert;
mod scfoundation;
mod scfoundation_checkpoint;
mod scgpt;
mod scgpt_checkpoint;
mod tgpt;
mod trained_weights;
mod training;
mod training_noise;
mod training_whole;
mod uce;
mod uce_checkpoint;
