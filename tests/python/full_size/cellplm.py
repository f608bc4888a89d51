"""CellPLM 20230926_85M: cells as tokens, four layers of flow attention of 1024, a mixture of Gaussians behind them."""

import json
import pathlib
import shutil

import torch
from torch import nn

from .common import Cell, Embed, Reference, Vocabularies, filled, seeded

NAME = "20230926_85M"
WIDTH, HEADS, LAYERS, LATENT, CLUSTERS, GROUPS = 1024, 8, 4, 512, 16, 4
EPS = 1e-6


def flow_attention(q: torch.Tensor, k: torch.Tensor, v: torch.Tensor) -> torch.Tensor:
    """Wu et al. 2022 (arXiv 2202.06258), `[heads, cells, width]`."""
    q, k = q.sigmoid(), k.sigmoid()

    def flow(x: torch.Tensor, total: torch.Tensor) -> torch.Tensor:
        return ((x + EPS) * (total + EPS)).sum(-1, keepdim=True)

    sink, source = 1 / flow(q, k.sum(1, keepdim=True)), 1 / flow(k, q.sum(1, keepdim=True))
    conserved_sink = flow(q, (k * source).sum(1, keepdim=True))
    conserved_source = flow(k, (q * sink).sum(1, keepdim=True)).clamp(-1, 1)
    competition = conserved_source.softmax(1) * k.shape[1]
    return conserved_sink.sigmoid() * ((q * sink) @ (k.transpose(1, 2) @ (v * competition)))


class Layer(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        names = ("query_projection", "key_projection", "value_projection", "out_projection")
        self.self_attn = nn.ModuleDict({name: nn.Linear(WIDTH, WIDTH) for name in names})
        # Numbers of the published names count dropouts.
        self._ff_block = nn.Sequential(nn.Linear(WIDTH, 2 * WIDTH), nn.GELU(), nn.Identity(), nn.Linear(2 * WIDTH, WIDTH))
        self.norm1, self.norm2 = nn.LayerNorm(WIDTH), nn.LayerNorm(WIDTH)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        normed = self.norm1(x)
        q, k, v = (
            self.self_attn[f"{name}_projection"](normed).unflatten(-1, (HEADS, -1)).transpose(0, 1)
            for name in ("query", "key", "value")
        )
        x = x + self.self_attn["out_projection"](flow_attention(q, k, v).transpose(0, 1).flatten(1))
        return x + self._ff_block(self.norm2(x))


class GeneTable(nn.Module):
    def __init__(self, genes: int) -> None:
        super().__init__()
        self.emb = nn.Parameter(torch.randn(genes, WIDTH) * 0.05)


class CellPlm(nn.Module):
    """Encoder and latent layer."""

    def __init__(self, genes: int) -> None:
        super().__init__()
        extra = nn.Sequential(nn.Linear(WIDTH, WIDTH), nn.ReLU(), nn.Identity(), nn.GroupNorm(GROUPS, WIDTH))
        self.embedder = nn.ModuleDict({"feat_enc": GeneTable(genes), "extra_linear": extra})
        self.encoder = nn.ModuleDict({"layers": nn.ModuleList(Layer() for _ in range(LAYERS))})
        self.pre_latent_norm = nn.ModuleDict({"norm": nn.LayerNorm(WIDTH)})
        given = nn.Sequential(nn.Linear(WIDTH + CLUSTERS, LATENT), nn.ReLU(), nn.ModuleDict({"mu": nn.Linear(LATENT, LATENT)}))
        inference = nn.ModuleDict({
            "inference_qyx": nn.ModuleList([nn.ModuleDict({"logits": nn.Linear(WIDTH, CLUSTERS)})]), "inference_qzyx": given,
        })
        self.latent = nn.ModuleDict({"layers": nn.ModuleList([nn.Identity(), nn.ModuleDict({"inference": inference})])})

    def forward(self, cells: torch.Tensor) -> torch.Tensor:
        x = self.embedder["extra_linear"](torch.sparse.mm(cells, self.embedder["feat_enc"].emb))
        for layer in self.encoder["layers"]:
            x = layer(x)
        x = self.pre_latent_norm["norm"](x)
        latent = self.latent["layers"][1]["inference"]
        choice = latent["inference_qyx"][0]["logits"](x).argmax(-1)
        choice = nn.functional.one_hot(choice, CLUSTERS).to(x.dtype)
        inner, activation, heads = latent["inference_qzyx"]
        return heads["mu"](activation(inner(torch.cat([x, choice], -1))))


def rest(genes: int) -> dict[str, torch.Tensor]:
    """What vectors of cells do not need: tables that the model never reads, and the decoder."""
    shapes = {
        "embedder.norm0.weight": [WIDTH], "embedder.norm0.bias": [WIDTH], "embedder.pe_enc.missing_pe": [WIDTH],
        "embedder.pe_enc.pe_enc.weight": [10_000, WIDTH], "latent.layers.1.inference.inference_qzyx.2.var.weight": [LATENT, LATENT],
        "latent.layers.1.inference.inference_qzyx.2.var.bias": [LATENT], "decoder.layers.0.0.weight": [WIDTH, LATENT],
        "decoder.layers.0.0.bias": [WIDTH], "decoder.covariate_layers.0.batch.0.weight": [12_596, WIDTH],
        "decoder.covariate_layers.0.dataset.0.weight": [484, WIDTH], "decoder.out_layer.dec_1.weight": [128, WIDTH],
        "decoder.out_layer.dec_1.bias": [128], "decoder.out_layer.dec_mean.0.weight": [genes, 128],
        "decoder.out_layer.dec_mean.0.bias": [genes], "decoder.out_layer.dec_disp": [genes],
    }
    for name in ("y_mu", "y_var"):
        shapes |= {f"latent.layers.1.inference.{name}.weight": [LATENT, CLUSTERS], f"latent.layers.1.inference.{name}.bias": [LATENT]}
    return {name: torch.randn(shape) * 0.02 for name, shape in shapes.items()}


LATENT_NAME = "latent.layers.1.inference."
UNUSED = ("embedder.norm0.", "embedder.pe_enc.", "decoder.", f"{LATENT_NAME}y_", f"{LATENT_NAME}inference_qzyx.2.var.")


def make(out: pathlib.Path, data: Vocabularies) -> None:
    out.mkdir(parents=True, exist_ok=True)
    source = data.vocabulary("cellplm", f"{NAME}.config.json")
    shutil.copyfile(source, out / f"{NAME}.config.json")
    genes = len(json.loads(source.read_text())["gene_list"])
    state = seeded(lambda: CellPlm(genes)).state_dict() | rest(genes)
    torch.save({"model_state_dict": dict(state)}, out / f"{NAME}.best.ckpt")


def load(checkpoint: pathlib.Path) -> Embed:
    """The mean of the most likely cluster; all cells are one sentence."""
    state = torch.load(checkpoint / f"{NAME}.best.ckpt", weights_only=True)["model_state_dict"]
    genes = len(state["embedder.feat_enc.emb"])
    model = filled(lambda: CellPlm(genes), state, unused=UNUSED)

    def embed(cells: list[Cell]) -> torch.Tensor:
        starts = torch.tensor([0, *(len(cell) for cell in cells)]).cumsum(0)
        ids, values = (torch.cat(parts) for parts in zip(*((cell.ids, cell.values) for cell in cells), strict=True))
        return model(torch.sparse_csr_tensor(starts, ids, values, (len(cells), genes)))

    return embed


MODELS = {"cellplm": Reference(make, load, batch=0)}
