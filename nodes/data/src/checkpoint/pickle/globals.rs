//! The allow-list: Python callables that a pickle may name, and what this reader does in their place.

use super::numpy::{Array, DType, ScalarType};
use super::value::{Node, NodeId};

/// A callable of the allow-list.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Callable {
    /// `collections.OrderedDict`, read as a dict.
    OrderedDict,
    /// `_codecs.encode`: how Python 3 writes bytes at protocols below 3.
    Encode,
    /// `bytes`, only ever called without arguments (empty bytes at protocols below 3).
    Bytes,
    /// `numpy.dtype`.
    DType,
    /// `numpy.core.multiarray.scalar`.
    Scalar,
    /// `numpy.core.multiarray._reconstruct`.
    Reconstruct,
    /// `numpy.core.numeric._frombuffer`: arrays at protocol 5.
    FromBuffer,
    /// `numpy.ndarray`, an argument of `_reconstruct`.
    NdArray,
}

impl Callable {
    /// The callable of this name, if it is on the list.
    pub(super) fn find(module: &str, name: &str) -> Option<Self> {
        Some(match (module, name) {
            ("collections", "OrderedDict") => Self::OrderedDict,
            ("_codecs", "encode") => Self::Encode,
            ("builtins" | "__builtin__", "bytes") => Self::Bytes,
            ("numpy", "dtype") => Self::DType,
            ("numpy", "ndarray") => Self::NdArray,
            ("numpy.core.multiarray" | "numpy._core.multiarray", "scalar") => Self::Scalar,
            ("numpy.core.multiarray" | "numpy._core.multiarray", "_reconstruct") => Self::Reconstruct,
            ("numpy.core.numeric" | "numpy._core.numeric", "_frombuffer") => Self::FromBuffer,
            _ => return None,
        })
    }

    /// The value of a call. The error says what is wrong with the arguments.
    pub(super) fn call(self, args: &[NodeId], nodes: &[Node]) -> Result<Node, String> {
        let arg = |i: usize| args.get(i).map(|&id| &nodes[id as usize]);
        match (self, arg(0), arg(1)) {
            (Self::OrderedDict, None, _) => Ok(Node::Dict(Vec::new())),
            (Self::OrderedDict, Some(Node::List(pairs)), None) => ordered_dict(pairs, nodes),
            (Self::Bytes, None, _) => Ok(Node::Bytes(Box::default())),
            (Self::Encode, Some(Node::Str(text)), Some(Node::Str(codec))) if is_latin1(codec) => latin1(text),
            (Self::DType, Some(Node::Str(name)), _) => {
                DType::parse(name).map(Node::DType).ok_or_else(|| format!("numpy's element type `{name}`"))
            }
            (Self::Scalar, Some(Node::DType(dtype)), Some(Node::Bytes(bytes))) => dtype
                .decode(bytes)
                .map(Node::from)
                .ok_or_else(|| format!("a numpy scalar of {} bytes", bytes.len())),
            // What follows is the BUILD that brings shape, type and bytes.
            (Self::Reconstruct, Some(Node::Callable(Self::NdArray)), _) => Ok(Node::Array(Box::new(Array {
                shape: vec![0],
                scalar: ScalarType::Uint(1),
                values: Vec::new(),
            }))),
            (Self::FromBuffer, Some(Node::Bytes(bytes)), Some(Node::DType(dtype))) => {
                let shape = shape_of(arg(2), nodes)?;
                let fortran = matches!(arg(3), Some(Node::Str(order)) if **order == *"F");
                Array::decode(shape, *dtype, fortran, bytes).map(|array| Node::Array(Box::new(array)))
            }
            _ => Err(format!("a call of {self:?} with unusual arguments")),
        }
    }
}

/// What BUILD does to an object of the allow-list. The error says what is wrong with the state.
pub(super) fn build(object: &Node, state: &Node, nodes: &[Node]) -> Result<Node, String> {
    let Node::Tuple(state) = state else {
        return Err("a state that is no tuple".to_owned());
    };
    let item = |i: usize| state.get(i).map(|&id| &nodes[id as usize]);
    match object {
        // (version, byte order, subtype, names, fields, itemsize, alignment, flags)
        Node::DType(dtype) => match (item(1), item(2)) {
            (Some(Node::Str(order)), Some(Node::None)) => match &**order {
                "<" | "|" | "=" => Ok(Node::DType(DType { big_endian: false, ..*dtype })),
                ">" => Ok(Node::DType(DType { big_endian: true, ..*dtype })),
                other => Err(format!("the byte order `{other}`")),
            },
            _ => Err("a compound numpy element type".to_owned()),
        },
        // (version, shape, dtype, is_fortran, bytes)
        Node::Array(_) => match (item(2), item(3), item(4)) {
            (Some(Node::DType(dtype)), Some(Node::Bool(fortran)), Some(Node::Bytes(bytes))) => {
                let shape = shape_of(item(1), nodes)?;
                Array::decode(shape, *dtype, *fortran, bytes).map(|array| Node::Array(Box::new(array)))
            }
            _ => Err("a numpy array of objects".to_owned()),
        },
        _ => Err("a state set on an object that has none".to_owned()),
    }
}

fn shape_of(node: Option<&Node>, nodes: &[Node]) -> Result<Vec<usize>, String> {
    let Some(Node::Tuple(extents)) = node else {
        return Err("a numpy array without a shape".to_owned());
    };
    let extent = |&id: &NodeId| match nodes[id as usize] {
        Node::Int(value) => usize::try_from(value).map_err(|_| format!("an extent of {value}")),
        _ => Err("an extent that is no number".to_owned()),
    };
    extents.iter().map(extent).collect()
}

fn ordered_dict(pairs: &[NodeId], nodes: &[Node]) -> Result<Node, String> {
    let mut entries = Vec::with_capacity(pairs.len());
    for &id in pairs {
        match &nodes[id as usize] {
            Node::List(pair) | Node::Tuple(pair) if pair.len() == 2 => entries.push((pair[0], pair[1])),
            _ => return Err("an OrderedDict of something other than pairs".to_owned()),
        }
    }
    Ok(Node::Dict(entries))
}

fn is_latin1(codec: &str) -> bool {
    matches!(codec, "latin1" | "latin-1" | "iso-8859-1")
}

fn latin1(text: &str) -> Result<Node, String> {
    let bytes: Result<Vec<u8>, _> = text.chars().map(|c| u8::try_from(u32::from(c))).collect();
    bytes.map(|b| Node::Bytes(b.into())).map_err(|_| "bytes with characters beyond latin-1".to_owned())
}
