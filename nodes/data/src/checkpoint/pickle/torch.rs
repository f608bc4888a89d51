//! The parts of PyTorch that occur in its pickles: storages by reference, and tensors as views of them.

use std::sync::Arc;

use super::value::{Node, NodeId};
use crate::checkpoint::dtype::Dtype;

/// A storage that the file holds elsewhere, as the persistent id of the pickle names it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(in crate::checkpoint) struct StorageRef {
    /// Element type; `None` for a storage of bytes.
    pub(in crate::checkpoint) dtype: Option<Dtype>,
    /// Name inside the file.
    pub(in crate::checkpoint) key: String,
    /// Elements of the storage (bytes, where there is no element type).
    pub(in crate::checkpoint) count: usize,
    /// Old files: this storage is a part of the one named `key`: its first element.
    pub(in crate::checkpoint) part: Option<usize>,
}

/// A tensor: a view of a storage, not yet compared with it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(in crate::checkpoint) struct TensorRef {
    pub(in crate::checkpoint) storage: Arc<StorageRef>,
    pub(in crate::checkpoint) dtype: Dtype,
    pub(in crate::checkpoint) offset: usize,
    pub(in crate::checkpoint) shape: Vec<usize>,
    pub(in crate::checkpoint) strides: Vec<usize>,
}

/// Element type of a storage class (`torch.FloatStorage`); `Some(None)` for untyped bytes.
pub(super) fn storage_class(name: &str) -> Option<Option<Dtype>> {
    Some(Some(match name {
        "UntypedStorage" => return Some(None),
        "DoubleStorage" => Dtype::F64,
        "FloatStorage" => Dtype::F32,
        "HalfStorage" => Dtype::F16,
        "BFloat16Storage" => Dtype::Bf16,
        "LongStorage" => Dtype::I64,
        "IntStorage" => Dtype::I32,
        "ShortStorage" => Dtype::I16,
        "CharStorage" => Dtype::I8,
        "ByteStorage" => Dtype::U8,
        "BoolStorage" => Dtype::Bool,
        "ComplexFloatStorage" => Dtype::Other("c64"),
        "ComplexDoubleStorage" => Dtype::Other("c128"),
        _ => return None,
    }))
}

/// An element type by its name in `torch`.
pub(super) fn dtype(name: &str) -> Option<Dtype> {
    Some(match name {
        "float64" | "double" => Dtype::F64,
        "float32" | "float" => Dtype::F32,
        "float16" | "half" => Dtype::F16,
        "bfloat16" => Dtype::Bf16,
        "int64" | "long" => Dtype::I64,
        "int32" | "int" => Dtype::I32,
        "int16" | "short" => Dtype::I16,
        "int8" => Dtype::I8,
        "uint8" => Dtype::U8,
        "uint16" => Dtype::U16,
        "uint32" => Dtype::U32,
        "uint64" => Dtype::U64,
        "bool" => Dtype::Bool,
        "complex64" => Dtype::Other("c64"),
        "complex128" => Dtype::Other("c128"),
        "float8_e4m3fn" => Dtype::Other("f8_e4m3"),
        "float8_e5m2" => Dtype::Other("f8_e5m2"),
        _ => return None,
    })
}

/// The storage that a persistent id names: `('storage', class, key, location, count[, view])`.
pub(super) fn storage(id: &Node, nodes: &[Node]) -> Result<Node, String> {
    let unusual = || "a persistent id that names no storage".to_owned();
    let Node::Tuple(parts) = id else { return Err(unusual()) };
    let part = |i: usize| parts.get(i).map(|&id| &nodes[id as usize]);
    let (Some(Node::Str(kind)), Some(class), Some(Node::Str(key)), Some(_), Some(&Node::Int(count))) =
        (part(0), part(1), part(2), part(3), part(4))
    else {
        return Err(unusual());
    };
    let &Node::Storage(dtype) = class else { return Err(unusual()) };
    if **kind != *"storage" || parts.len() > 6 {
        return Err(unusual());
    }
    let length = |count: i64| usize::try_from(count).map_err(|_| format!("a storage of {count} elements"));
    let mut stored = StorageRef { dtype, key: key.to_string(), count: length(count)?, part: None };
    match part(5) {
        None | Some(Node::None) => {}
        // (key of the view, first element, number of elements)
        Some(Node::Tuple(view)) => match (view.get(1), view.get(2)) {
            (Some(&first), Some(&size)) => match (&nodes[first as usize], &nodes[size as usize]) {
                (&Node::Int(first), &Node::Int(size)) => {
                    stored.part = Some(length(first)?);
                    stored.count = length(size)?;
                }
                _ => return Err(unusual()),
            },
            _ => return Err(unusual()),
        },
        Some(_) => return Err(unusual()),
    }
    Ok(Node::StorageRef(Arc::new(stored)))
}

/// `torch._utils._rebuild_tensor*`: `(storage, offset, shape, strides, ...)`; version 3 names the element type.
pub(super) fn tensor(args: &[NodeId], nodes: &[Node], named: bool) -> Result<Node, String> {
    let arg = |i: usize| args.get(i).map(|&id| &nodes[id as usize]);
    let (Some(Node::StorageRef(storage)), Some(&Node::Int(offset))) = (arg(0), arg(1)) else {
        return Err("a tensor without a storage".to_owned());
    };
    let dtype = match (named, arg(6), storage.dtype) {
        (true, Some(Node::TorchDtype(dtype)), _) => dtype.0,
        (false, _, Some(dtype)) => dtype,
        _ => return Err("a tensor without an element type".to_owned()),
    };
    Ok(Node::Tensor(Box::new(TensorRef {
        storage: Arc::clone(storage),
        dtype,
        offset: usize::try_from(offset).map_err(|_| format!("a tensor that begins at {offset}"))?,
        shape: extents(arg(2), nodes)?,
        strides: extents(arg(3), nodes)?,
    })))
}

/// A tuple of whole numbers that are not negative.
pub(super) fn extents(node: Option<&Node>, nodes: &[Node]) -> Result<Vec<usize>, String> {
    let Some(Node::Tuple(extents)) = node else {
        return Err("an array without a shape".to_owned());
    };
    let extent = |&id: &NodeId| match nodes[id as usize] {
        Node::Int(value) => usize::try_from(value).map_err(|_| format!("an extent of {value}")),
        _ => Err("an extent that is no number".to_owned()),
    };
    extents.iter().map(extent).collect()
}
