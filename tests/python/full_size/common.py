"""What the families share: tokens as `celldag tokenize` writes them, real vocabularies, random weights."""

import csv
import dataclasses
import gzip
import json
import pathlib
from collections.abc import Callable

import numpy as np
import torch
from torch import nn


@dataclasses.dataclass
class Cell:
    """Tokens of one cell or drug; `values` where the model reads a number for each."""

    ids: torch.Tensor
    values: torch.Tensor | None = None

    def __len__(self) -> int:
        return len(self.ids)


Embed = Callable[[list[Cell]], torch.Tensor]
"""A batch of cells to one vector a cell."""


@dataclasses.dataclass(frozen=True)
class Reference:
    """One model: how its checkpoint is made, and how its authors' code runs it."""

    make: Callable[[pathlib.Path, "Vocabularies"], None]
    load: Callable[[pathlib.Path], Embed]
    batch: int = 1
    """Cells of a forward pass in the reference; 0: all."""
    longest_first: bool = False
    """Whether the reference sorts cells by length before it cuts batches."""
    fused: bool = False
    """Whether torch has a fused layer for it, which is slower on some machines: the faster way counts."""
    smiles: Callable[[pathlib.Path], Callable[[str], list[int]]] | None = None
    """The tokenizer of a drug model."""


def read_tokens(path: pathlib.Path) -> list[Cell]:
    """The cells of a tokens artifact."""
    from safetensors.numpy import load_file

    arrays = load_file(path)
    ids = torch.from_numpy(arrays["input_ids"].astype(np.int64))
    values = torch.from_numpy(arrays["values"]) if "values" in arrays else None
    spans = list(zip(arrays["offsets"][:-1].astype(int), arrays["offsets"][1:].astype(int), strict=True))
    return [Cell(ids[a:b], None if values is None else values[a:b]) for a, b in spans]


class Vocabularies:
    """Real names of genes and drugs below the folder `data` of the reference data."""

    def __init__(self, folder: pathlib.Path) -> None:
        self.folder = folder

    def vocabulary(self, *parts: str) -> pathlib.Path:
        """A published vocabulary."""
        return self.folder.joinpath("vocab", *parts)

    def table(self) -> list[tuple[str, str]]:
        """Ensembl id and symbol of every gene of a 10x reference."""
        with gzip.open(self.vocabulary("gene_tables", "10x_GRCh38-1.2.0_ens84.tsv.gz"), "rt") as file:
            return [(row[0], row[1]) for row in csv.reader(file, delimiter="\t")][1:]

    def symbols(self, count: int) -> list[str]:
        """Distinct symbols, protein-coding genes first; evenly spaced ones where fewer are wanted."""
        with open(self.vocabulary("scfoundation", "OS_scRNA_gene_index.19264.tsv")) as file:
            coding = [row[0] for row in csv.reader(file, delimiter="\t")][1:]
        if count <= len(coding):
            return [coding[i] for i in np.linspace(0, len(coding) - 1, count).round().astype(int)]
        return list(dict.fromkeys(coding + [symbol for _, symbol in self.table()]))[:count]

    def smiles(self) -> list[str]:
        """Canonical SMILES of real drugs."""
        with open(self.folder / "bulk_ccle_gdsc" / "drugs.csv") as file:
            return [row["CanonicalSMILES"] for row in csv.DictReader(file)]


def write_json(path: pathlib.Path, value: object) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps(value, indent=1))


def seeded(build: Callable[[], nn.Module]) -> nn.Module:
    """A network with random weights that are the same in every run. Scales and shifts are moved off 1 and 0: at these a
    mistake in them would not show."""
    torch.manual_seed(0)
    network = build().eval()
    with torch.no_grad():
        for part in network.modules():
            # torch copies the first layer into all others.
            if isinstance(part, nn.TransformerEncoderLayer):
                for weight in part.parameters():
                    if weight.ndim == 2:
                        weight.uniform_(-(weight.shape[1] ** -0.5), weight.shape[1] ** -0.5)
        for weight in network.parameters():
            if weight.ndim == 1:
                weight.add_(torch.randn_like(weight), alpha=0.05)
    return network


def filled(build: Callable[[], nn.Module], state: dict[str, torch.Tensor], unused: tuple[str, ...] = ()) -> nn.Module:
    """A network with these weights; all must be there, and all but those that begin with `unused` must be used."""
    with torch.device("meta"):
        network = build().eval()
    network.load_state_dict({name: t for name, t in state.items() if not name.startswith(unused)}, assign=True)
    return network.requires_grad_(False)


def padded(rows: list[torch.Tensor], value: float) -> tuple[torch.Tensor, torch.Tensor]:
    """Rows padded to the longest, and True where they are real."""
    together = nn.utils.rnn.pad_sequence(rows, batch_first=True, padding_value=value)
    lengths = torch.tensor([len(row) for row in rows])
    return together, torch.arange(together.shape[1])[None] < lengths[:, None]


def masked_mean(states: torch.Tensor, mask: torch.Tensor) -> torch.Tensor:
    """Mean over the rows that are real."""
    return (states * mask[..., None]).sum(1) / mask.sum(1, keepdim=True)


def encoder_layer(width: int, heads: int, inner: int) -> nn.TransformerEncoderLayer:
    """Post-norm, ReLU, no dropout."""
    return nn.TransformerEncoderLayer(width, heads, inner, 0.0, "relu", batch_first=True)
