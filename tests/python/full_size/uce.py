"""UCE with 4 and with 33 layers of 1280 over protein vectors."""

import csv
import pathlib
import pickle
import shutil
import subprocess
import zlib

import torch
from torch import nn

from .common import Cell, Embed, Reference, Vocabularies, encoder_layer, filled, seeded

WIDTH, INNER, PROTEIN, POSITIONS, HEADS = 1280, 5120, 5120, 1536, 20
GENES, CHROMOSOMES = 143_574, 1_895
HUMAN_FIRST, HUMAN_GENES = 13_466, 19_790
FILES = {4: "4layer_model.torch", 33: "33l_8ep_1024t_1280.torch"}
HUMAN = [*map(str, range(1, 23)), "X", "Y", "MT"]


def block(inputs: int, outputs: int) -> nn.Sequential:
    return nn.Sequential(nn.Linear(inputs, outputs), nn.LayerNorm(outputs), nn.GELU())


class Uce(nn.Module):
    """All but the table of tokens, of which few rows are read."""

    def __init__(self, layers: int) -> None:
        super().__init__()
        self.pos_encoder = nn.Module()
        turns = torch.arange(POSITIONS)[:, None] * 10_000 ** (-torch.arange(0, WIDTH, 2) / WIDTH)
        self.pos_encoder.register_buffer("pe", torch.stack([turns.sin(), turns.cos()], -1).flatten(1)[:, None])
        self.encoder = nn.Sequential(nn.Linear(PROTEIN, WIDTH), nn.GELU(), nn.LayerNorm(WIDTH))
        self.transformer_encoder = nn.TransformerEncoder(encoder_layer(WIDTH, HEADS, INNER), layers)
        self.decoder = nn.Sequential(block(WIDTH, 1024), block(1024, WIDTH), block(WIDTH, WIDTH), nn.Linear(WIDTH, WIDTH))

    def forward(self, proteins: torch.Tensor) -> torch.Tensor:
        x = self.encoder(nn.functional.normalize(proteins, dim=-1)) * WIDTH**0.5
        x = self.transformer_encoder(x + self.pos_encoder.pe[: x.shape[1], 0])
        return nn.functional.normalize(self.decoder(x)[:, 0], dim=-1)


class Heads(nn.Module):
    """What training leaves in the file."""

    def __init__(self) -> None:
        super().__init__()
        self.binary_decoder = nn.Sequential(block(2 * WIDTH, 2048), block(2048, 512), block(512, 128), nn.Linear(128, 1))
        self.gene_embedding_layer = nn.Sequential(nn.Linear(PROTEIN, WIDTH), nn.GELU(), nn.LayerNorm(WIDTH))


UNUSED = ("binary_decoder.", "gene_embedding_layer.", "pe_embedding.")


def make(layers: int, out: pathlib.Path, data: Vocabularies) -> None:
    """All files of the download. `all_tokens.torch` holds zeros, which take no space on disk: only its size is read, as by the
    authors' code, which uses the table of the model where both have as many rows."""
    out.mkdir(parents=True, exist_ok=True)
    symbols = data.symbols(HUMAN_GENES)
    with open(out / "species_chrom.csv", "w", newline="") as file:
        rows = csv.writer(file)
        rows.writerow(["gene_symbol", "chromosome", "start", "species"])
        for symbol in symbols:  # places of genes are made up
            place = zlib.crc32(symbol.encode())
            rows.writerow([symbol.upper(), HUMAN[place % 24], place % 150_000_000, "human"])
        rows.writerow(["MT-NOWHERE", "MT", 1, "human"])
        for other in range(CHROMOSOMES - len(HUMAN)):
            rows.writerow([f"GENE{other}", f"scaffold_{other}", 1, "mouse"])
    with open(out / "species_offsets.pkl", "wb") as file:
        pickle.dump({"human": HUMAN_FIRST, "mouse": HUMAN_FIRST + HUMAN_GENES}, file)
    torch.save(torch.zeros(GENES, PROTEIN), out / "all_tokens.torch")
    if shutil.which("fallocate"):
        subprocess.run(["fallocate", "--dig-holes", out / "all_tokens.torch"], check=False)
    state = seeded(lambda: Uce(layers)).state_dict() | seeded(Heads).state_dict()
    table = torch.empty(GENES + CHROMOSOMES, PROTEIN).uniform_(-1, 1, generator=torch.Generator().manual_seed(1))
    torch.save(dict(state) | {"pe_embedding.weight": table}, out / FILES[layers])
    human = table[HUMAN_FIRST : HUMAN_FIRST + HUMAN_GENES]
    (out / "protein_embeddings").mkdir()
    proteins = out / "protein_embeddings" / "Homo_sapiens.GRCh38.gene_symbol_to_embedding_ESM2.pt"
    torch.save({symbol: row.clone() for symbol, row in zip(symbols, human, strict=True)}, proteins)


def load(layers: int, checkpoint: pathlib.Path) -> Embed:
    """The decoded `<cls>` token, one cell at a time: with more, the authors' code attends to padding."""
    state = torch.load(checkpoint / FILES[layers], weights_only=True, mmap=True)
    table = state["pe_embedding.weight"]
    state = {name: tensor.clone() for name, tensor in state.items() if not name.startswith(UNUSED)}
    model = filled(lambda: Uce(layers), state)

    def embed(cells: list[Cell]) -> torch.Tensor:
        return torch.cat([model(table[cell.ids][None]) for cell in cells])

    return embed


MODELS = {
    f"uce-{layers}": Reference(
        lambda out, data, layers=layers: make(layers, out, data), lambda folder, layers=layers: load(layers, folder), fused=True
    )
    for layers in FILES
}
