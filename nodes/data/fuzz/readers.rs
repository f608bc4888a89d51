//! The readers of celldag-data that fuzzing is about, and nothing else of it.

#[path = "../src/checkpoint/mod.rs"]
pub mod checkpoint;
#[path = "../src/vocabulary/mod.rs"]
pub mod vocabulary;
