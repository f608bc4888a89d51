"""scGPT, whole-human: 12 layers of 512, 60,697 tokens."""

import json
import pathlib

import torch
from torch import nn

from .common import Cell, Embed, Reference, Vocabularies, encoder_layer, filled, padded, seeded, write_json

WIDTH, HEADS, LAYERS = 512, 8, 12
ARGS = {
    "embsize": WIDTH, "nheads": HEADS, "d_hid": WIDTH, "nlayers": LAYERS, "n_layers_cls": 3, "dropout": 0.2, "n_bins": 51,
    "input_style": "binned", "input_emb_style": "continuous", "pad_token": "<pad>", "pad_value": -2, "mask_value": -1,
    "max_seq_len": 1200, "trunc_by_sample": True, "fast_transformer": True, "training_tasks": "both", "no_cls": True,
}


class ScGpt(nn.Module):
    """Names as in the published files, but for the projections of attention, which flash-attn calls `Wqkv`."""

    def __init__(self, vocabulary: int) -> None:
        super().__init__()
        self.encoder = nn.ModuleDict({"embedding": nn.Embedding(vocabulary, WIDTH), "enc_norm": nn.LayerNorm(WIDTH)})
        self.value_encoder = nn.ModuleDict({
            "linear1": nn.Linear(1, WIDTH), "linear2": nn.Linear(WIDTH, WIDTH), "norm": nn.LayerNorm(WIDTH),
        })
        self.transformer_encoder = nn.TransformerEncoder(encoder_layer(WIDTH, HEADS, WIDTH), LAYERS)

    def forward(self, ids: torch.Tensor, values: torch.Tensor, real: torch.Tensor) -> torch.Tensor:
        genes = self.encoder["enc_norm"](self.encoder["embedding"](ids))
        inner = torch.relu(self.value_encoder["linear1"](values.clamp(max=512)[..., None]))
        states = genes + self.value_encoder["norm"](self.value_encoder["linear2"](inner))
        return self.transformer_encoder(states, src_key_padding_mask=~real)


class Heads(nn.Module):
    """What pretraining leaves in the file."""

    def __init__(self) -> None:
        super().__init__()
        self.flag_encoder = nn.Embedding(2, WIDTH)
        layers = (nn.Linear(WIDTH, WIDTH), nn.LeakyReLU(), nn.Linear(WIDTH, WIDTH), nn.LeakyReLU(), nn.Linear(WIDTH, 1))
        self.decoder = nn.ModuleDict({"fc": nn.Sequential(*layers)})
        self.mvc_decoder = nn.ModuleDict({"gene2query": nn.Linear(WIDTH, WIDTH), "W": nn.Linear(WIDTH, WIDTH, bias=False)})


HEAD_NAMES = ("flag_encoder.", "decoder.", "mvc_decoder.")


def make(out: pathlib.Path, data: Vocabularies) -> None:
    genes = json.loads(data.vocabulary("scgpt", "default_census_vocab.json").read_text())
    vocabulary = genes | {name: len(genes) + i for i, name in enumerate(("<pad>", "<cls>", "<eoc>"))}
    write_json(out / "vocab.json", vocabulary)
    write_json(out / "args.json", ARGS)
    state = seeded(lambda: ScGpt(len(vocabulary))).state_dict() | seeded(Heads).state_dict()
    torch.save({name.replace(".in_proj_", ".Wqkv."): tensor for name, tensor in state.items()}, out / "best_model.pt")


def load(checkpoint: pathlib.Path) -> Embed:
    """`<cls>` divided by its length, cells padded to the longest of the batch, as `embed_data`."""
    vocabulary = json.loads((checkpoint / "vocab.json").read_text())
    state = torch.load(checkpoint / "best_model.pt", weights_only=True)
    state = {name.replace(".Wqkv.", ".in_proj_"): tensor for name, tensor in state.items()}
    model = filled(lambda: ScGpt(len(vocabulary)), state, unused=HEAD_NAMES)

    def embed(cells: list[Cell]) -> torch.Tensor:
        ids, real = padded([cell.ids for cell in cells], vocabulary["<pad>"])
        values, _ = padded([cell.values for cell in cells], ARGS["pad_value"])
        return nn.functional.normalize(model(ids, values, real)[:, 0], dim=1)

    return embed


MODELS = {"scgpt": Reference(make, load, batch=64, fused=True)}
