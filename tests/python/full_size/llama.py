"""Llama-3-8B: bfloat16 in four files, 16 GB, and the same with 8 of its 32 layers. Written and read tensor by tensor: the
machine need not hold it."""

import json
import math
import pathlib
import shutil
import zlib
from collections.abc import Iterator

import torch
from safetensors import safe_open
from torch import nn

from .common import Cell, Embed, Reference, Vocabularies, write_json

VOCABULARY, WIDTH, INNER, HEADS, KEY_HEADS, EPS, THETA = 128_256, 4096, 14_336, 32, 8, 1e-5, 500_000.0
HEAD = WIDTH // HEADS
SHARDS = 4
# Bytes that others may need on the disk meanwhile.
SPARE = 8 * 2**30
SPLIT = (
    r"(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}{1,3}| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+"
)
CONFIG = {
    "architectures": ["LlamaForCausalLM"], "attention_bias": False, "hidden_act": "silu", "hidden_size": WIDTH, "intermediate_size": INNER,
    "max_position_embeddings": 8192, "model_type": "llama", "num_attention_heads": HEADS,
    "num_key_value_heads": KEY_HEADS, "rms_norm_eps": EPS, "rope_scaling": None, "rope_theta": THETA, "tie_word_embeddings": False,
    "torch_dtype": "bfloat16", "vocab_size": VOCABULARY,
}


def shapes(layers: int) -> Iterator[tuple[str, list[int]]]:
    yield "model.embed_tokens.weight", [VOCABULARY, WIDTH]
    for layer in range(layers):
        name = f"model.layers.{layer}."
        for part, rows in (("q", WIDTH), ("k", KEY_HEADS * HEAD), ("v", KEY_HEADS * HEAD), ("o", WIDTH)):
            yield f"{name}self_attn.{part}_proj.weight", [rows, WIDTH]
        yield f"{name}mlp.gate_proj.weight", [INNER, WIDTH]
        yield f"{name}mlp.up_proj.weight", [INNER, WIDTH]
        yield f"{name}mlp.down_proj.weight", [WIDTH, INNER]
        for norm in ("input_layernorm", "post_attention_layernorm"):
            yield f"{name}{norm}.weight", [WIDTH]
    yield "model.norm.weight", [WIDTH]
    yield "lm_head.weight", [VOCABULARY, WIDTH]


def make_tokenizer(layers: int, out: pathlib.Path, data: Vocabularies) -> None:
    """Byte pairs learned from gene symbols, in the published form."""
    from tokenizers import Regex, Tokenizer, decoders, models, pre_tokenizers, processors, trainers

    tokenizer = Tokenizer(models.BPE(ignore_merges=True))
    bytes_only = pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=False)
    tokenizer.pre_tokenizer = pre_tokenizers.Sequence([pre_tokenizers.Split(Regex(SPLIT), "isolated"), bytes_only])
    tokenizer.decoder = decoders.ByteLevel()
    begin, alphabet = "<|begin_of_text|>", pre_tokenizers.ByteLevel.alphabet()
    trainer = trainers.BpeTrainer(vocab_size=8192, initial_alphabet=alphabet, show_progress=False)
    tokenizer.train_from_iterator((f" {symbol}" for _, symbol in data.table()), trainer)
    tokenizer.add_special_tokens([begin, "<|end_of_text|>"])
    row = tokenizer.token_to_id(begin)
    tokenizer.post_processor = processors.TemplateProcessing(single=f"{begin} $A", special_tokens=[(begin, row)])
    # As many entries as the weights have rows: the others stand for words that no cell sentence holds.
    saved = json.loads(tokenizer.to_str())
    for entry in range(tokenizer.get_vocab_size(), VOCABULARY):
        saved["model"]["vocab"][f"<unused {entry}>"] = entry
    write_json(out / "tokenizer.json", saved)
    write_json(out / "config.json", CONFIG | {"num_hidden_layers": layers, "bos_token_id": row, "eos_token_id": row + 1})


def make(layers: int, out: pathlib.Path, data: Vocabularies) -> None:
    """Fails before it writes where the disk has no room."""
    out.mkdir(parents=True, exist_ok=True)
    tensors = list(shapes(layers))
    total = sum(2 * math.prod(shape) for _, shape in tensors)
    free = shutil.disk_usage(out).free
    if free < total + SPARE:
        raise SystemExit(f"{out}: {total / 1e9:.0f} GB of weights and {SPARE / 1e9:.0f} to spare; only {free / 1e9:.0f} are free")
    make_tokenizer(layers, out, data)
    # Normal numbers with the deviation of the published initialisation; tensors begin at different places of them.
    pool = (torch.randn(2**26, generator=torch.Generator().manual_seed(0)) * 0.02).bfloat16()
    index, end = {}, 0
    files: list[list[tuple[str, list[int]]]] = [[] for _ in range(SHARDS)]
    for name, shape in tensors:
        shard = min(end * SHARDS // total, SHARDS - 1)
        files[shard].append((name, shape))
        index[name] = f"model-{shard + 1:05}-of-{SHARDS:05}.safetensors"
        end += 2 * math.prod(shape)
    for shard, held in enumerate(files):
        write_shard(out / f"model-{shard + 1:05}-of-{SHARDS:05}.safetensors", held, pool)
    write_json(out / "model.safetensors.index.json", {"metadata": {"total_size": total}, "weight_map": index})


def write_shard(path: pathlib.Path, tensors: list[tuple[str, list[int]]], pool: torch.Tensor) -> None:
    header, end = {"__metadata__": {"format": "pt"}}, 0
    for name, shape in tensors:
        size = 2 * math.prod(shape)
        header[name] = {"dtype": "BF16", "shape": shape, "data_offsets": [end, end + size]}
        end += size
    text = json.dumps(header).encode()
    text += b" " * (-len(text) % 8)
    raw = memoryview(pool.view(torch.int16).numpy()).cast("B")
    with open(path, "wb") as file:
        file.write(len(text).to_bytes(8, "little") + text)
        for name, shape in tensors:
            left = 2 * math.prod(shape)
            if len(shape) == 1:  # scales of a normalisation are near 1
                file.write(memoryview((pool[: left // 2] + 1).view(torch.int16).numpy()).cast("B"))
                continue
            start = 2 * (zlib.crc32(name.encode()) % (len(pool) // 2))
            while left:
                part = raw[start : start + left]
                file.write(part)
                left, start = left - len(part), 0


def rms_norm(x: torch.Tensor, weight: torch.Tensor) -> torch.Tensor:
    return x * torch.rsqrt(x.square().mean(-1, keepdim=True) + EPS) * weight


def load(checkpoint: pathlib.Path) -> Embed:
    """The mean of all tokens, in float32 on the stored weights, which are read anew for every batch: 32 GB do not fit into
    most machines. So its speed is that of the disk and no measure of PyTorch."""
    places = json.loads((checkpoint / "model.safetensors.index.json").read_text())["weight_map"]
    layers = json.loads((checkpoint / "config.json").read_text())["num_hidden_layers"]
    files = {name: safe_open(checkpoint / name, "pt") for name in set(places.values())}

    def tensor(name: str) -> torch.Tensor:
        return files[places[name]].get_tensor(name).float()

    def rotate(x: torch.Tensor) -> torch.Tensor:
        angles = torch.arange(x.shape[1])[:, None] * THETA ** (-torch.arange(0, HEAD, 2) / HEAD)
        angles = torch.cat([angles, angles], -1)
        a, b = x.chunk(2, -1)
        return x * angles.cos() + torch.cat([-b, a], -1) * angles.sin()

    def layer(x: torch.Tensor, name: str) -> torch.Tensor:
        normed = rms_norm(x, tensor(f"{name}.input_layernorm.weight"))
        q, k, v = (
            (normed @ tensor(f"{name}.self_attn.{part}_proj.weight").T).unflatten(-1, (-1, HEAD)).transpose(0, 1) for part in "qkv"
        )
        attended = nn.functional.scaled_dot_product_attention(rotate(q), rotate(k), v, is_causal=True, enable_gqa=True)
        x = x + attended.transpose(0, 1).flatten(1) @ tensor(f"{name}.self_attn.o_proj.weight").T
        normed = rms_norm(x, tensor(f"{name}.post_attention_layernorm.weight"))
        gate = nn.functional.silu(normed @ tensor(f"{name}.mlp.gate_proj.weight").T)
        return x + (gate * (normed @ tensor(f"{name}.mlp.up_proj.weight").T)) @ tensor(f"{name}.mlp.down_proj.weight").T

    def embed(cells: list[Cell]) -> torch.Tensor:
        out = []
        for cell in cells:
            rows = files[places["model.embed_tokens.weight"]].get_slice("model.embed_tokens.weight")
            x = torch.cat([rows[int(token) : int(token) + 1] for token in cell.ids]).float()
            for index in range(layers):
                x = layer(x, f"model.layers.{index}")
            out.append(rms_norm(x, tensor("model.norm.weight")).mean(0))
        return torch.stack(out)

    return embed


MODELS = {
    # `llama-8` has a quarter of the layers, for disks without room for all.
    name: Reference(lambda out, data, layers=layers: make(layers, out, data), load) for name, layers in (("llama", 32), ("llama-8", 8))
}
