"""Times torch's TransformerEncoder (post-norm, ReLU, as scGPT's) with random weights on padded batches; prints JSON.

    torch_encoder.py LENGTHS --layers 12 --width 512 --heads 8 --inner 512 [--batch 32] [--order given|sorted]
                     [--path plain|fast] [--threads 2] [--device cpu|cuda] [--dtype float32|bfloat16] [--tf32]

LENGTHS has the token count of one cell on each line. `fast` is torch's fused encoder layer, what scGPT's own embedding
runs in eval mode; `plain` switches it off, which is faster on CPUs.
"""

import argparse
import json
import pathlib
import time

import torch
from torch import nn


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("lengths", type=pathlib.Path)
    for name, default in [("layers", 12), ("width", 512), ("heads", 8), ("inner", 512), ("batch", 32), ("threads", 2)]:
        parser.add_argument(f"--{name}", type=int, default=default)
    parser.add_argument("--order", choices=["given", "sorted"], default="given")
    parser.add_argument("--path", choices=["plain", "fast"], default="plain")
    parser.add_argument("--device", default="cpu")
    parser.add_argument("--dtype", choices=["float32", "bfloat16"], default="float32")
    parser.add_argument("--tf32", action="store_true")
    args = parser.parse_args()
    torch.set_num_threads(args.threads)
    torch.backends.cuda.matmul.allow_tf32 = args.tf32
    torch.backends.mha.set_fastpath_enabled(args.path == "fast")

    lengths = [int(line) for line in args.lengths.read_text().split()]
    if args.order == "sorted":
        lengths.sort(reverse=True)
    dtype = getattr(torch, args.dtype)
    layer = nn.TransformerEncoderLayer(args.width, args.heads, args.inner, 0.0, "relu", batch_first=True)
    model = nn.TransformerEncoder(layer, args.layers).to(args.device, dtype).eval()
    table = nn.Embedding(60_697, args.width).to(args.device, dtype)

    def run(batch: list[int]) -> float:
        longest = max(batch)
        ids = torch.randint(60_697, (len(batch), longest), device=args.device)
        padding = torch.arange(longest, device=args.device)[None] >= torch.tensor(batch, device=args.device)[:, None]
        return float(model(table(ids), src_key_padding_mask=padding)[:, 0].float().sum())

    def synchronize() -> None:
        if args.device == "cuda":
            torch.cuda.synchronize()

    with torch.no_grad():
        run(lengths[-2:])
        synchronize()
        start = time.perf_counter()
        for first in range(0, len(lengths), args.batch):
            run(lengths[first : first + args.batch])
        synchronize()
        seconds = time.perf_counter() - start
    print(json.dumps({
        "torch": torch.__version__, "device": args.device, "dtype": args.dtype, "tf32": args.tf32, "threads": args.threads,
        "path": args.path, "order": args.order, "batch": args.batch, "cells": len(lengths), "tokens": sum(lengths),
        "seconds": seconds, "cells_per_second": len(lengths) / seconds,
    }))


if __name__ == "__main__":
    main()
