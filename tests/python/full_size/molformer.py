"""MoLFormer-XL-both-10pct: 12 layers of 768 with linear attention over SMILES."""

import collections
import json
import pathlib
import re
from collections.abc import Callable

import torch
from safetensors.torch import load_file, save_file
from torch import nn

from .common import Cell, Embed, Reference, Vocabularies, filled, masked_mean, padded, seeded, write_json

VOCABULARY, WIDTH, HEADS, LAYERS, FEATURES, LONGEST, EPS = 2362, 768, 12, 12, 32, 202, 1e-12
PIECES = re.compile(r"\[[^\]]+\]|Br?|Cl?|N|O|S|P|F|I|b|c|n|o|s|p|\(|\)|\.|=|#|-|\+|\\|/|:|~|@|\?|>|\*|\$|%[0-9]{2}|[0-9]")
CONFIG = {
    "architectures": ["MolformerForMaskedLM"], "bos_token_id": 0, "eos_token_id": 1, "pad_token_id": 2, "deterministic_eval": False,
    "feature_map_kernel": "relu", "hidden_act": "gelu", "hidden_size": WIDTH, "intermediate_size": WIDTH, "layer_norm_eps": EPS,
    "linear_attention_eps": 1e-6, "max_position_embeddings": LONGEST, "model_type": "molformer", "num_attention_heads": HEADS,
    "num_hidden_layers": LAYERS, "num_random_features": FEATURES, "vocab_size": VOCABULARY,
}


class Attention(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.query, self.key, self.value = (nn.Linear(WIDTH, WIDTH) for _ in range(3))
        self.feature_map = nn.Module()
        self.feature_map.register_buffer("weight", torch.randn(WIDTH // HEADS, FEATURES))

    def forward(self, x: torch.Tensor, turns: tuple[torch.Tensor, torch.Tensor], real: torch.Tensor) -> torch.Tensor:
        q, k, v = (part(x).unflatten(-1, (HEADS, -1)).transpose(1, 2) for part in (self.query, self.key, self.value))
        q, k = (torch.relu(rotate(part, turns) @ self.feature_map.weight) for part in (q, k))
        k = k * real[:, None, :, None]
        sums = (q @ k.sum(-2)[..., None]).clamp(min=1e-6)
        return ((q @ (k.transpose(-1, -2) @ v)) / sums).transpose(1, 2).flatten(2)


def rotate(x: torch.Tensor, turns: tuple[torch.Tensor, torch.Tensor]) -> torch.Tensor:
    """Turns the pairs of first and second half."""
    a, b = x.chunk(2, -1)
    return x * turns[0] + torch.cat([-b, a], -1) * turns[1]


def turns(length: int) -> tuple[torch.Tensor, torch.Tensor]:
    head = WIDTH // HEADS
    angles = torch.arange(length)[:, None] * 10_000 ** (-torch.arange(0, head, 2) / head)
    return torch.cat([angles, angles], -1).cos(), torch.cat([angles, angles], -1).sin()


def dense(normed: bool) -> nn.ModuleDict:
    parts = {"dense": nn.Linear(WIDTH, WIDTH)}
    return nn.ModuleDict(parts | {"LayerNorm": nn.LayerNorm(WIDTH, EPS)} if normed else parts)


class Layer(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.attention = nn.ModuleDict({"self": Attention(), "output": dense(True)})
        self.intermediate, self.output = dense(False), dense(True)

    def forward(self, x: torch.Tensor, turns: tuple[torch.Tensor, torch.Tensor], real: torch.Tensor) -> torch.Tensor:
        out = self.attention["output"]
        x = out["LayerNorm"](x + out["dense"](self.attention["self"](x, turns, real)))
        inner = nn.functional.gelu(self.intermediate["dense"](x))
        return self.output["LayerNorm"](x + self.output["dense"](inner))


class Molformer(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.embeddings = nn.ModuleDict({"word_embeddings": nn.Embedding(VOCABULARY, WIDTH)})
        self.encoder = nn.ModuleDict({"layer": nn.ModuleList(Layer() for _ in range(LAYERS))})
        self.LayerNorm = nn.LayerNorm(WIDTH, EPS)

    def forward(self, ids: torch.Tensor, real: torch.Tensor) -> torch.Tensor:
        x, angles = self.embeddings["word_embeddings"](ids), turns(ids.shape[1])
        for layer in self.encoder["layer"]:
            x = layer(x, angles, real)
        return masked_mean(self.LayerNorm(x), real)


class Head(nn.Module):
    """What pretraining leaves in the file."""

    def __init__(self) -> None:
        super().__init__()
        self.lm_head = nn.ModuleDict({"transform": dense(True), "decoder": nn.Linear(WIDTH, VOCABULARY, bias=False)})


def make(out: pathlib.Path, data: Vocabularies) -> None:
    write_json(out / "config.json", CONFIG)
    counts = collections.Counter(piece for text in data.smiles() for piece in PIECES.findall(text))
    words = ["<bos>", "<eos>", "<pad>", "<mask>", *(piece for piece, _ in counts.most_common())]
    words += [f"[{mass}C]" for mass in range(VOCABULARY - 1 - len(words))] + ["<unk>"]
    write_json(out / "vocab.json", {word: row for row, word in enumerate(words)})
    network = {f"molformer.{name}": tensor for name, tensor in seeded(Molformer).state_dict().items()}
    state = network | seeded(Head).state_dict()
    save_file({name: tensor.contiguous() for name, tensor in state.items()}, out / "model.safetensors", metadata={"format": "pt"})


def load(checkpoint: pathlib.Path) -> Embed:
    """The mean of the tokens with the stored random features, of a padded batch."""
    state = load_file(checkpoint / "model.safetensors")
    state = {name.removeprefix("molformer."): tensor for name, tensor in state.items()}
    model = filled(Molformer, state, unused=("lm_head.",))

    def embed(cells: list[Cell]) -> torch.Tensor:
        return model(*padded([cell.ids for cell in cells], CONFIG["pad_token_id"]))

    return embed


def smiles(checkpoint: pathlib.Path) -> Callable[[str], list[int]]:
    words = json.loads((checkpoint / "vocab.json").read_text())
    return lambda text: [0, *(words.get(piece, words["<unk>"]) for piece in PIECES.findall(text))][: LONGEST - 1] + [1]


MODELS = {"molformer": Reference(make, load, batch=32, smiles=smiles)}
