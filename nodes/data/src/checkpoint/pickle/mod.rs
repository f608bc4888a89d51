//! Reads Python pickles without ever executing anything.
//!
//! A pickle is a program for a small stack machine; Python's own reader lets that program call any function. This reader
//! knows the opcodes that build plain data and a fixed list of callables (`globals.rs`), each of which it imitates itself.
//! Everything else is an error that names the refused global and where it stands.
//!
//! A hostile file cannot make the reader work or allocate much beyond its own size: values live in an arena with at
//! most one node an opcode, shared values stay shared, declared lengths are compared with what the file holds, and the
//! result is known to be free of cycles and no deeper than [`Limits::depth`].

mod calls;
mod cursor;
mod error;
mod globals;
mod json;
mod literal;
mod machine;
mod numpy;
mod opcode;
mod shape;
mod text;
pub(super) mod torch;
mod value;

pub use error::PickleError;
pub use numpy::{Array, ScalarType};
pub use value::{Pickle, Value};

/// What a pickle may cost at most.
#[derive(Clone, Copy, Debug)]
pub struct Limits {
    /// Bytes of the file.
    pub bytes: usize,
    /// Values in the arena, temporary ones included.
    pub nodes: usize,
    /// Containers inside containers.
    pub depth: usize,
}

impl Default for Limits {
    /// A hundred times the largest published dictionary.
    fn default() -> Self {
        Self { bytes: 256 << 20, nodes: 8 << 20, depth: 128 }
    }
}

#[cfg(test)]
mod tests;
