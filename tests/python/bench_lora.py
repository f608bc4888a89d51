"""A LoRA step on Geneformer V1 at full size, with celldag and with PyTorch and peft; prints one table in Markdown.

    bench_lora.py CELLDAG DATA WORK [--steps 6] [--cells 96] [--batch 16] [--threads 2] [--checkpoint FOLDER] [--peers sdpa-grouped,...]

Both learn from the same real cells with the same batch size, adapters, head, loss and optimiser, one after the other. What is timed are
the steps: no loading, tokenizing, scoring or writing. Memory is the most that the whole process had. FOLDER is another Geneformer than
the one of published size that is made in WORK/full-size. Needs only Python itself: a process that is started counts the memory of the
one that starts it.
"""

import argparse
import csv
import json
import os
import pathlib
import shutil
import sys

from bench_models import CASES, HERE, Bench

PEERS = ("sdpa-grouped", "sdpa-shuffled", "eager-shuffled")
LABELS = "import anndata, json, sys; print(json.dumps(dict(anndata.read_h5ad(sys.argv[1]).obs['cell_type'].astype(str))))"


class LoraBench(Bench):
    def split(self, cells: pathlib.Path) -> pathlib.Path:
        """T cells against the others. The first cells train, all but one of each class that are tested."""
        kinds = json.loads(self.python("-c", LABELS, cells))
        path, tested = self.work / "lora-split.csv", set()
        with open(path, "w", newline="") as file:
            out = csv.writer(file)
            out.writerow(["cell_id", "repeat", "fold", "role", "label", "class", "group"])
            for name, kind in kinds.items():
                label = int(kind.startswith("T_"))
                role = "train" if label in tested else "test"
                tested.add(label)
                out.writerow([name, 0, 0, role, ["other", "T"][label], label, ""])
        return path

    def train(self, tokens: pathlib.Path, checkpoint: pathlib.Path, split: pathlib.Path) -> dict:
        options, out = self.options, self.work / "lora"
        shutil.rmtree(out, ignore_errors=True)
        out.mkdir()
        # As many epochs as give the steps; the readout of the last layer is that of the reference.
        chosen = {"model": "geneformer", "layer": -1, "epochs": self.epochs, "batch_size": options.batch, "early_stopping": 0}
        ports = [f"tokens={tokens}", f"checkpoint={checkpoint}", f"split={split}"]
        outs = ["adapter", "head", "predictions.csv", "history.json"]
        command = [part for port in ports for part in ("--in", port)]
        command += [part for name, value in chosen.items() for part in ("--with", f"{name}={value}")]
        command += [part for name in outs for part in ("--out", f"{name.split('.')[0]}={out / name}")]
        peak, cpu = self.celldag("step", "lora-train", *command)
        job = self.job()
        execution = job["execution"]
        steps, seconds = execution["optimiser_steps"], execution["training_seconds"]
        history = json.loads((out / "history.json").read_text())["folds"][0]["epochs"]
        return {
            "steps": steps, "seconds": seconds, "steps_per_second": steps / seconds, "cpu_seconds": cpu, "peak_rss": peak,
            "trained_parameters": job["summary"]["facts"]["trained_parameters"], "losses": [epoch["train_loss"] for epoch in history],
        }

    def run(self) -> None:
        options = self.options
        case = CASES["geneformer-v1"]
        checkpoint = options.checkpoint or self.checkpoint(case)
        shutil.rmtree(self.work / "store", ignore_errors=True)
        cells = self.input(case, options.cells + 2)
        split = self.split(cells)
        self.epochs = -(-options.steps * options.batch // options.cells)
        tokens = self.work / "lora-tokens.safetensors"
        ports = ["--in", f"cells={cells}", "--in", f"checkpoint={checkpoint}", "--with", "model=geneformer", "--out", f"tokens={tokens}"]
        self.celldag("step", "tokenize", *ports)
        ours = self.train(tokens, checkpoint, split)
        print(json.dumps({"celldag": ours}), file=sys.stderr)
        folder = next(path.parent for path in sorted(checkpoint.rglob("config.json")))
        rows = [("celldag", ours)]
        for peer in options.peers.split(","):
            attention, order = peer.split("-")
            command = [HERE / "torch_lora.py", folder, tokens, split, "--attention", attention, "--order", order]
            told = ["--steps", ours["steps"], "--batch", options.batch, "--threads", options.threads]
            theirs = json.loads(self.python(*command, *told))
            print(json.dumps({peer: theirs}), file=sys.stderr)
            rows.append((f"PyTorch {theirs['torch']} + peft, {theirs['attention']}, {order}", theirs))
        show(rows)


def show(rows: list[tuple[str, dict]]) -> None:
    head = ["", "steps", "steps/s", "seconds a step", "ratio", "peak memory", "memory ratio", "padding", "trained parameters"]
    print(f"| {' | '.join(head)} |\n{'|---' * len(head)}|")
    ours = rows[0][1]
    for name, run in rows:
        same = run is ours
        padding = f"{run['padded_tokens'] / run['tokens'] - 1:.0%}" if "tokens" in run else "0%"
        cells = [
            name, str(run["steps"]), f"{run['steps_per_second']:.3g}", f"{1 / run['steps_per_second']:.3g}",
            "" if same else f"{ours['steps_per_second'] / run['steps_per_second']:.2f}", f"{run['peak_rss'] / 1e9:.2f} GB",
            "" if same else f"{ours['peak_rss'] / run['peak_rss']:.2f}", padding, f"{run['trained_parameters']:,}",
        ]
        print(f"| {' | '.join(cells)} |")
    print("\nRatio: our steps a second over theirs (goal: at least 1). Memory ratio: ours over theirs (goal: at most 1).")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("celldag", type=pathlib.Path)
    parser.add_argument("data", type=pathlib.Path)
    parser.add_argument("work", type=pathlib.Path)
    parser.add_argument("--steps", type=int, default=6, help="at least so many")
    parser.add_argument("--cells", type=int, default=96, help="cells that train")
    parser.add_argument("--batch", type=int, default=16)
    parser.add_argument("--threads", type=int, default=os.cpu_count())
    parser.add_argument("--checkpoint", type=pathlib.Path)
    parser.add_argument("--peers", default=",".join(PEERS), help="ATTENTION-ORDER, ATTENTION sdpa or eager, ORDER grouped or shuffled")
    LoraBench(parser.parse_args()).run()


if __name__ == "__main__":
    main()
