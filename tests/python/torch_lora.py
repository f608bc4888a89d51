"""Trains LoRA adapters and a head on a Geneformer with PyTorch and peft, float32 on a CPU; prints a JSON line with speed and memory.

    torch_lora.py CHECKPOINT TOKENS LABELS [--attention sdpa|eager] [--order grouped|shuffled] [--steps 6] [--batch 16] [--threads 2]

TOKENS is a tokens artifact of celldag, LABELS a split of celldag with one fold, whose cells of the role `train` are learnt from. Batches
are padded to their longest cell: `grouped` cuts them from the cells sorted by length, as Geneformer's own fine-tuning has its trainer do
(`group_by_length`), `shuffled` from a random order, as scDrugMap's loop does. One step is not timed before the others. Loss, optimiser,
rank, alpha, dropout of the adapters and sizes of the head are the defaults of `lora-train`; the network itself has no dropout.
"""

import argparse
import csv
import json
import pathlib
import resource
import time

import numpy as np
import torch
from full_size.bert import encoder
from full_size.common import masked_mean, padded, read_tokens
from peft import LoraConfig, get_peft_model
from safetensors.numpy import load_file
from torch import nn


def batches(lengths: list[int], size: int, order: str, steps: int) -> list[list[int]]:
    """Numbers of the cells of each step; after the last cell the first comes again."""
    random = np.random.default_rng(0)
    out: list[list[int]] = []
    while len(out) < steps:
        cells = random.permutation(len(lengths))
        if order == "grouped":
            cells = sorted(cells, key=lambda cell: -lengths[cell])
        cut = [[int(cell) for cell in cells[first : first + size]] for first in range(0, len(cells), size)]
        out += [cut[at] for at in random.permutation(len(cut))] if order == "grouped" else cut
    return out[:steps]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("checkpoint", type=pathlib.Path, help="folder with config.json and weights")
    parser.add_argument("tokens", type=pathlib.Path)
    parser.add_argument("labels", type=pathlib.Path)
    parser.add_argument("--attention", choices=["sdpa", "eager"], default="sdpa")
    parser.add_argument("--order", choices=["grouped", "shuffled"], default="grouped")
    parser.add_argument("--steps", type=int, default=6)
    parser.add_argument("--batch", type=int, default=16)
    parser.add_argument("--threads", type=int, default=2)
    args = parser.parse_args()
    torch.set_num_threads(args.threads)
    torch.manual_seed(0)

    with open(args.labels, newline="") as file:
        classes = {row["cell_id"]: int(row["class"]) for row in csv.DictReader(file) if row["role"] == "train"}
    names = json.loads(load_file(args.tokens)["obs"].tobytes())["index"]
    every = zip(names, read_tokens(args.tokens), strict=True)
    cells = [(cell.ids, classes[name]) for name, cell in every if name in classes]

    base = encoder(args.checkpoint)
    base.set_attn_implementation(args.attention)
    for part in base.modules():
        if isinstance(part, nn.Dropout):
            part.p = 0.0
    # scaled_dot_product_attention reads its own number.
    for layer in base.encoder.layer:
        for part in (layer.attention.self, getattr(layer.attention.self, "dropout", None)):
            if hasattr(part, "dropout_prob"):
                part.dropout_prob = 0.0
    config = LoraConfig(r=8, lora_alpha=8, lora_dropout=0.05, target_modules=["query", "key", "value"])
    model = get_peft_model(base, config).train()
    width = base.config.hidden_size
    head = nn.Sequential(nn.Linear(width, 512), nn.ReLU(), nn.Linear(512, 512), nn.ReLU(), nn.Linear(512, 1))
    trained = [weight for weight in (*model.parameters(), *head.parameters()) if weight.requires_grad]
    optimizer = torch.optim.AdamW(trained, lr=1e-4, weight_decay=0.01)
    padded_tokens = 0

    def step(batch: list[int]) -> float:
        nonlocal padded_tokens
        ids, mask = padded([cells[cell][0] for cell in batch], 0)
        padded_tokens += ids.numel()
        labels = torch.tensor([float(cells[cell][1]) for cell in batch])
        states = model(input_ids=ids, attention_mask=mask.long()).last_hidden_state
        loss = nn.functional.binary_cross_entropy_with_logits(head(masked_mean(states, mask))[:, 0], labels)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        return loss.item()

    plan = batches([len(ids) for ids, _ in cells], args.batch, args.order, args.steps + 1)
    step(plan[0])
    padded_tokens = 0
    start, cpu = time.perf_counter(), time.process_time()
    losses = [step(batch) for batch in plan[1:]]
    seconds, cpu = time.perf_counter() - start, time.process_time() - cpu
    print(json.dumps({
        "torch": torch.__version__, "attention": base.config._attn_implementation, "order": args.order, "threads": args.threads,
        "steps": args.steps, "seconds": seconds, "cpu_seconds": cpu, "steps_per_second": args.steps / seconds,
        "tokens": sum(len(cells[cell][0]) for batch in plan[1:] for cell in batch), "padded_tokens": padded_tokens,
        "trained_parameters": sum(weight.numel() for weight in trained), "losses": losses,
        "peak_rss": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024,
    }))


if __name__ == "__main__":
    main()
