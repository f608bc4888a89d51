//! Instructions that make one value out of others by a callable of the allow-list, and what they may cost.

use super::error::PickleError;
use super::machine::Machine;
use super::value::Node;
use super::{globals, torch};

/// What calls may make out of each byte of a pickle: numbers are handed out in 8 bytes, the shortest are stored in one.
const EXPANSION: usize = 8;

impl Machine<'_> {
    pub(super) fn reduce(&mut self, new: bool) -> Result<(), PickleError> {
        let parts = self.pop_many(2)?;
        let node = match (&self.nodes[parts[0] as usize], &self.nodes[parts[1] as usize]) {
            (Node::Callable(callable), Node::Tuple(args)) if new => callable.construct(args, &self.nodes),
            (Node::Callable(callable), Node::Tuple(args)) => callable.call(args, &self.nodes),
            _ => Err("a call of what is no callable".to_owned()),
        };
        let node = node.map_err(|what| self.malformed(what))?;
        self.spend(&node)?;
        self.push(node)
    }

    pub(super) fn persistent(&mut self) -> Result<(), PickleError> {
        let id = self.pop()?;
        let node =
            torch::storage(&self.nodes[id as usize], &self.nodes).map_err(|what| self.malformed(what))?;
        self.spend(&node)?;
        self.push(node)
    }

    pub(super) fn build(&mut self) -> Result<(), PickleError> {
        let state = self.pop()?;
        let object = self.top()?;
        let node = match (&self.nodes[object as usize], &self.nodes[state as usize]) {
            // Attributes of a dict or tensor (`_metadata` of a state dict) are of no use here.
            (Node::Dict(_) | Node::Tensor(_), Node::Dict(_) | Node::None | Node::Tuple(_)) => return Ok(()),
            (Node::Namespace(_), Node::Dict(entries)) => {
                let entries = entries.clone();
                self.spend_count(entries.len())?;
                if let Node::Namespace(attributes) = &mut self.nodes[object as usize] {
                    attributes.extend(entries);
                }
                return Ok(());
            }
            (object, state) => globals::build(object, state, &self.nodes),
        };
        let node = node.map_err(|what| self.malformed(what))?;
        self.spend(&node)?;
        self.nodes[object as usize] = node;
        Ok(())
    }

    fn spend(&mut self, node: &Node) -> Result<(), PickleError> {
        self.spend_count(match node {
            Node::Array(array) => array.values.len() * size_of::<f64>(),
            Node::Bytes(bytes) => bytes.len(),
            Node::Str(text) => text.len(),
            Node::Dict(entries) => entries.len(),
            Node::List(items) | Node::Tuple(items) => items.len(),
            Node::StorageRef(storage) => storage.key.len(),
            Node::Tensor(tensor) => tensor.shape.len() + tensor.strides.len(),
            _ => 0,
        })
    }

    fn spend_count(&mut self, count: usize) -> Result<(), PickleError> {
        self.spent = self.spent.saturating_add(count);
        let limit = self.cursor.len().saturating_mul(EXPANSION);
        if self.spent > limit {
            return Err(PickleError::TooLarge { what: "elements made from others", limit });
        }
        Ok(())
    }
}
