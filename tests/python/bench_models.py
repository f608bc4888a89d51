"""Runs every model at full size on real cells, with celldag and in PyTorch, and prints one table in Markdown.

    bench_models.py CELLDAG DATA WORK [--models NAME,...] [--cells 64] [--torch-cells N] [--threads 2] [--batch N] [--keep]

Checkpoints are made in WORK/full-size and removed after their model, unless `--keep`. celldag and PyTorch run one after the
other. celldag embeds all cells; what it is compared by is a second run on the cells that PyTorch gets, where these are fewer.
Needs only Python itself: a process that is started counts the memory of the one that starts it.
"""

import argparse
import csv
import dataclasses
import datetime
import json
import os
import pathlib
import shutil
import subprocess
import sys
import time

HERE = pathlib.Path(__file__).parent


@dataclasses.dataclass(frozen=True)
class Case:
    """A row of the table. `goal`: how much faster than PyTorch; none where PyTorch is not comparable."""

    model: str
    kind: str
    title: str
    goal: float | None
    torch_cells: int = 64
    cells: int = 0  # 0: as asked for
    tokenize: tuple[str, ...] = ()
    checkpoint: str = ""  # of another case
    drugs: bool = False
    pads: bool = False  # whether PyTorch is also measured without padding, one cell at a time


CASES = {
    case.model: case
    for case in [
        Case("geneformer-v1", "geneformer", "Geneformer V1 (6 x 256)", 2, pads=True),
        Case("geneformer-v2", "geneformer", "Geneformer V2-104M (12 x 768)", 2, 32, pads=True),
        Case("scgpt", "scgpt", "scGPT whole-human (12 x 512)", 2, pads=True),
        Case("scfoundation", "scfoundation", "scFoundation `cell` (12 x 768)", 2, 16),
        Case("tgpt", "tgpt", "tGPT (8 x 1024)", 1),
        Case("uce-4", "uce", "UCE 4 layers (1280)", 1, 16, tokenize=("filter=false",)),
        Case("uce-33", "uce", "UCE 33 layers (1280)", 1, 4, tokenize=("filter=false",)),
        Case("cellplm", "cellplm", "CellPLM 85M (4 x 1024)", 1, 2170, cells=2170),
        Case("scbert-8000", "scbert", "scBERT, 8,000 genes (6 x 200)", 1, 8, tokenize=("max_genes=8000",), checkpoint="scbert"),
        Case("scbert", "scbert", "scBERT, all genes (6 x 200)", 1, 4),
        Case("celllm", "celllm", "CellLM (10 x 512)", 1, 4),
        Case("bert-text", "bert-text", "MiniLM on cell sentences (6 x 384)", 1, pads=True),
        Case("chemberta-zinc", "chemberta", "ChemBERTa zinc-base (6 x 768)", 1, drugs=True, pads=True),
        Case("chemberta-77m", "chemberta", "ChemBERTa 77M-MTR (3 x 384)", 1, drugs=True, pads=True),
        Case("molformer", "molformer", "MoLFormer-XL (12 x 768)", 1, drugs=True, pads=True),
        Case("llama", "llama", "Llama-3-8B bf16, one cell of 64 tokens", None, 1, cells=1, tokenize=("max_length=64",)),
        Case("llama-8", "llama", "the same, 8 of its 32 layers", None, 1, cells=1, tokenize=("max_length=64",)),
    ]
}


@dataclasses.dataclass
class Ours:
    """A run of celldag."""

    cells: int
    seconds: float
    cells_per_second: float
    peak: int
    cpu_seconds: float
    parameters: int
    without_loading: bool


class Bench:
    def __init__(self, options: argparse.Namespace) -> None:
        self.options = options
        self.work = options.work / "full-size"
        self.work.mkdir(parents=True, exist_ok=True)
        self.cells = options.data / "pbmc4k_annotated" / "pbmc4k_annotated.h5ad"

    def python(self, *command: object) -> str:
        run = [sys.executable, "-W", "ignore", *map(str, command)]
        return subprocess.run(run, check=True, stdout=subprocess.PIPE, text=True).stdout

    def celldag(self, *command: object) -> tuple[int, float]:
        """Peak resident memory in bytes, and seconds of processor time."""
        more = ["--cache", self.work / "store", "--device", "cpu", "--threads", self.options.threads]
        more += ["--summary", self.work / "summary.json"]
        self.began = time.time()
        process = subprocess.Popen([str(part) for part in (self.options.celldag, "-q", *command, *more)], stdout=sys.stderr)
        _, status, usage = os.wait4(process.pid, 0)
        process.returncode = os.waitstatus_to_exitcode(status)
        if process.returncode:
            raise SystemExit(f"celldag {command[0]} {command[1]} failed ({process.returncode})")
        return usage.ru_maxrss * 1024, usage.ru_utime + usage.ru_stime

    def job(self) -> dict:
        """What the store says of the last step, which must have been computed by it."""
        key = json.loads((self.work / "summary.json").read_text())["key"]
        show = [self.options.celldag, "cache", "cat", key, "--cache", self.work / "store"]
        record = json.loads(subprocess.run(show, check=True, stdout=subprocess.PIPE).stdout)
        if datetime.datetime.fromisoformat(record["created"]).timestamp() < self.began:
            raise SystemExit(f"the result was there already ({record['created']}); remove {self.work / 'store'}")
        return record

    def checkpoint(self, case: Case) -> pathlib.Path:
        name = case.checkpoint or case.model
        folder = self.work / name
        if not (folder / "complete").exists():
            shutil.rmtree(folder, ignore_errors=True)
            self.python(HERE / "make_full_size.py", name, folder / "model", "--data", self.options.data)
            (folder / "complete").touch()
        return folder / "model"

    def input(self, case: Case, count: int) -> pathlib.Path:
        """The first cells of the file, or the first drugs."""
        if case.drugs:
            path = self.work / f"drugs-{count}.csv"
            with open(self.options.data / "bulk_ccle_gdsc" / "drugs.csv") as source, open(path, "w", newline="") as file:
                rows = [(row["drug_name"], row["CanonicalSMILES"]) for row in csv.DictReader(source)][:count]
                csv.writer(file).writerows([("id", "smiles"), *rows])
            return path
        path = self.work / f"cells-{count}.h5ad"
        if not path.exists():
            code = "import anndata, sys; anndata.read_h5ad(sys.argv[1])[:int(sys.argv[3])].copy().write_h5ad(sys.argv[2])"
            self.python("-c", code, self.cells, path, count)
        return path

    def ours(self, case: Case, checkpoint: pathlib.Path, count: int) -> tuple[Ours, pathlib.Path, pathlib.Path]:
        """Embeds; gives what was read and what was written too."""
        source = self.input(case, count)
        if case.drugs:
            out = self.work / f"{case.model}.csv"
            ports = ["--in", f"drugs={source}", "--in", f"checkpoint={checkpoint}", "--with", f"model={case.kind}"]
            peak, cpu = self.celldag("step", "embed-drug", *ports, "--out", f"embedding={out}")
        else:
            tokens, out = self.work / f"{case.model}.safetensors", self.work / f"{case.model}.h5ad"
            chosen = [part for option in (f"model={case.kind}", *case.tokenize) for part in ("--with", option)]
            ports = ["--in", f"cells={source}", "--in", f"checkpoint={checkpoint}", *chosen, "--out", f"tokens={tokens}"]
            self.celldag("step", "tokenize", *ports)
            ports = ["--in", f"tokens={tokens}", "--in", f"checkpoint={checkpoint}", "--out", f"embedding={out}"]
            peak, cpu = self.celldag("step", "embed", *ports)
            source = tokens
        job = self.job()
        seconds, facts, execution = job["seconds"], job["summary"]["facts"], job["execution"]
        speed = execution.get("cells_per_second")
        run = Ours(count, seconds, speed or count / seconds, peak, cpu, facts["parameters"], speed is not None)
        return run, source, out

    def row(self, case: Case) -> list[str]:
        options = self.options
        checkpoint = self.checkpoint(case)
        count = options.drugs if case.drugs else case.cells or options.cells
        fewer = min(count, options.torch_cells or (count if case.drugs else case.torch_cells))
        shutil.rmtree(self.work / "store", ignore_errors=True)
        every, source, out = self.ours(case, checkpoint, count)
        same = every
        if fewer < count:
            same, source, out = self.ours(case, checkpoint, fewer)
        command = [HERE / "torch_models.py", case.checkpoint or case.model, checkpoint, source, "--threads", options.threads]
        batch = [] if options.batch is None else ["--batch", options.batch]
        peer = json.loads(self.python(*command, *batch, "--ours", out))
        alone = json.loads(self.python(*command, "--batch", 1)) if case.pads and peer["batch"] > 1 else None
        record = {"celldag": dataclasses.asdict(every), "same_cells": dataclasses.asdict(same), "torch": peer, "alone": alone}
        print(json.dumps(record), file=sys.stderr)
        ratio = same.cells_per_second / peer["cells_per_second"]
        advantage = peer["fused_advantage"]
        layer = f", fused layer x {advantage:.2f}" if advantage else ""
        loading = every.cells / every.seconds
        return [
            case.title,
            f"{every.parameters / 1e6:,.1f} M",
            f"{peer['tokens'] / peer['cells']:,.0f}",
            f"{every.cells_per_second:.3g}" if every.without_loading else "",
            f"{loading:.3g}",
            f"{same.cells_per_second:.3g} ({same.cells})",
            f"{peer['cells_per_second']:.3g}" if case.goal else "",
            f"{peer['batch']}{layer}",
            f"{ratio:.2f}" if case.goal else "",
            f"{case.goal:g}" if case.goal else "",
            f"{same.cells_per_second / alone['cells_per_second']:.2f}" if alone else "",
            f"{every.peak / 1e9:.2f} GB",
            f"{peer['peak_rss'] / 1e9:.2f} GB",
            f"{peer['largest_difference']:.0e} of {peer['largest_value']:.2g}",
        ]

    def remove(self, case: Case, rest: list[Case]) -> None:
        name = case.checkpoint or case.model
        if not self.options.keep and all((other.checkpoint or other.model) != name for other in rest):
            shutil.rmtree(self.work / name, ignore_errors=True)
            shutil.rmtree(self.work / "store", ignore_errors=True)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("celldag", type=pathlib.Path)
    parser.add_argument("data", type=pathlib.Path)
    parser.add_argument("work", type=pathlib.Path)
    parser.add_argument("--models", default=",".join(name for name in CASES if name != "llama-8"))
    parser.add_argument("--cells", type=int, default=64)
    parser.add_argument("--drugs", type=int, default=170)
    parser.add_argument("--torch-cells", type=int, help="cells for PyTorch, instead of fewer for slower models")
    parser.add_argument("--threads", type=int, default=os.cpu_count())
    parser.add_argument("--batch", type=int, help="cells of PyTorch's batches, instead of the reference's")
    parser.add_argument("--keep", action="store_true", help="keep the checkpoints (about 45 GB for all)")
    options = parser.parse_args()
    unknown = [name for name in options.models.split(",") if name not in CASES]
    if unknown:
        parser.error(f"unknown: {', '.join(unknown)}; models are {', '.join(CASES)}")
    bench, cases = Bench(options), [CASES[name] for name in options.models.split(",")]
    head = [
        "model", "parameters used", "tokens a cell", "celldag cells/s", "with loading", "on PyTorch's cells (number)",
        "PyTorch cells/s", "its batch", "ratio", "goal", "ratio to batch 1", "celldag peak", "PyTorch peak", "largest difference",
    ]
    print(f"| {' | '.join(head)} |\n{'|---' * len(head)}|", flush=True)
    failed = []
    for place, case in enumerate(cases):
        print(f"{time.strftime('%H:%M:%S')} {case.title}", file=sys.stderr)
        try:
            print(f"| {' | '.join(bench.row(case))} |", flush=True)
        except (SystemExit, subprocess.CalledProcessError) as error:
            print(f"{case.model}: {error}", file=sys.stderr)
            failed.append(case.title)
        bench.remove(case, cases[place + 1 :])
    if failed:
        raise SystemExit(f"\nNot measured: {', '.join(failed)}")


if __name__ == "__main__":
    main()
