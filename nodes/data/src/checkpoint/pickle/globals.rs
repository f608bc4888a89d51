//! The allow-list: Python callables that a pickle may name, and what this reader does in their place.

use super::numpy::{Array, DType, ScalarType};
use super::torch;
use super::value::{Node, NodeId};

/// A callable of the allow-list that is not a type of PyTorch's storages.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Callable {
    /// `collections.OrderedDict`, read as a dict.
    OrderedDict,
    /// `collections.defaultdict`, read as a dict; its argument is what makes missing values.
    DefaultDict,
    /// `collections.Counter` and subclasses of dict that configurations are kept in, read as a dict.
    DictLike,
    /// `argparse.Namespace` and the like: attributes, read as a dict.
    Namespace,
    /// `set` and `frozenset`, read as a list.
    Set,
    /// `pathlib.*Path`, read as text.
    Path,
    /// `copyreg._reconstructor`: how Python makes objects below protocol 2.
    Reconstructor,
    /// `_codecs.encode`: how Python 3 writes bytes at protocols below 3.
    Encode,
    /// `bytes`, only ever called without arguments (empty bytes at protocols below 3).
    Bytes,
    /// `bytearray`, read as bytes.
    ByteArray,
    /// A type that is only named, never called: `int` as the default of a dict, `object` as a base.
    Type(&'static str),
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
    /// `torch._utils._rebuild_tensor` and `_rebuild_tensor_v2`.
    Tensor,
    /// `torch._utils._rebuild_tensor_v3`, whose storage has no type.
    TensorV3,
    /// `torch._utils._rebuild_parameter`: its first argument is the tensor.
    Parameter,
    /// `torch._tensor._rebuild_from_type_v2`: another of these and its arguments.
    FromType,
    /// `torch.Size`, a tuple.
    Size,
    /// `torch.device`, text.
    Device,
}

/// What the name of a Python object stands for, if it is on the list.
pub(super) fn find(module: &str, name: &str) -> Option<Node> {
    use Callable as C;
    if matches!(module, "torch" | "torch.storage") {
        if let Some(dtype) = torch::storage_class(name) {
            return Some(Node::Storage(dtype));
        }
        if let Some(dtype) = torch::dtype(name) {
            return Some(Node::TorchDtype(Box::new((dtype, name.to_owned()))));
        }
    }
    Some(Node::Callable(match (module, name) {
        ("collections", "OrderedDict") => C::OrderedDict,
        ("collections", "defaultdict") => C::DefaultDict,
        ("collections", "Counter")
        | ("easydict", "EasyDict")
        | ("addict.addict", "Dict")
        | ("pytorch_lightning.utilities.parsing" | "lightning.pytorch.utilities.parsing", "AttributeDict")
        | ("lightning_fabric.utilities.data" | "lightning.fabric.utilities.data", "AttributeDict") => {
            C::DictLike
        }
        ("argparse", "Namespace") | ("types", "SimpleNamespace") => C::Namespace,
        ("pathlib" | "pathlib._local", "PosixPath" | "WindowsPath" | "PurePosixPath" | "PureWindowsPath") => {
            C::Path
        }
        ("copy_reg" | "copyreg", "_reconstructor") => C::Reconstructor,
        ("_codecs", "encode") => C::Encode,
        ("builtins" | "__builtin__", _) => match name {
            "bytes" => C::Bytes,
            "bytearray" => C::ByteArray,
            "set" | "frozenset" => C::Set,
            "object" => C::Type("object"),
            "dict" => C::Type("dict"),
            "list" => C::Type("list"),
            "tuple" => C::Type("tuple"),
            "int" | "long" => C::Type("int"),
            "float" => C::Type("float"),
            "str" | "unicode" => C::Type("str"),
            "bool" => C::Type("bool"),
            _ => return None,
        },
        ("numpy", "dtype") => C::DType,
        ("numpy", "ndarray") => C::NdArray,
        ("numpy.core.multiarray" | "numpy._core.multiarray", "scalar") => C::Scalar,
        ("numpy.core.multiarray" | "numpy._core.multiarray", "_reconstruct") => C::Reconstruct,
        ("numpy.core.numeric" | "numpy._core.numeric", "_frombuffer") => C::FromBuffer,
        ("torch._utils", "_rebuild_tensor" | "_rebuild_tensor_v2") => C::Tensor,
        ("torch._utils", "_rebuild_tensor_v3") => C::TensorV3,
        ("torch._utils", "_rebuild_parameter" | "_rebuild_parameter_with_state") => C::Parameter,
        ("torch._tensor", "_rebuild_from_type_v2") => C::FromType,
        // Keys of what Lightning noted about its callbacks.
        (
            "pytorch_lightning.callbacks.model_checkpoint" | "pytorch_lightning.callbacks.early_stopping",
            "ModelCheckpoint" | "EarlyStopping",
        ) => C::Type("callback"),
        ("torch", "Size") => C::Size,
        ("torch", "device") => C::Device,
        ("torch", "Tensor") | ("torch.nn.parameter", "Parameter" | "Buffer") => C::Type("torch.Tensor"),
        _ => return None,
    }))
}

impl Callable {
    /// The value of a call. The error says what is wrong with the arguments.
    pub(super) fn call(self, args: &[NodeId], nodes: &[Node]) -> Result<Node, String> {
        let arg = |i: usize| args.get(i).map(|&id| &nodes[id as usize]);
        match (self, arg(0), arg(1)) {
            (Self::OrderedDict | Self::DictLike, None, _)
            | (Self::DefaultDict, None | Some(Node::None | Node::Callable(_)), None) => {
                Ok(Node::Dict(Vec::new()))
            }
            (Self::OrderedDict, Some(Node::List(pairs)), None) => ordered_dict(pairs, nodes),
            (Self::DictLike, Some(Node::Dict(entries)), None) => Ok(Node::Dict(entries.clone())),
            (Self::Namespace, None, _) => Ok(Node::Namespace(Vec::new())),
            (Self::Set, None, _) => Ok(Node::List(Vec::new())),
            (Self::Set, Some(Node::List(items)), None) => Ok(Node::List(items.clone())),
            (Self::Path, Some(_), _) => path(args, nodes),
            (
                Self::Reconstructor,
                Some(Node::Callable(class)),
                Some(Node::Callable(Self::Type("object"))),
            ) => class.construct(&[], nodes),
            (Self::Bytes | Self::ByteArray, None, _) => Ok(Node::Bytes(Box::default())),
            (Self::ByteArray, Some(Node::Bytes(bytes)), None) => Ok(Node::Bytes(bytes.clone())),
            (Self::Encode | Self::ByteArray, Some(Node::Str(text)), Some(Node::Str(codec)))
                if is_latin1(codec) =>
            {
                latin1(text)
            }
            (Self::DType, Some(Node::Str(name)), _) => {
                DType::parse(name).map(Node::DType).ok_or_else(|| format!("numpy's element type `{name}`"))
            }
            (Self::Scalar, Some(Node::DType(dtype)), Some(data)) => {
                let bytes = raw(data).ok_or("a numpy scalar without data")?;
                let value = dtype.decode(bytes).map(Node::from);
                value.ok_or_else(|| format!("a numpy scalar of {} bytes", bytes.len()))
            }
            // What follows is the BUILD that brings shape, type and bytes.
            (Self::Reconstruct, Some(Node::Callable(Self::NdArray)), _) => Ok(Node::Array(Box::new(Array {
                shape: vec![0],
                scalar: ScalarType::Uint(1),
                values: Vec::new(),
            }))),
            (Self::FromBuffer, Some(Node::Bytes(bytes)), Some(Node::DType(dtype))) => {
                let shape = torch::extents(arg(2), nodes)?;
                let fortran = matches!(arg(3), Some(Node::Str(order)) if **order == *"F");
                Array::decode(shape, *dtype, fortran, bytes).map(|array| Node::Array(Box::new(array)))
            }
            (Self::Tensor, ..) => torch::tensor(args, nodes, false),
            (Self::TensorV3, ..) => torch::tensor(args, nodes, true),
            (Self::Parameter, Some(Node::Tensor(tensor)), _) => Ok(Node::Tensor(tensor.clone())),
            (
                Self::FromType,
                Some(Node::Callable(inner)),
                Some(Node::Callable(Self::Type("torch.Tensor"))),
            ) => match (inner, arg(2)) {
                (Self::Tensor | Self::TensorV3, Some(Node::Tuple(args))) => inner.call(args, nodes),
                _ => Err("a tensor made in an unusual way".to_owned()),
            },
            (Self::Size, Some(Node::Tuple(extents)), None) => Ok(Node::Tuple(extents.clone())),
            (Self::Device, Some(Node::Str(name)), _) => Ok(Node::Str(name.clone())),
            _ => Err(format!("a call of {self:?} with unusual arguments")),
        }
    }

    /// The object of a class before its state is set (`cls.__new__(cls, *args)`).
    pub(super) fn construct(self, args: &[NodeId], nodes: &[Node]) -> Result<Node, String> {
        match self {
            Self::Namespace if args.is_empty() => Ok(Node::Namespace(Vec::new())),
            Self::DictLike | Self::OrderedDict | Self::DefaultDict if args.is_empty() => {
                Ok(Node::Dict(Vec::new()))
            }
            Self::Set | Self::Size => self.call(args, nodes),
            _ => Err(format!("an object made from {self:?}")),
        }
    }
}

/// What BUILD does to an array or element type of numpy. The error says what is wrong with the state.
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
        Node::Array(_) => match (item(2), item(3), item(4).and_then(raw)) {
            (Some(Node::DType(dtype)), Some(fortran), Some(bytes)) => {
                let fortran = match fortran {
                    Node::Bool(fortran) => *fortran,
                    Node::Int(fortran) => *fortran != 0,
                    _ => return Err("a numpy array of unknown order".to_owned()),
                };
                let shape = torch::extents(item(1), nodes)?;
                Array::decode(shape, *dtype, fortran, bytes).map(|array| Node::Array(Box::new(array)))
            }
            _ => Err("a numpy array of objects".to_owned()),
        },
        _ => Err("a state set on an object that has none".to_owned()),
    }
}

/// Bytes, or the text that Python 2 wrote for them.
fn raw(node: &Node) -> Option<&[u8]> {
    match node {
        Node::Bytes(bytes) => Some(bytes),
        Node::Str(text) => Some(text.as_bytes()),
        _ => None,
    }
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

fn path(parts: &[NodeId], nodes: &[Node]) -> Result<Node, String> {
    let mut out = String::new();
    for &part in parts {
        let Node::Str(part) = &nodes[part as usize] else {
            return Err("a path of something other than text".to_owned());
        };
        if !out.is_empty() && !out.ends_with('/') {
            out.push('/');
        }
        out.push_str(part);
    }
    Ok(Node::Str(out.into()))
}

fn is_latin1(codec: &str) -> bool {
    matches!(codec, "latin1" | "latin-1" | "iso-8859-1")
}

fn latin1(text: &str) -> Result<Node, String> {
    let bytes: Result<Vec<u8>, _> = text.chars().map(|c| u8::try_from(u32::from(c))).collect();
    bytes.map(|b| Node::Bytes(b.into())).map_err(|_| "bytes with characters beyond latin-1".to_owned())
}
