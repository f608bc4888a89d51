"""Time PyTorch's linear layer and attention, one line of JSON a case.

    python torch_ops.py --threads 2
    python torch_ops.py --device cuda --mode tf32 --linear 2048x512x512 --attention 1200x8x64

A linear case (with bias) is ROWSxOUTPUTSxINPUTS, an attention case is TOKENSxHEADSxWIDTH (width of a head); the default
cases are those of `cargo bench --bench ops -- DEVICE THREADS --json`, under the same names. A line holds the best wall
time of one run and its operations per second, and for the CPU the mean processor time of a run divided by the threads.
With CELLDAG_BENCH_CPU_TIME=1 the speed is by processor time: other programs disturb it less, but threads of PyTorch that
wait for each other count as work.
"""

import argparse
import json
import os
import time

import torch

LINEAR = [
    (2048, 256, 256),
    (2048, 512, 512),
    (2048, 1536, 512),
    (2048, 2048, 512),
    (2048, 512, 2048),
    (64, 512, 512),
    (1024, 1024, 1024),
]
ATTENTION = [(1200, 4, 64), (1200, 8, 64), (2048, 4, 64), (2048, 8, 64)]


def sizes(text: str) -> tuple[int, int, int]:
    """Three numbers joined by `x`."""
    one, two, three = (int(part) for part in text.split("x"))
    return one, two, three


def timed(run, wait, seconds: float, threads: int) -> tuple[float, float]:
    """Best wall time of one run, and mean processor time of a run divided by the threads."""
    for _ in range(3):
        run()
    wait()
    best, runs = float("inf"), 0
    start, spent = time.perf_counter(), time.process_time()
    while runs < 5 or time.perf_counter() - start < seconds:
        before = time.perf_counter()
        run()
        wait()
        best = min(best, time.perf_counter() - before)
        runs += 1
    return best, (time.process_time() - spent) / runs / threads


def main() -> None:
    """Run the cases of the command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--seconds", type=float, default=1.0, help="about how long each case runs")
    parser.add_argument("--device", default="cpu")
    parser.add_argument("--mode", choices=["f32", "tf32", "bf16"], default="f32")
    parser.add_argument("--linear", type=sizes, action="append", default=[])
    parser.add_argument("--attention", type=sizes, action="append", default=[])
    options = parser.parse_args()
    if not options.linear and not options.attention:
        options.linear, options.attention = LINEAR, ATTENTION
    torch.set_num_threads(options.threads)
    torch.manual_seed(1)
    torch.backends.cuda.matmul.allow_tf32 = options.mode == "tf32"
    dtype = torch.bfloat16 if options.mode == "bf16" else torch.float32
    on_gpu = options.device != "cpu"
    wait = torch.cuda.synchronize if on_gpu else (lambda: None)
    by_processor = not on_gpu and "CELLDAG_BENCH_CPU_TIME" in os.environ

    def values(*shape: int) -> torch.Tensor:
        return torch.rand(*shape, device=options.device).sub_(0.5).to(dtype)

    def report(what: str, flops: int, run) -> None:
        wall, processor = timed(run, wait, options.seconds, options.threads)
        line = {
            "what": what,
            "gflops": round(flops / (processor if by_processor else wall) / 1e9, 2),
            "seconds": wall,
            "mode": options.mode,
            "torch": torch.__version__,
        }
        if not on_gpu:
            line["processor_seconds"] = processor
        print(json.dumps(line), flush=True)

    with torch.inference_mode():
        for rows, outputs, inputs in options.linear:
            x, weight, bias = values(rows, inputs), values(outputs, inputs), values(outputs)
            report(
                f"linear {rows} x {outputs} x {inputs}",
                2 * rows * outputs * inputs,
                lambda: torch.nn.functional.linear(x, weight, bias),
            )
        for tokens, heads, width in options.attention:
            q, k, v = (values(1, heads, tokens, width) for _ in range(3))
            report(
                f"attention {tokens} tokens, {heads} heads x {width}",
                4 * tokens * tokens * heads * width,
                lambda: torch.nn.functional.scaled_dot_product_attention(q, k, v),
            )


if __name__ == "__main__":
    main()
