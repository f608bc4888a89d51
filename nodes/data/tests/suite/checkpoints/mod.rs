//! Reading checkpoints and dictionaries as PyTorch, numpy and Python write them, and refusing what is damaged or hostile.

mod archives;
mod files;
mod golden;
mod hostile;
mod inspected;
mod large;
mod legacy;
mod plain;
mod sharded;
mod torch;
