"""scFoundation: 12 layers of 768 over expressed genes, with a Performer as decoder, which vectors of cells do not need."""

import pathlib
import shutil

import torch
from torch import nn

from .common import Cell, Embed, Reference, Vocabularies, encoder_layer, filled, seeded
from .performer import Performer

POSITIONS, WIDTH, BINS = 19_266, 768, 100
CONFIG = {
    "model": "mae_autobin",
    "model_config": {"mae_autobin": {
        "gene_num": POSITIONS, "seq_len": POSITIONS,
        "encoder": {"hidden_dim": WIDTH, "depth": 12, "heads": 12, "dim_head": 64, "module_type": "transformer", "norm_first": False},
        "decoder": {"hidden_dim": 512, "depth": 6, "heads": 8, "dim_head": 64, "module_type": "performer", "norm_first": False},
        "n_class": 104, "pad_token_id": 103, "mask_token_id": 102, "bin_num": BINS, "bin_alpha": 1.0, "rawcount": True,
    }},
    "dataset_config": {"rnaseq": {"bin_type": "auto_bin", "pad_token_id": 103, "mask_token_id": 102, "bin_num": BINS, "bin_alpha": 1.0}},
}


class ScFoundation(nn.Module):
    """The encoder's half of the model."""

    def __init__(self) -> None:
        super().__init__()
        self.token_emb = nn.ModuleDict({
            "mlp": nn.Linear(1, BINS), "mlp2": nn.Linear(BINS, BINS), "emb": nn.Embedding(BINS, WIDTH),
            "emb_mask": nn.Embedding(1, WIDTH), "emb_pad": nn.Embedding(1, WIDTH),
        })
        self.pos_emb = nn.Embedding(POSITIONS + 1, WIDTH)
        self.encoder = nn.ModuleDict({
            "transformer_encoder": nn.ModuleList(encoder_layer(WIDTH, 12, 4 * WIDTH) for _ in range(12)),
            "norm": nn.LayerNorm(WIDTH),
        })

    def forward(self, ids: torch.Tensor, values: torch.Tensor) -> torch.Tensor:
        inner = nn.functional.leaky_relu(self.token_emb["mlp"](values[..., None]), 0.1)
        shares = torch.softmax(self.token_emb["mlp2"](inner) + inner, -1)
        x = shares @ self.token_emb["emb"].weight + self.pos_emb(ids)
        for layer in self.encoder["transformer_encoder"]:
            x = layer(x)
        return self.encoder["norm"](x)


class Decoder(nn.Module):
    """The other half."""

    def __init__(self) -> None:
        super().__init__()
        self.decoder_embed = nn.Linear(WIDTH, 512)
        self.decoder = nn.ModuleDict({"performer": Performer(512, 6, 8, bias=True), "norm": nn.LayerNorm(512)})
        self.norm = nn.LayerNorm(512)
        self.to_final = nn.Linear(512, 1)


DECODER_NAMES = ("decoder_embed.", "decoder.", "norm.", "to_final.")


def make(out: pathlib.Path, data: Vocabularies) -> None:
    """Three models of one shape; their numbers are the same, which nothing depends on."""
    (out / "models").mkdir(parents=True)
    shutil.copyfile(data.vocabulary("scfoundation", "OS_scRNA_gene_index.19264.tsv"), out / "OS_scRNA_gene_index.19264.tsv")
    state = seeded(ScFoundation).state_dict() | seeded(Decoder).state_dict()
    model = {f"model.{name}": tensor for name, tensor in state.items()}
    copies = [{name: tensor.clone() for name, tensor in model.items()} for _ in range(2)]
    three = zip(("cell", "gene", "rde"), (model, *copies), strict=True)
    torch.save({key: {"config": CONFIG, "state_dict": state} for key, state in three}, out / "models" / "models.ckpt")


def load(checkpoint: pathlib.Path) -> Embed:
    """The key `cell`, `pool_type all`, one cell at a time, as the authors' script."""
    state = torch.load(checkpoint / "models" / "models.ckpt", weights_only=True, mmap=True)["cell"]["state_dict"]
    state = {name.removeprefix("model."): tensor.clone() for name, tensor in state.items()}
    model = filled(ScFoundation, state, unused=DECODER_NAMES)

    def embed(cells: list[Cell]) -> torch.Tensor:
        vectors = []
        for cell in cells:
            states = model(cell.ids[None], cell.values[None])[0]
            genes = states[:-2]
            vectors.append(torch.cat([states[-1], states[-2], genes.amax(0), genes.mean(0)]))
        return torch.stack(vectors)

    return embed


MODELS = {"scfoundation": Reference(make, load, fused=True)}
