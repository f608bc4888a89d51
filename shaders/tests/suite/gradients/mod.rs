//! Backward passes: every operation against central differences on both backends, and the tape itself. One file for
//! each family of operations.

mod attention;
mod batched;
mod columns;
mod elementwise;
mod embed;
mod linear_attention;
mod loss;
mod norms;
mod pool;
mod product;
mod reduce;
mod sparse;
mod tape;
