"""Performers (Choromanski et al. 2021, arXiv 2009.14794) with the tensor names of performer_pytorch: scBERT, CellLM, and the
decoder of scFoundation."""

import pathlib

import numpy as np
import torch
from torch import nn

from .common import Cell, Embed, Reference, Vocabularies, filled, seeded

FEATURES = 266  # int(64 ln 64)
EPS = 1e-4


class FastAttention(nn.Module):
    """Attention through positive random features; they are kept with the weights."""

    def __init__(self, head: int) -> None:
        super().__init__()
        # Rows of random orthogonal blocks with the lengths of Gaussian vectors.
        blocks = [torch.linalg.qr(torch.randn(head, head))[0] for _ in range(-(-FEATURES // head))]
        lengths = torch.randn(FEATURES, head).norm(dim=1, keepdim=True)
        self.register_buffer("projection_matrix", torch.cat(blocks)[:FEATURES] * lengths)

    def features(self, x: torch.Tensor, query: bool) -> torch.Tensor:
        x = x * x.shape[-1] ** -0.25
        projected = x @ self.projection_matrix.T
        largest = projected.amax(-1, keepdim=True) if query else projected.amax()
        return FEATURES**-0.5 * (torch.exp(projected - x.square().sum(-1, keepdim=True) / 2 - largest) + EPS)

    def forward(self, q: torch.Tensor, k: torch.Tensor, v: torch.Tensor) -> torch.Tensor:
        q, k = self.features(q, True), self.features(k, False)
        return (q @ (k.transpose(-1, -2) @ v)) / (q @ k.sum(-2)[..., None])


class SelfAttention(nn.Module):
    def __init__(self, width: int, heads: int, head: int, bias: bool) -> None:
        super().__init__()
        self.heads = heads
        self.fast_attention = FastAttention(head)
        self.to_q, self.to_k, self.to_v = (nn.Linear(width, heads * head, bias=bias) for _ in range(3))
        self.to_out = nn.Linear(heads * head, width)

    def forward(self, x: torch.Tensor, real: torch.Tensor | None) -> torch.Tensor:
        q, k, v = (part(x).unflatten(-1, (self.heads, -1)).transpose(1, 2) for part in (self.to_q, self.to_k, self.to_v))
        if real is not None:  # only values: the keys of padding stay in the denominator
            v = v * real[:, None, :, None]
        return self.to_out(self.fast_attention(q, k, v).transpose(1, 2).flatten(2))


class FeedForward(nn.Module):
    def __init__(self, width: int) -> None:
        super().__init__()
        self.w1, self.w2 = nn.Linear(width, 4 * width), nn.Linear(4 * width, width)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.w2(nn.functional.gelu(self.w1(x)))


class Performer(nn.Module):
    """Pre-norm layers; no normalisation behind the last."""

    def __init__(self, width: int, depth: int, heads: int, head: int = 64, bias: bool = False) -> None:
        super().__init__()

        def layer() -> nn.ModuleList:
            attention = nn.ModuleDict({"norm": nn.LayerNorm(width), "fn": SelfAttention(width, heads, head, bias)})
            forward = nn.ModuleDict({"norm": nn.LayerNorm(width), "fn": nn.ModuleDict({"fn": FeedForward(width)})})
            return nn.ModuleList([attention, forward])

        self.net = nn.ModuleDict({"layers": nn.ModuleList(layer() for _ in range(depth))})
        self.register_buffer("calls_since_last_redraw", torch.tensor(0))

    def forward(self, x: torch.Tensor, real: torch.Tensor | None = None) -> torch.Tensor:
        for attention, feedforward in self.net["layers"]:
            x = x + attention["fn"](attention["norm"](x), real)
            x = x + feedforward["fn"]["fn"](feedforward["norm"](x))
        return x


class PerformerLm(nn.Module):
    """Levels of expression plus vectors of genes, which are double precision in the published files."""

    def __init__(self, levels: int, genes: int, width: int, depth: int, heads: int) -> None:
        super().__init__()
        self.token_emb = nn.Embedding(levels, width)
        self.pos_emb = nn.ModuleDict({"emb": nn.Embedding(genes, width, dtype=torch.float64)})
        self.performer = Performer(width, depth, heads)
        self.norm = nn.LayerNorm(width)
        self.to_out = nn.Linear(width, levels)

    def forward(self, levels: torch.Tensor, genes: torch.Tensor, real: torch.Tensor | None = None) -> torch.Tensor:
        x = self.token_emb(levels)
        x += self.pos_emb["emb"](genes)
        x = self.norm(self.performer(x, real))
        return x if real is None else x * real[..., None]


def scbert_network() -> PerformerLm:
    return PerformerLm(levels=7, genes=16_907, width=200, depth=6, heads=10)


def celllm_network() -> PerformerLm:
    return PerformerLm(levels=8, genes=19_381, width=512, depth=10, heads=16)


def save(out: pathlib.Path, network: PerformerLm, genes: list[str], names: tuple[str, str, str]) -> None:
    """Weights, vectors of genes, and an h5ad whose columns are the only record of their order."""
    import anndata
    import pandas

    out.mkdir(parents=True, exist_ok=True)
    weights, vectors, cells = names
    torch.save({"epoch": 1, "model_state_dict": network.state_dict(), "losses": 0.5}, out / weights)
    np.save(out / vectors, network.pos_emb["emb"].weight[: len(genes)].detach().numpy())
    matrix = np.zeros((2, len(genes)), np.float32)
    anndata.AnnData(matrix, var=pandas.DataFrame(index=genes)).write_h5ad(out / cells)


def make_scbert(out: pathlib.Path, data: Vocabularies) -> None:
    network = seeded(scbert_network)
    with torch.no_grad():
        network.pos_emb["emb"].weight[-1] = 0
    save(out, network, data.symbols(16_906), ("panglao_pretrain.pth", "gene2vec_16906.npy", "panglao_10000.h5ad"))


def make_celllm(out: pathlib.Path, data: Vocabularies) -> None:
    network = seeded(celllm_network)
    with torch.no_grad():
        network.pos_emb["emb"].weight[-2] = 1
        network.pos_emb["emb"].weight[-1] = 0
    save(out, network, data.symbols(19_379), ("checkpoint4_fixed.pth", "gene2vec_19379_512.npy", "zheng68k_hgnc.h5ad"))


def load_scbert(checkpoint: pathlib.Path) -> Embed:
    """The mean of all tokens, one cell at a time."""
    state = torch.load(checkpoint / "panglao_pretrain.pth", weights_only=True)["model_state_dict"]
    model = filled(scbert_network, state)

    def embed(cells: list[Cell]) -> torch.Tensor:
        ids = torch.stack([cell.ids for cell in cells])
        return model(ids, torch.arange(ids.shape[1])[None].expand_as(ids)).mean(1)

    return embed


def load_celllm(checkpoint: pathlib.Path) -> Embed:
    """The mean over the padded length, one cell at a time. The last token stands for the padding, its value says how much."""
    state = torch.load(checkpoint / "checkpoint4_fixed.pth", weights_only=True)["model_state_dict"]
    model = filled(celllm_network, state)
    padding = len(state["pos_emb.emb.weight"]) - 1

    def embed(cells: list[Cell]) -> torch.Tensor:
        genes, levels = [], []
        for cell in cells:
            missing = int(cell.values[-1]) if cell.ids[-1] == padding else 0
            real = len(cell) - (missing > 0)
            genes.append(nn.functional.pad(cell.ids[:real], (0, missing), value=padding))
            levels.append(nn.functional.pad(cell.values[:real].long(), (0, missing), value=7))
        genes, levels = torch.stack(genes), torch.stack(levels)
        return model(levels, genes, genes != padding).mean(1)

    return embed


MODELS = {
    "scbert": Reference(make_scbert, load_scbert),
    "celllm": Reference(make_celllm, load_celllm),
}
