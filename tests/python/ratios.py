"""Markdown tables of what our benches and PyTorch measured in one run. Needs only Python.

    ratios.py ops OURS [TORCH...]        lines of the `ops` bench and of torch_ops.py, one file for each mode
    ratios.py encoder OURS [TORCH...]    lines of the `encoder` bench and of torch_encoder.py
    --goals cpu|gpu|software             what is aimed at, beside the figures

A ratio above 1 says that celldag is faster. Files that are empty are left out.
"""

import argparse
import json
import pathlib

GOALS = {
    "cpu": {"linear": "ratio 0.9", "attention": "ratio 0.9"},
    "gpu": {"linear": "f32 40 TFLOP/s; f16 60, better 150 (H200)"},
}
# GFLOP/s that the best of many hand-made variants reached on Mesa 22.3.6 (llvmpipe, LLVM 15) in the study before the kernels
# were written, on another CPU with 2 threads: specs/compute.md. Goal: within a factor of 1.5.
SOFTWARE = {
    "512 x 512 x 512": 18.7,
    "1024 x 1024 x 1024": 15.3,
    "2048 x 1536 x 512": 13.8,
    "2048 x 512 x 2048": 12.9,
    "2048 x 2048 x 512": 12.2,
    "attention 1 x 1200 tokens, 8 heads x 64": 6.9,
    "attention 1 x 2048 tokens, 8 heads x 64": 10.5,
}
ENCODER_GOALS = {"cpu": "ratio 2", "gpu": "ratio 1 to float32; stated for bfloat16"}


def lines(path: pathlib.Path) -> list[dict]:
    """The lines of a file that are JSON."""
    return [json.loads(line) for line in path.read_text().splitlines() if line.startswith("{")]


def speed(case: dict, seconds: float) -> str:
    """GFLOP/s, or GB/s where only memory counts."""
    work, unit = (case["gflops"], "GFLOP/s") if case["gflops"] else (case["gbytes"], "GB/s")
    value = work * case["seconds"] / seconds
    return f"{value:,.0f} {unit}" if value >= 10 else f"{value:.2g} {unit}"


def studied(case: dict) -> str:
    """The figure of the study on the same driver, and the ratio to it."""
    figure = SOFTWARE.get(case["what"].removeprefix("linear ").removeprefix("product NN "))
    return f"{figure} GFLOP/s: {case['gflops'] / figure:.2f} (0.67)" if figure else ""


def ops(ours: list[dict], peers: list[list[dict]], goals: str) -> None:
    """One row a case."""
    modes = [peer[0]["mode"] for peer in peers]
    versions = sorted({row["torch"] for peer in peers for row in peer})
    shares = any("of_peak" in case for case in ours)
    head = ["case", f"celldag {ours[0]['precision']}", "tokens/s"] + ["of peak"] * shares
    for mode in modes:
        head += [f"PyTorch {mode}", "ratio"]
    head.append("goal" if goals != "software" else "in the study: ratio (goal)")
    if versions:
        print(f"PyTorch {', '.join(versions)}\n")
    print(f"| {' | '.join(head)} |")
    print("|---" * len(head) + "|")
    for case in ours:
        row = [case["what"], speed(case, case["seconds"]), f"{case['tokens_per_second']:,}"]
        if shares:
            row.append(f"{case['of_peak']:.1%}" if "of_peak" in case and case["gflops"] else "")
        for peer in peers:
            found = next((other["seconds"] for other in peer if other["what"] == case["what"]), None)
            row += [speed(case, found), f"{found / case['seconds']:.2f}"] if found else ["", ""]
        row.append(GOALS.get(goals, {}).get(case["family"], "") if goals != "software" else studied(case))
        print(f"| {' | '.join(row)} |")


def encoder(ours: list[dict], peers: list[list[dict]], goals: str) -> None:
    """One row an implementation; ratios to the first of ours."""
    head = ["what", "cells/s", "tokens/s", "celldag is faster by", "goal"]
    print(f"{ours[0]['cells']} cells, {ours[0]['tokens'] / ours[0]['cells']:.0f} tokens a cell\n")
    print(f"| {' | '.join(head)} |")
    print("|---" * len(head) + "|")
    for row in ours:
        print(f"| celldag {row['precision']}, ragged | {row['cells_per_second']:.2f} | {row['tokens_per_second']:,} | | |")
    goal = ENCODER_GOALS.get(goals, "")
    for row in [row for peer in peers for row in peer]:
        path = {"fast": "fused encoder layer, torch's default", "plain": "SDPA"}[row["path"]]
        kind = row["dtype"] + (", TF32" if row["tf32"] else "")
        what = f"PyTorch {row['torch']} ({path}), {kind}, padded batches of {row['batch']}, cells {row['order']}"
        ratio = ours[0]["cells_per_second"] / row["cells_per_second"]
        tokens = row["tokens"] / row["seconds"]
        print(f"| {what} | {row['cells_per_second']:.2f} | {tokens:,.0f} | {ratio:.2f} | {goal} |")


def main() -> None:
    """Print the table that is asked for."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("table", choices=["ops", "encoder"])
    parser.add_argument("ours", type=pathlib.Path)
    parser.add_argument("torch", type=pathlib.Path, nargs="*")
    parser.add_argument("--goals", choices=["cpu", "gpu", "software"])
    options = parser.parse_args()
    peers = [rows for path in options.torch if path.exists() and (rows := lines(path))]
    ours = lines(options.ours)
    if not ours:
        print(f"nothing was measured in {options.ours.name}")
        return
    {"ops": ops, "encoder": encoder}[options.table](ours, peers, options.goals)


if __name__ == "__main__":
    main()
