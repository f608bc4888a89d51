//! The stack machine that a pickle is a program for, limited to building data.

use std::collections::BTreeMap;

use super::cursor::Cursor;
use super::error::PickleError;
use super::globals;
use super::value::{Node, NodeId, Pickle};
use super::{Limits, opcode as op, text};

impl Pickle {
    /// Reads one pickle with the default [`Limits`].
    ///
    /// # Errors
    /// [`PickleError`]: a global or instruction outside the allow-list, damaged or oversized input.
    pub fn read(bytes: &[u8]) -> Result<Self, PickleError> {
        Self::read_within(bytes, Limits::default())
    }

    /// Reads one pickle.
    ///
    /// # Errors
    /// As [`Pickle::read`].
    pub fn read_within(bytes: &[u8], limits: Limits) -> Result<Self, PickleError> {
        Self::read_part(bytes, limits, false).map(|(pickle, _)| pickle)
    }

    /// Reads the pickle that `bytes` begin with, and says how long it is. With `torch`, it may refer to storages.
    pub(in crate::checkpoint) fn read_part(
        bytes: &[u8],
        limits: Limits,
        torch: bool,
    ) -> Result<(Self, usize), PickleError> {
        if bytes.len() > limits.bytes {
            return Err(PickleError::TooLarge { what: "bytes", limit: limits.bytes });
        }
        let mut machine = Machine {
            torch,
            cursor: Cursor::new(bytes),
            at: 0,
            nodes: Vec::new(),
            stack: Vec::new(),
            marks: Vec::new(),
            memo: BTreeMap::new(),
            spent: 0,
            limits,
        };
        let root = machine.run()?;
        let length = machine.cursor.position();
        let pickle = Self { nodes: machine.nodes, root };
        pickle.check_shape(limits)?;
        Ok((pickle, length))
    }
}

pub(super) struct Machine<'a> {
    pub(super) cursor: Cursor<'a>,
    /// Position of the instruction being executed.
    pub(super) at: usize,
    /// Whether persistent ids name storages; otherwise they are refused.
    torch: bool,
    pub(super) nodes: Vec<Node>,
    stack: Vec<NodeId>,
    /// Heights of the stack where a mark was set.
    marks: Vec<usize>,
    memo: BTreeMap<usize, NodeId>,
    limits: Limits,
    /// Bytes and elements that calls have made out of others. Bounded by the length of the file, because a hostile file
    /// can pass one large value to many calls.
    pub(super) spent: usize,
}

impl Machine<'_> {
    fn run(&mut self) -> Result<NodeId, PickleError> {
        loop {
            self.at = self.cursor.position();
            let opcode = self.cursor.byte("the list of instructions")?;
            if opcode == op::STOP {
                return self.pop();
            }
            self.step(opcode)?;
        }
    }

    fn step(&mut self, opcode: u8) -> Result<(), PickleError> {
        match opcode {
            op::PROTO => {
                let version = self.cursor.byte("the protocol number")?;
                if version > 5 {
                    return Err(self.malformed(format!("protocol {version}")));
                }
            }
            op::FRAME => {
                let length = self.cursor.length::<8>("a frame")?;
                if length > self.cursor.remaining() {
                    self.cursor.take(length, "a frame")?;
                }
            }
            op::MARK => self.marks.push(self.stack.len()),
            op::POP => {
                self.pop()?;
            }
            op::POP_MARK => {
                self.pop_mark()?;
            }
            op::DUP => {
                let top = self.top()?;
                self.stack.push(top);
            }
            op::PUT | op::BINPUT | op::LONG_BINPUT | op::MEMOIZE => self.remember(opcode)?,
            op::GET | op::BINGET | op::LONG_BINGET => self.recall(opcode)?,
            op::APPEND | op::APPENDS | op::ADDITEMS => self.append(opcode != op::APPEND)?,
            op::SETITEM | op::SETITEMS => self.set_items(opcode == op::SETITEMS)?,
            op::GLOBAL | op::STACK_GLOBAL => self.global(opcode)?,
            op::REDUCE | op::NEWOBJ => self.reduce(opcode == op::NEWOBJ)?,
            op::BINPERSID if self.torch => self.persistent()?,
            op::BUILD => self.build()?,
            op::EMPTY_TUPLE
            | op::TUPLE1
            | op::TUPLE2
            | op::TUPLE3
            | op::TUPLE
            | op::LIST
            | op::FROZENSET
            | op::DICT => {
                let node = self.collect(opcode)?;
                self.push(node)?;
            }
            _ => {
                let node = self.literal(opcode)?;
                self.push(node)?;
            }
        }
        Ok(())
    }

    fn collect(&mut self, opcode: u8) -> Result<Node, PickleError> {
        Ok(match opcode {
            op::EMPTY_TUPLE => Node::Tuple(Vec::new()),
            op::TUPLE1 => Node::Tuple(self.pop_many(1)?),
            op::TUPLE2 => Node::Tuple(self.pop_many(2)?),
            op::TUPLE3 => Node::Tuple(self.pop_many(3)?),
            op::TUPLE => Node::Tuple(self.pop_mark()?),
            op::LIST | op::FROZENSET => Node::List(self.pop_mark()?),
            _ => {
                let items = self.pop_mark()?;
                Node::Dict(self.pairs(&items)?)
            }
        })
    }

    fn remember(&mut self, opcode: u8) -> Result<(), PickleError> {
        let index = match opcode {
            op::MEMOIZE => self.memo.len(),
            _ => self.memo_index(opcode)?,
        };
        let top = self.top()?;
        self.memo.insert(index, top);
        Ok(())
    }

    fn recall(&mut self, opcode: u8) -> Result<(), PickleError> {
        let index = self.memo_index(opcode)?;
        let id = *self
            .memo
            .get(&index)
            .ok_or_else(|| self.malformed(format!("a reference to the unknown value {index}")))?;
        self.stack.push(id);
        Ok(())
    }

    fn memo_index(&mut self, opcode: u8) -> Result<usize, PickleError> {
        match opcode {
            op::BINPUT | op::BINGET => self.cursor.length::<1>("a reference"),
            op::LONG_BINPUT | op::LONG_BINGET => self.cursor.length::<4>("a reference"),
            _ => {
                let line = self.cursor.line("a reference")?;
                let index = text::decimal(line).and_then(|n| usize::try_from(n).ok());
                index.ok_or_else(|| self.malformed("an unreadable reference"))
            }
        }
    }

    fn append(&mut self, many: bool) -> Result<(), PickleError> {
        let mut items = if many { self.pop_mark()? } else { self.pop_many(1)? };
        let target = self.top()?;
        match &mut self.nodes[target as usize] {
            Node::List(list) => {
                list.append(&mut items);
                Ok(())
            }
            _ => Err(self.malformed("something appended to what is no list")),
        }
    }

    fn set_items(&mut self, many: bool) -> Result<(), PickleError> {
        let items = if many { self.pop_mark()? } else { self.pop_many(2)? };
        let mut pairs = self.pairs(&items)?;
        let target = self.top()?;
        match &mut self.nodes[target as usize] {
            Node::Dict(entries) => {
                entries.append(&mut pairs);
                Ok(())
            }
            _ => Err(self.malformed("an entry set in what is no dict")),
        }
    }

    fn pairs(&self, items: &[NodeId]) -> Result<Vec<(NodeId, NodeId)>, PickleError> {
        let (pairs, rest) = items.as_chunks::<2>();
        if !rest.is_empty() {
            return Err(self.malformed("a dict key without a value"));
        }
        Ok(pairs.iter().map(|&[key, value]| (key, value)).collect())
    }

    fn global(&mut self, opcode: u8) -> Result<(), PickleError> {
        let (module, name) = if opcode == op::GLOBAL {
            let module = self.cursor.line("the name of a module")?;
            let name = self.cursor.line("the name of an object")?;
            (String::from_utf8_lossy(module).into_owned(), String::from_utf8_lossy(name).into_owned())
        } else {
            let parts = self.pop_many(2)?;
            match (&self.nodes[parts[0] as usize], &self.nodes[parts[1] as usize]) {
                (Node::Str(module), Node::Str(name)) => (module.to_string(), name.to_string()),
                _ => return Err(self.malformed("a global whose name is no text")),
            }
        };
        match globals::find(&module, &name) {
            Some(node) => self.push(node),
            None => {
                let name: String = format!("{module}.{name}").chars().take(200).collect();
                Err(PickleError::RefusedGlobal { name, position: self.at })
            }
        }
    }

    pub(super) fn push(&mut self, node: Node) -> Result<(), PickleError> {
        if self.nodes.len() >= self.limits.nodes {
            return Err(PickleError::TooLarge { what: "values", limit: self.limits.nodes });
        }
        let id = NodeId::try_from(self.nodes.len())
            .map_err(|_| PickleError::TooLarge { what: "values", limit: self.limits.nodes })?;
        self.nodes.push(node);
        self.stack.push(id);
        Ok(())
    }

    pub(super) fn top(&self) -> Result<NodeId, PickleError> {
        self.stack.last().copied().ok_or_else(|| self.malformed("an instruction on an empty stack"))
    }

    pub(super) fn pop(&mut self) -> Result<NodeId, PickleError> {
        Ok(self.pop_many(1)?[0])
    }

    /// The top `count` values in the order in which they were pushed; never reaches below a mark.
    pub(super) fn pop_many(&mut self, count: usize) -> Result<Vec<NodeId>, PickleError> {
        let floor = self.marks.last().copied().unwrap_or(0);
        match self.stack.len().checked_sub(count) {
            Some(start) if start >= floor => Ok(self.stack.split_off(start)),
            _ => Err(self.malformed("an instruction on an empty stack")),
        }
    }

    /// Everything above the last mark.
    fn pop_mark(&mut self) -> Result<Vec<NodeId>, PickleError> {
        let start = self.marks.pop().ok_or_else(|| self.malformed("an instruction without its mark"))?;
        Ok(self.stack.split_off(start))
    }

    pub(super) fn malformed(&self, what: impl Into<String>) -> PickleError {
        PickleError::Malformed { what: what.into(), position: self.at }
    }
}
