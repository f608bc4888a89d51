//! What a pickle holds once it is read: an arena of values, and a view into it.

use std::sync::Arc;

use super::globals::Callable;
use super::numpy::{Array, DType, Scalar};
use super::torch::{StorageRef, TensorRef};
use crate::checkpoint::dtype::Dtype;

/// Index into [`Pickle::nodes`].
pub(super) type NodeId = u32;

/// One value of the arena. Containers hold indices, so sharing costs nothing and dropping never recurses.
#[derive(Clone, Debug)]
pub(super) enum Node {
    None,
    Bool(bool),
    Int(i64),
    Float(f64),
    Str(Box<str>),
    Bytes(Box<[u8]>),
    List(Vec<NodeId>),
    Tuple(Vec<NodeId>),
    /// Entries in the order of writing; a repeated key stands twice, the later one counts.
    Dict(Vec<(NodeId, NodeId)>),
    Array(Box<Array>),
    /// An element type, only meaningful while reading.
    DType(DType),
    /// A callable of the allow-list, only meaningful while reading.
    Callable(Callable),
    /// Attributes of an object that is nothing but attributes.
    Namespace(Vec<(NodeId, NodeId)>),
    /// A storage class of PyTorch, only meaningful while reading.
    Storage(Option<Dtype>),
    /// An element type of PyTorch and its name there.
    TorchDtype(Box<(Dtype, String)>),
    /// A storage of PyTorch.
    StorageRef(Arc<StorageRef>),
    /// A tensor of PyTorch.
    Tensor(Box<TensorRef>),
}

/// A pickle that has been read.
#[derive(Clone, Debug)]
pub struct Pickle {
    pub(super) nodes: Vec<Node>,
    pub(super) root: NodeId,
}

impl Pickle {
    /// The value that was pickled.
    #[must_use]
    pub fn root(&self) -> Value<'_> {
        Value { pickle: self, id: self.root }
    }
}

/// One value of a [`Pickle`]. Free of cycles; shared parts are visited once for every place that holds them.
#[derive(Clone, Copy, Debug)]
pub struct Value<'a> {
    pickle: &'a Pickle,
    id: NodeId,
}

impl<'a> Value<'a> {
    fn node(self) -> &'a Node {
        &self.pickle.nodes[self.id as usize]
    }

    fn at(self, id: NodeId) -> Self {
        Self { pickle: self.pickle, id }
    }

    /// Python's name of the type.
    #[must_use]
    pub fn type_name(self) -> &'static str {
        match self.node() {
            Node::None => "None",
            Node::Bool(_) => "bool",
            Node::Int(_) => "int",
            Node::Float(_) => "float",
            Node::Str(_) => "str",
            Node::Bytes(_) => "bytes",
            Node::List(_) => "list",
            Node::Tuple(_) => "tuple",
            Node::Dict(_) => "dict",
            Node::Array(_) => "numpy.ndarray",
            Node::DType(_) => "numpy.dtype",
            Node::Callable(_) | Node::Storage(_) => "type",
            Node::Namespace(_) => "Namespace",
            Node::TorchDtype(_) => "torch.dtype",
            Node::StorageRef(_) => "torch.Storage",
            Node::Tensor(_) => "torch.Tensor",
        }
    }

    /// Whether this is `None`.
    #[must_use]
    pub fn is_none(self) -> bool {
        matches!(self.node(), Node::None)
    }

    /// A truth value, Python's or numpy's.
    #[must_use]
    pub fn as_bool(self) -> Option<bool> {
        if let Node::Bool(value) = self.node() { Some(*value) } else { None }
    }

    /// A whole number, Python's or numpy's.
    #[must_use]
    pub fn as_i64(self) -> Option<i64> {
        if let Node::Int(value) = self.node() { Some(*value) } else { None }
    }

    /// A number, Python's or numpy's; whole numbers beyond 2^53 are rounded.
    #[must_use]
    #[expect(clippy::cast_precision_loss, reason = "documented")]
    pub fn as_f64(self) -> Option<f64> {
        match self.node() {
            Node::Float(value) => Some(*value),
            Node::Int(value) => Some(*value as f64),
            _ => None,
        }
    }

    /// Text, or the name of an element type of PyTorch.
    #[must_use]
    pub fn as_str(self) -> Option<&'a str> {
        match self.node() {
            Node::Str(value) => Some(value),
            Node::TorchDtype(dtype) => Some(&dtype.1),
            _ => None,
        }
    }

    /// A tensor of PyTorch.
    pub(in crate::checkpoint) fn as_tensor(self) -> Option<&'a TensorRef> {
        if let Node::Tensor(value) = self.node() { Some(value) } else { None }
    }

    /// Bytes.
    #[must_use]
    pub fn as_bytes(self) -> Option<&'a [u8]> {
        if let Node::Bytes(value) = self.node() { Some(value) } else { None }
    }

    /// A numpy array.
    #[must_use]
    pub fn as_array(self) -> Option<&'a Array> {
        if let Node::Array(value) = self.node() { Some(value) } else { None }
    }

    /// The items of a list or tuple.
    #[must_use]
    pub fn items(self) -> Option<impl ExactSizeIterator<Item = Value<'a>>> {
        match self.node() {
            Node::List(items) | Node::Tuple(items) => Some(items.iter().map(move |&id| self.at(id))),
            _ => None,
        }
    }

    /// The entries of a dict, or the attributes of a namespace, in the order of writing; where a key repeats, the later entry counts.
    #[must_use]
    pub fn entries(self) -> Option<impl ExactSizeIterator<Item = (Value<'a>, Value<'a>)>> {
        match self.node() {
            Node::Dict(entries) | Node::Namespace(entries) => {
                Some(entries.iter().map(move |&(key, value)| (self.at(key), self.at(value))))
            }
            _ => None,
        }
    }

    /// The entry of a dict whose key is this text.
    #[must_use]
    pub fn get(self, key: &str) -> Option<Value<'a>> {
        self.entries()?.filter(|(k, _)| k.as_str() == Some(key)).last().map(|(_, value)| value)
    }
}

impl From<Scalar> for Node {
    fn from(scalar: Scalar) -> Self {
        match scalar {
            Scalar::Bool(value) => Self::Bool(value),
            Scalar::Int(value) => Self::Int(value),
            Scalar::Float(value) => Self::Float(value),
            Scalar::Text(value) => Self::Str(value.into()),
        }
    }
}
