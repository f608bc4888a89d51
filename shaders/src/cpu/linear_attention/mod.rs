//! CPU twin of the linear attentions: block products over features that are computed where they are needed and never
//! stored as a whole.

mod backward;
mod blocks;
mod curve;
mod features;
mod forward;
mod projection;

pub(crate) use backward::Outcome;
pub(crate) use curve::curve;
pub(crate) use forward::LinearAttention;
pub(crate) use projection::Projection;
