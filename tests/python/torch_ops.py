"""Time in PyTorch the cases of our `ops` bench: one line of JSON a case.

    cargo bench -p celldag-shaders --bench ops -- cpu 2 --json > ops.json
    python torch_ops.py ops.json --threads 2
    python torch_ops.py ops.json --device cuda --mode tf32

A case is known by its family and sizes (shaders/benches/cases): a linear layer is rows, outputs, inputs; attention is
copies, tokens, heads, width of a head. Ragged attention is a padded batch with a mask of its padding here, which is what
the published models do. A line holds the best wall time of one run; a GPU is waited for after as many runs as take
20 ms. With CELLDAG_BENCH_CPU_TIME=1, on a CPU, it is the mean processor time of a run divided by the threads: other
programs disturb it less, but threads of PyTorch that wait for each other count as work. A case that fails gives a line on
stderr.
"""

import argparse
import json
import math
import os
import sys
import time

import torch
from torch.nn import functional as f


def timed(run, wait, seconds: float, threads: int, by_processor: bool, on_gpu: bool) -> float:
    """Best wall time of one run, or mean processor time of a run divided by the threads."""
    for _ in range(3):
        run()
    wait()
    before = time.perf_counter()
    run()
    wait()
    once = time.perf_counter() - before
    repeats = min(100, max(1, math.ceil(0.02 / once))) if on_gpu else 1
    best, runs = float("inf"), 0
    start, spent = time.perf_counter(), time.process_time()
    while runs < 5 or time.perf_counter() - start < seconds:
        before = time.perf_counter()
        for _ in range(repeats):
            run()
        wait()
        best = min(best, (time.perf_counter() - before) / repeats)
        runs += 1
    return (time.process_time() - spent) / runs / threads if by_processor else best


def favor(q, k, v, projection, eps=1e-4):
    """Attention by positive random features (Choromanski et al. 2021, softmax kernel), [copies, heads, tokens, width]."""
    width, features = q.shape[-1], projection.shape[0]

    def positive(x, over):
        scaled = x * width**-0.25
        projected = scaled @ projection.T
        offset = scaled.square().sum(-1, keepdim=True) / 2 + projected.amax(over, keepdim=True)
        return (torch.exp(projected - offset) + eps) * features**-0.5

    queries, keys = positive(q, -1), positive(k, (-1, -2))
    divisor = queries @ keys.sum(-2).unsqueeze(-1)
    return queries @ (keys.transpose(-1, -2) @ v) / divisor


def peer(family: str, sizes: list[int], values):
    """What PyTorch runs for a case: a function without arguments, and whether it needs gradients."""
    backward = family.endswith("_backward")

    def step(operands, forward):
        if not backward:
            return lambda: forward(*operands)
        watched = [operand.requires_grad_() for operand in operands]

        def run():
            out = forward(*watched)
            return torch.autograd.grad(out, watched, out.detach())

        return run

    match family.removesuffix("_backward"), sizes:
        case ("linear" | "linear_gelu") as kind, [rows, outputs, inputs]:
            x, weight, bias = values(rows, inputs), values(outputs, inputs), values(outputs)
            if kind == "linear":
                return lambda: f.linear(x, weight, bias)
            return lambda: f.gelu(f.linear(x, weight, bias))
        case "product_nn", [m, n, k]:
            a, b = values(m, k), values(k, n)
            return lambda: a @ b
        case "product_tn", [m, n, k]:
            a, b = values(k, m), values(k, n)
            return lambda: a.T @ b
        case "attention", [copies, tokens, heads, width]:
            return step([values(copies, heads, tokens, width) for _ in range(3)], f.scaled_dot_product_attention)
        case "ragged", [heads, width, *lengths]:
            longest = max(lengths)
            q, k, v = (values(len(lengths), heads, longest, width) for _ in range(3))
            places = torch.arange(longest, device=q.device)
            present = (places[None] < torch.tensor(lengths, device=q.device)[:, None])[:, None, None]
            return lambda: f.scaled_dot_product_attention(q, k, v, attn_mask=present)
        case "performer", [copies, tokens, heads, width, features]:
            projection = values(features, width)
            operands = [values(copies, heads, tokens, width) for _ in range(3)]
            return step(operands, lambda q, k, v: favor(q, k, v, projection))
        case "rows_add", [rows, columns]:
            x, y = values(rows, columns), values(rows, columns)
            return lambda: x + y
        case "rows_gelu", [rows, columns]:
            x = values(rows, columns)
            return lambda: f.gelu(x)
        case "rows_softmax", [rows, columns]:
            x = values(rows, columns)
            return lambda: torch.softmax(x, -1)
        case "rows_layer_norm", [rows, columns]:
            x, gamma, beta = values(rows, columns), values(columns), values(columns)
            return lambda: f.layer_norm(x, (columns,), gamma, beta)
    return None


def main() -> None:
    """Run the cases of a file."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("cases", type=argparse.FileType())
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--seconds", type=float, default=1.0, help="about how long each case runs")
    parser.add_argument("--device", default="cpu")
    parser.add_argument("--mode", choices=["f32", "tf32", "bf16"], default="f32")
    options = parser.parse_args()
    torch.set_num_threads(options.threads)
    torch.manual_seed(1)
    torch.backends.cuda.matmul.allow_tf32 = options.mode == "tf32"
    torch.backends.cudnn.allow_tf32 = options.mode == "tf32"
    dtype = torch.bfloat16 if options.mode == "bf16" else torch.float32
    on_gpu = options.device != "cpu"
    wait = torch.cuda.synchronize if on_gpu else (lambda: None)
    by_processor = not on_gpu and "CELLDAG_BENCH_CPU_TIME" in os.environ

    def values(*shape: int) -> torch.Tensor:
        return torch.rand(*shape, device=options.device).sub_(0.5).to(dtype)

    for line in options.cases:
        case = json.loads(line)
        what = case["what"]
        try:
            with torch.inference_mode(not case["family"].endswith("_backward")):
                run = peer(case["family"], case["sizes"], values)
                if run is None:
                    continue
                seconds = timed(run, wait, options.seconds, options.threads, by_processor, on_gpu)
        except RuntimeError as error:  # out of memory, or a kernel that this torch lacks
            print(f"{what}: {error}", file=sys.stderr)
            continue
        print(
            json.dumps({"what": what, "seconds": seconds, "mode": options.mode, "torch": torch.__version__}),
            flush=True,
        )


if __name__ == "__main__":
    main()
