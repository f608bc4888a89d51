"""Embeds cells in PyTorch as the authors' code does, float32 on a CPU; prints a JSON line with speed, memory and agreement.

    torch_models.py MODEL CHECKPOINT INPUT [--threads 2] [--batch N] [--ours EMBEDDING]

INPUT is a tokens artifact of celldag, so that both read the same tokens, or for drugs a table with a column `smiles`. Only
the model is timed: no reading of weights or cells, no tokenization. Short runs are repeated and the fastest counts; where torch
has a fused layer, a few cells decide whether it is faster. EMBEDDING is what celldag made of INPUT (h5ad or csv).
"""

import argparse
import csv
import json
import pathlib
import resource
import time

import numpy as np
import torch
from full_size.common import Cell, read_tokens
from full_size.registry import NAMES, find

REPEAT_BELOW = 3.0
"""Seconds under which a run is repeated."""
SAMPLE = 4
"""Cells that decide between the fused layer and the plain one."""


def embeddings(path: pathlib.Path) -> np.ndarray:
    """Of celldag: the only array of an h5ad, or all columns of a csv behind the drug and its SMILES."""
    if path.suffix == ".csv":
        with open(path, newline="") as file:
            return np.array([row[2:] for row in csv.reader(file)][1:], np.float32)
    import anndata

    (array,) = anndata.read_h5ad(path).obsm.values()
    return np.asarray(array)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("model", choices=NAMES)
    parser.add_argument("checkpoint", type=pathlib.Path)
    parser.add_argument("input", type=pathlib.Path)
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--batch", type=int, help="cells of a forward pass instead of the reference's")
    parser.add_argument("--ours", type=pathlib.Path)
    args = parser.parse_args()
    torch.set_num_threads(args.threads)
    model = find(args.model)
    if model.smiles:
        tokenize = model.smiles(args.checkpoint)
        with open(args.input, newline="") as file:
            cells = [Cell(torch.tensor(tokenize(row["smiles"]))) for row in csv.DictReader(file)]
    else:
        cells = read_tokens(args.input)
    embed = model.load(args.checkpoint)
    batch = (model.batch if args.batch is None else args.batch) or len(cells)
    order = sorted(range(len(cells)), key=lambda i: -len(cells[i])) if model.longest_first else list(range(len(cells)))

    def run(order: list[int]) -> tuple[float, float, torch.Tensor]:
        """Seconds, seconds of processor time, vectors."""
        start, cpu, rows = time.perf_counter(), time.process_time(), []
        for first in range(0, len(order), batch):
            rows.append(embed([cells[i] for i in order[first : first + batch]]))
        seconds, cpu = time.perf_counter() - start, time.process_time() - cpu
        return seconds, cpu, torch.cat(rows)[torch.argsort(torch.tensor(order))]

    fused, advantage = False, None
    with torch.no_grad():
        torch.backends.mha.set_fastpath_enabled(False)
        if not args.model.startswith("llama"):  # which reads its weights anew
            embed([cells[i] for i in order[-2:]])  # warm-up on the shortest cells
        if model.fused:
            sample = list(range(min(SAMPLE, len(cells))))
            plain, *_ = run(sample)
            torch.backends.mha.set_fastpath_enabled(True)
            advantage = plain / run(sample)[0]
            fused = advantage > 1
            torch.backends.mha.set_fastpath_enabled(fused)
        seconds, cpu, vectors = run(order)
        spent = seconds
        while spent < REPEAT_BELOW:
            again = run(order)
            spent += again[0]
            seconds, cpu = min(seconds, again[0]), min(cpu, again[1])
    report = {
        "model": args.model, "torch": torch.__version__, "threads": args.threads, "batch": batch, "fused": fused,
        "fused_advantage": advantage, "cells": len(cells),
        "tokens": sum(map(len, cells)), "seconds": seconds, "cpu_seconds": cpu, "cells_per_second": len(cells) / seconds,
        "peak_rss": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024,
    }
    if args.ours:
        ours = embeddings(args.ours)
        report["largest_difference"] = float(np.abs(ours - vectors.numpy()).max())
        report["largest_value"] = float(vectors.abs().max())
    print(json.dumps(report))


if __name__ == "__main__":
    main()
