"""Embeds ragged tokens with Hugging Face BERT in padded batches and prints a JSON line with the speed.

    torch_geneformer.py TOKENS.safetensors CHECKPOINT [--threads 2] [--cells 512] [--order sorted|given] [--batch 100] [--out EMB.npy]

`sorted` pads as the published extractor does: cells sorted by length, longest first, batches of 100. `given` pads as a
plain loop over the cells does. Only the model is timed: no reading, no tokenization.
"""

import argparse
import json
import pathlib
import time

import numpy as np
import torch
from safetensors.numpy import load_file as load_numpy
from safetensors.torch import load_file
from transformers import BertConfig, BertModel


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("tokens", type=pathlib.Path)
    parser.add_argument("checkpoint", type=pathlib.Path)
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--cells", type=int, default=0)
    parser.add_argument("--order", choices=["sorted", "given"], default="sorted")
    parser.add_argument("--batch", type=int, default=100)
    parser.add_argument("--layer", type=int, default=-2)
    parser.add_argument("--attention", choices=["sdpa", "eager"], default="sdpa")
    parser.add_argument("--out", type=pathlib.Path)
    args = parser.parse_args()
    torch.set_num_threads(args.threads)

    arrays = load_numpy(args.tokens)
    offsets, ids = arrays["offsets"].astype(np.int64), arrays["input_ids"].astype(np.int64)
    cells = [ids[a:b] for a, b in zip(offsets[:-1], offsets[1:])]
    if args.cells:
        cells = cells[: args.cells]
    config = BertConfig.from_json_file(args.checkpoint / "config.json")
    config._attn_implementation = args.attention
    model = BertModel(config, add_pooling_layer=False).eval()
    state = {k.removeprefix("bert."): v for k, v in load_file(args.checkpoint / "model.safetensors").items() if k.startswith("bert.")}
    missing, unexpected = model.load_state_dict(state, strict=False)
    assert not unexpected and all("position_ids" in m for m in missing), (missing, unexpected)

    order = np.arange(len(cells))
    if args.order == "sorted":
        order = np.argsort([-len(c) for c in cells], kind="stable")
    result = np.zeros((len(cells), config.hidden_size), np.float32)

    def run(batch: np.ndarray) -> None:
        longest = max(len(cells[i]) for i in batch)
        padded = torch.zeros(len(batch), longest, dtype=torch.long)
        mask = torch.zeros(len(batch), longest, dtype=torch.long)
        for row, i in enumerate(batch):
            padded[row, : len(cells[i])] = torch.from_numpy(cells[i])
            mask[row, : len(cells[i])] = 1
        hidden = model(input_ids=padded, attention_mask=mask, output_hidden_states=True).hidden_states[args.layer]
        mean = (hidden * mask[..., None]).sum(1) / mask.sum(1, keepdim=True)
        result[batch] = mean.numpy()

    with torch.no_grad():
        run(order[-2:])  # warm-up on the shortest cells
        start, cpu = time.perf_counter(), time.process_time()
        for first in range(0, len(order), args.batch):
            run(order[first : first + args.batch])
        wall, cpu = time.perf_counter() - start, time.process_time() - cpu
    if args.out:
        np.save(args.out, result)
    print(json.dumps({
        "torch": torch.__version__,
        "threads": args.threads,
        "order": args.order,
        "batch": args.batch,
        "attention": args.attention,
        "cells": len(cells),
        "tokens": int(sum(map(len, cells))),
        "seconds": wall,
        "cpu_seconds": cpu,
        "cells_per_second": len(cells) / wall,
    }))


if __name__ == "__main__":
    main()
