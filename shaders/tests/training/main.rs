//! What training needs, on both backends: a perceptron on the tape against finite differences in f64, optimiser steps
//! against their formulas and against torch, clipping, snapshots that keep their values.

#![allow(clippy::unwrap_used, clippy::print_stderr, reason = "helpers of tests")]

mod clip;
#[path = "../common/mod.rs"]
mod common;
mod network;
mod optimisers;
