"""Makes nodes/data/tests/files/checkpoints: small files of PyTorch, numpy and pickle in every form that readers must know.

    python tests/python/make_checkpoints.py nodes/data/tests/files/checkpoints [GOLDEN]

expected.safetensors holds every tensor of the other files as `FILE/NAME`, contiguous and in its own element type.
GOLDEN is the folder of golden fixtures: golden.json then gets one line per weight file there: the number of tensors and a
CRC-32 over name, element type, shape and values of all of them in the order of their names.
Needs torch, numpy and safetensors; made with torch 2.15 and numpy 2.
"""

import argparse
import collections
import decimal
import io
import json
import pathlib
import pickle
import sys
import zlib

import numpy as np
import safetensors.torch
import torch

FLOATS = [torch.float16, torch.bfloat16, torch.float32, torch.float64]
WHOLE = [torch.bool, torch.uint8, torch.int8, torch.int16, torch.int32, torch.int64, torch.uint16, torch.uint32, torch.uint64]
ENDINGS = (".pt", ".pth", ".bin", ".ckpt", ".torch", ".safetensors")


def flatten(value, path=""):
    """Tensors by dotted name."""
    if isinstance(value, torch.Tensor):
        yield path or "tensor", value.detach()
    elif isinstance(value, argparse.Namespace):
        yield from flatten(vars(value), path)
    elif isinstance(value, (dict, list, tuple)):
        for key, below in value.items() if isinstance(value, dict) else enumerate(value):
            yield from flatten(below, f"{path}.{key}" if path else str(key))


def nested():
    torch.manual_seed(1)
    state = collections.OrderedDict(
        {"embed.weight": torch.randn(3, 4), "norm.bias": torch.randn(4).half(), "layers.0.position_ids": torch.arange(5)}
    )
    state._metadata = collections.OrderedDict({"": {"version": 1}})
    config = argparse.Namespace(
        width=4, rate=0.5, name="small", sizes=(1, 2), tags={"a"}, frozen=frozenset(["b"]), path=pathlib.PurePosixPath("a/b"),
        device=torch.device("cpu"), dtype=torch.bfloat16, shape=torch.Size([2, 3]), infinite=float("inf"), none=None,
        deep=argparse.Namespace(yes=True), counts=collections.Counter("aab"), huge=2**40,
    )
    return {
        "model": {"state_dict": state},
        "config": config,
        "defaults": collections.defaultdict(int, {"x": 1}),
        "numpy": {"mean": np.float64(1.5), "array": np.arange(6, dtype=np.int16).reshape(2, 3)},
        "parameter": torch.nn.Parameter(torch.randn(2, 2)),
        "history": [torch.randn(2), {"loss": 0.25, "best": torch.tensor(3.0)}],
        7: torch.ones(1),
        "epoch": 3,
    }


def views():
    base = torch.arange(60.0).reshape(5, 12)
    cube = torch.arange(24, dtype=torch.int32).reshape(2, 3, 4)
    return {
        "base": base, "transposed": base.t(), "slice": base[1:4, 2:11:3], "row": base[2], "offset": base.view(-1)[7:31],
        "expanded": torch.tensor([7.0]).expand(3, 4), "empty": torch.zeros(0, 3), "scalar": torch.tensor(2.5),
        "one": base[1:2, 3:4], "permuted": cube.permute(2, 0, 1), "half_transposed": base.t().half().t()[1:, ::2],
    }


def types():
    out = {str(t).removeprefix("torch."): torch.tensor([[0.0, 1.0], [-2.5, 1e-3]]).to(t) for t in FLOATS}
    out |= {str(t).removeprefix("torch."): torch.tensor([0, 1, 100]).to(t) for t in WHOLE}
    out["large"] = torch.tensor([2**63 - 1, -(2**63)])
    return out


def plain():
    array = np.arange(6).reshape(2, 3)
    return {
        "int": np.int16(-3), "float": np.float64(1.25), "half": np.float16(0.5), "truth": np.bool_(True), "text": np.str_("gène"),
        "unsigned": np.uint64(7), "array": array.astype(np.float32), "fortran": np.asfortranarray(array.astype(np.int8)),
        "big": array.astype(">i4"), "empty": np.zeros((0, 2)), "list": [1, -2, 2**40, 1.5, None, True, "é", b"\x00\xff"],
        "tuple": (1, (2, 3)), "set": {1}, "bytes": bytearray(b"ab"), "ordered": collections.OrderedDict(a=1), "nothing": b"",
    }


def write(folder):
    saved = {"nested": nested(), "views": views(), "types": types(), "bare": torch.arange(6.0).reshape(2, 3), "list": [torch.ones(2), torch.zeros(1)]}
    torch.save(saved["nested"], folder / "nested.pt")
    for protocol in (2, 3, 4, 5):
        torch.save(saved["nested"], folder / f"nested_legacy_{protocol}.pt", pickle_protocol=protocol, _use_new_zipfile_serialization=False)
    torch.save(saved["nested"], folder / "nested_4.pt", pickle_protocol=4)
    for name in ("views", "types", "bare", "list"):
        torch.save(saved[name], folder / f"{name}.pt")
    old = {name: tensor for name, tensor in saved["types"].items() if name not in ("uint16", "uint32", "uint64")}
    torch.save(old, folder / "types_legacy.pt", _use_new_zipfile_serialization=False)
    torch.save(saved["views"], folder / "views_legacy.pt", _use_new_zipfile_serialization=False)
    expected = {}
    for file, value in saved.items():
        expected |= {f"{file}/{name}": tensor.contiguous().clone() for name, tensor in flatten(value)}
    torch.save(torch.nn.Linear(2, 2), folder / "refused_module.pt")
    torch.save({"weight": torch.ones(1), "when": decimal.Decimal(1)}, folder / "refused_global.pt")
    complexes = {"complex": torch.ones(2, dtype=torch.complex64), "eight": torch.ones(2).to(torch.float8_e4m3fn), "fine": torch.ones(1)}
    torch.save(complexes, folder / "listed.pt")
    for protocol in range(6):
        (folder / f"plain_{protocol}.pkl").write_bytes(pickle.dumps(plain(), protocol=protocol))
    arrays = {
        "f2": np.array([[0.5, -1.0, 2.0]], np.float16), "f4": np.arange(6, dtype=np.float32).reshape(2, 3), "f8": np.array([1.5, 1e300]),
        "big": np.arange(6, dtype=">f8").reshape(3, 2), "fortran": np.asfortranarray(np.arange(6.0).reshape(2, 3)),
        "i8": np.array([-1, 2**40]), "truth": np.array([True, False]), "scalar": np.array(2.5, np.float32), "empty": np.zeros((0, 4)),
    }
    np.savez(folder / "stored.npz", **arrays)
    np.savez_compressed(folder / "packed.npz", **arrays)
    np.save(folder / "big.npy", arrays["big"])
    np.save(folder / "fortran.npy", arrays["fortran"])
    expected |= {f"npz/{name}": torch.from_numpy(np.array(a, a.dtype.newbyteorder("="), order="C")) for name, a in arrays.items()}
    safetensors.torch.save_file(expected, folder / "expected.safetensors")
    shards = folder / "sharded"
    shards.mkdir(exist_ok=True)
    parts = {"model-00001-of-00002.safetensors": {"a": torch.ones(2, 2).bfloat16(), "b": torch.zeros(3)}, "model-00002-of-00002.safetensors": {"c": torch.ones(1)}}
    for file, tensors in parts.items():
        safetensors.torch.save_file(tensors, shards / file, metadata={"format": "pt"})
    index = {"metadata": {"total_size": 24}, "weight_map": {name: file for file, tensors in parts.items() for name in tensors}}
    (shards / "model.safetensors.index.json").write_text(json.dumps(index, indent=2) + "\n")


def summary(file):
    if file.suffix == ".safetensors":
        tensors = safetensors.torch.load_file(file)
    else:
        tensors = dict(flatten(torch.load(file, map_location="cpu", weights_only=False)))
    crc = 0
    for name in sorted(tensors):
        tensor = tensors[name].contiguous()
        kind = {torch.float16: "f16", torch.bfloat16: "bf16", torch.float32: "f32", torch.float64: "f64"}.get(tensor.dtype, "int")
        bits = tensor.view(torch.int16) if kind in ("f16", "bf16") else tensor if kind != "int" else tensor.to(torch.int64)
        crc = zlib.crc32(f"{name} {kind} {list(tensor.shape)}\n".encode(), crc)
        crc = zlib.crc32(bits.numpy().tobytes(), crc)
    return {"tensors": len(tensors), "crc32": crc}


def main():
    folder = pathlib.Path(sys.argv[1])
    folder.mkdir(parents=True, exist_ok=True)
    write(folder)
    if len(sys.argv) > 2:
        golden = pathlib.Path(sys.argv[2])
        files = sorted(f for f in golden.rglob("*") if f.suffix in ENDINGS and "checkpoint" in str(f.relative_to(golden)))
        (folder / "golden.json").write_text(json.dumps({str(f.relative_to(golden)): summary(f) for f in files}, indent=2) + "\n")


if __name__ == "__main__":
    main()
