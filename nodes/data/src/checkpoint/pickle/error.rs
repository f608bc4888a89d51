//! Why a pickle was refused.

use std::fmt;

/// The position is a byte offset into the pickle.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum PickleError {
    /// The file asks for a Python object that is not on the allow-list.
    #[error(
        "the pickle asks for the Python object `{name}` at byte {position}, which is not on the list of harmless data \
         types and was not run; if you trust the file, open it in Python and save plain data instead (a dict of str \
         and numbers as .json, tensors as .safetensors)"
    )]
    RefusedGlobal {
        /// `module.name`.
        name: String,
        /// Where.
        position: usize,
    },
    /// The file uses an instruction that plain data does not need.
    #[error(
        "the pickle uses the instruction {opcode} at byte {position}, which plain data does not need and this reader \
         refuses; open the file in Python and save plain data instead (`json.dump`, or `pickle.dump(..., protocol=4)` \
         of dicts, lists, numbers and strings)"
    )]
    RefusedOpcode {
        /// The instruction.
        opcode: Opcode,
        /// Where.
        position: usize,
    },
    /// The file ends in the middle of something.
    #[error(
        "the pickle ends at byte {position}, in the middle of {what}: the file is cut off, copy or download it again"
    )]
    Truncated {
        /// Length of the file.
        position: usize,
        /// What was being read.
        what: &'static str,
    },
    /// The file contradicts the format.
    #[error(
        "not a valid pickle: {what} at byte {position}; the file is damaged or no pickle, copy or download it again"
    )]
    Malformed {
        /// What is wrong.
        what: String,
        /// Where.
        position: usize,
    },
    /// The file is beyond a limit of this reader.
    #[error("the pickle has more than {limit} {what}, the most this reader accepts")]
    TooLarge {
        /// What is limited.
        what: &'static str,
        /// The limit.
        limit: usize,
    },
}

/// An instruction byte; shown with its character, as `pickletools` does.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Opcode(pub u8);

impl fmt::Display for Opcode {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.0.is_ascii_graphic() {
            write!(f, "'{}' (0x{:02x})", char::from(self.0), self.0)
        } else {
            write!(f, "0x{:02x}", self.0)
        }
    }
}
