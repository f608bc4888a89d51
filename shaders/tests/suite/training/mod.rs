//! What training needs, on both backends: a perceptron on the tape against finite differences in f64, optimiser steps
//! against their formulas and against torch, clipping, snapshots that keep their values.

mod clip;
mod network;
mod optimisers;
