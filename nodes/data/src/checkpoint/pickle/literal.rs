//! Instructions that push one plain value.

use super::error::{Opcode, PickleError};
use super::machine::Machine;
use super::value::Node;
use super::{opcode as op, text};

impl Machine<'_> {
    /// The value of a literal; anything that is no known instruction ends here and is refused.
    pub(super) fn literal(&mut self, opcode: u8) -> Result<Node, PickleError> {
        Ok(match opcode {
            op::NONE => Node::None,
            op::NEWTRUE => Node::Bool(true),
            op::NEWFALSE => Node::Bool(false),
            op::EMPTY_LIST | op::EMPTY_SET => Node::List(Vec::new()),
            op::EMPTY_DICT => Node::Dict(Vec::new()),
            op::BININT1 => Node::Int(self.cursor.byte("a number")?.into()),
            op::BININT2 => Node::Int(u16::from_le_bytes(self.cursor.array("a number")?).into()),
            op::BININT => Node::Int(i32::from_le_bytes(self.cursor.array("a number")?).into()),
            op::BINFLOAT => Node::Float(f64::from_be_bytes(self.cursor.array("a number")?)),
            op::LONG1 => {
                let digits = self.cursor.counted::<1>("a number")?;
                Node::Int(text::long(digits).ok_or_else(|| self.malformed("a number beyond 64 bits"))?)
            }
            op::LONG4 => {
                let digits = self.cursor.counted::<4>("a number")?;
                Node::Int(text::long(digits).ok_or_else(|| self.malformed("a number beyond 64 bits"))?)
            }
            op::INT => match self.cursor.line("a number")? {
                b"00" => Node::Bool(false),
                b"01" => Node::Bool(true),
                line => Node::Int(text::decimal(line).ok_or_else(|| self.malformed("an unreadable number"))?),
            },
            op::LONG => {
                let line = self.cursor.line("a number")?;
                Node::Int(text::decimal(line).ok_or_else(|| self.malformed("an unreadable number"))?)
            }
            op::FLOAT => {
                let line = self.cursor.line("a number")?;
                Node::Float(text::float(line).ok_or_else(|| self.malformed("an unreadable number"))?)
            }
            op::UNICODE => {
                let line = self.cursor.line("text")?;
                let decoded = text::raw_unicode_escape(line);
                Node::Str(decoded.ok_or_else(|| self.malformed("unreadable text"))?.into())
            }
            op::STRING => {
                let line = self.cursor.line("text")?;
                let bytes = text::quoted(line).ok_or_else(|| self.malformed("unreadable text"))?;
                text_of_python_2(&bytes)
            }
            op::SHORT_BINSTRING => text_of_python_2(self.cursor.counted::<1>("text")?),
            op::BINSTRING => text_of_python_2(self.cursor.counted::<4>("text")?),
            op::SHORT_BINUNICODE => {
                let bytes = self.cursor.counted::<1>("text")?;
                self.text(bytes)?
            }
            op::BINUNICODE => {
                let bytes = self.cursor.counted::<4>("text")?;
                self.text(bytes)?
            }
            op::BINUNICODE8 => {
                let bytes = self.cursor.counted::<8>("text")?;
                self.text(bytes)?
            }
            op::SHORT_BINBYTES => Node::Bytes(self.cursor.counted::<1>("bytes")?.into()),
            op::BINBYTES => Node::Bytes(self.cursor.counted::<4>("bytes")?.into()),
            op::BINBYTES8 | op::BYTEARRAY8 => Node::Bytes(self.cursor.counted::<8>("bytes")?.into()),
            other => {
                return Err(PickleError::RefusedOpcode { opcode: Opcode(other), position: self.at });
            }
        })
    }

    fn text(&self, bytes: &[u8]) -> Result<Node, PickleError> {
        let text = std::str::from_utf8(bytes).map_err(|_| self.malformed("text that is no UTF-8"))?;
        Ok(Node::Str(text.into()))
    }
}

/// Python 2 had one type for text and bytes; what is UTF-8 is read as text.
fn text_of_python_2(bytes: &[u8]) -> Node {
    std::str::from_utf8(bytes).map_or_else(|_| Node::Bytes(bytes.into()), |text| Node::Str(text.into()))
}
