//! The header of a `.npy` file (numpy's format versions 1 to 3): a Python dict in text.

use crate::checkpoint::dtype::Dtype;

pub(super) const MAGIC: &[u8] = b"\x93NUMPY";

/// What the header says.
#[derive(Debug)]
pub(super) struct Header {
    /// Bytes before the data.
    pub(super) length: usize,
    pub(super) dtype: Dtype,
    pub(super) big_endian: bool,
    pub(super) fortran: bool,
    pub(super) shape: Vec<usize>,
}

impl Header {
    /// From the first bytes of the file. The error says what is wrong.
    pub(super) fn parse(head: &[u8]) -> Result<Self, String> {
        let cut = "its header is cut off or larger than any real one";
        let version = *head.get(MAGIC.len()).ok_or(cut)?;
        let (start, count) = match version {
            1 => (10, head.get(8..10).map(|b| usize::from(u16::from_le_bytes([b[0], b[1]])))),
            2 | 3 => (12, head.get(8..12).map(|b| u32::from_le_bytes([b[0], b[1], b[2], b[3]]) as usize)),
            other => return Err(format!("its format version is {other}")),
        };
        let length = start + count.ok_or(cut)?;
        let text = std::str::from_utf8(head.get(start..length).ok_or(cut)?)
            .map_err(|_| "its header is no text".to_owned())?;
        let mut literal = Literal(text.trim());
        let (mut descr, mut fortran, mut shape) = (None, None, None);
        literal.expect('{')?;
        while !literal.accept('}') {
            let key = literal.text()?;
            literal.expect(':')?;
            match key {
                "descr" if descr.is_none() => {
                    descr = Some(literal.text().map_err(|_| "it is a table of several types")?);
                }
                "fortran_order" if fortran.is_none() => fortran = Some(literal.truth()?),
                "shape" if shape.is_none() => shape = Some(literal.shape()?),
                _ => return Err(format!("its header has the unexpected key `{}`", key.escape_debug())),
            }
            if !literal.accept(',') {
                literal.expect('}')?;
                break;
            }
        }
        let (Some(descr), Some(fortran), Some(shape), "") = (descr, fortran, shape, literal.0) else {
            return Err("its header is incomplete".to_owned());
        };
        let (dtype, big_endian) = dtype(descr)?;
        Ok(Self { length, dtype, big_endian, fortran, shape })
    }
}

fn dtype(descr: &str) -> Result<(Dtype, bool), String> {
    let bare = descr.trim_start_matches(['<', '>', '=', '|']);
    let dtype = match bare {
        "b1" | "?" => Dtype::Bool,
        "u1" => Dtype::U8,
        "i1" => Dtype::I8,
        "u2" => Dtype::U16,
        "i2" => Dtype::I16,
        "u4" => Dtype::U32,
        "i4" => Dtype::I32,
        "u8" => Dtype::U64,
        "i8" => Dtype::I64,
        "f2" => Dtype::F16,
        "f4" => Dtype::F32,
        "f8" => Dtype::F64,
        "c8" => Dtype::Other("c64"),
        "c16" => Dtype::Other("c128"),
        _ if bare.starts_with('U') || bare.starts_with('S') => Dtype::Other("text"),
        "O" => return Err("it holds Python objects, which are not read; save plain numbers".to_owned()),
        _ => return Err(format!("its element type `{}` is unknown", descr.escape_debug())),
    };
    Ok((dtype, descr.starts_with('>')))
}

/// What is left of a literal of Python.
struct Literal<'a>(&'a str);

impl<'a> Literal<'a> {
    fn accept(&mut self, wanted: char) -> bool {
        let rest = self.0.trim_start().strip_prefix(wanted);
        if let Some(rest) = rest {
            self.0 = rest.trim_start();
        }
        rest.is_some()
    }

    fn expect(&mut self, wanted: char) -> Result<(), String> {
        if self.accept(wanted) { Ok(()) } else { Err(format!("its header lacks a `{wanted}`")) }
    }

    fn text(&mut self) -> Result<&'a str, String> {
        let quote = if self.accept('\'') { '\'' } else { self.expect('"').map(|()| '"')? };
        let (text, rest) = self.0.split_once(quote).ok_or("its header has an open quote")?;
        self.0 = rest.trim_start();
        Ok(text)
    }

    fn truth(&mut self) -> Result<bool, String> {
        for (word, value) in [("True", true), ("False", false)] {
            if let Some(rest) = self.0.strip_prefix(word) {
                self.0 = rest.trim_start();
                return Ok(value);
            }
        }
        Err("its header lacks a truth value".to_owned())
    }

    fn shape(&mut self) -> Result<Vec<usize>, String> {
        let mut shape = Vec::new();
        self.expect('(')?;
        while !self.accept(')') {
            let digits = self.0.len() - self.0.trim_start_matches(|c: char| c.is_ascii_digit()).len();
            let extent = self.0[..digits].parse();
            shape.push(extent.map_err(|_| "its shape is unreadable".to_owned())?);
            // Python 2 wrote long numbers with an L behind.
            self.0 = self.0[digits..].trim_start_matches('L').trim_start();
            if !self.accept(',') {
                self.expect(')')?;
                break;
            }
        }
        Ok(shape)
    }
}
