//! Preprocessing against the reference in `golden/preprocess` (Scanpy 1.11 on float64 counts): the pure functions, the
//! kinds on files, and properties that hold for any counts.

mod input;
mod kinds;
mod properties;
mod pure;
mod reference;
