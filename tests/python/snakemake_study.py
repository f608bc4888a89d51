"""The reference study (36 data sets x 9 models x 2 strategies x 10 folds, 13,644 jobs) as a Snakefile, planned by Snakemake.

    snakemake_study.py SNAKEMAKE WORK

Same nodes and edges as engine/benches/study; the rules would write a line each. Prints rows of the table of `make bench-engine`: CPU
seconds (user and system, with children), wall seconds and peak memory of `snakemake --dry-run`. Needs Snakemake and nothing else.
"""

import pathlib
import resource
import shutil
import subprocess
import sys
import time

MODELS = "tgpt scbert geneformer celllm scfoundation scgpt cellplm uce llama3-8b".split()
SNAKEFILE = """
DATASETS = [f"d{n:02}" for n in range(36)]
wildcard_constraints: d="[^/]+", m="[^/]+", s="[^/]+", f="[^/]+"
rule all:
    input: expand("metrics/{d}/{m}/{s}/{f}.txt", d=DATASETS, m=MODELS, s=["frozen", "lora"], f=range(10))
rule qc:
    input: "{d}.txt"
    output: "qc/{d}.txt"
    params: min_genes=200
    shell: "cat {input} > {output}"
rule tokenize:
    input: "qc/{d}.txt", "{m}.bin"
    output: "tokens/{d}/{m}.txt"
    shell: "cat {input} > {output}"
rule embed:
    input: "tokens/{d}/{m}.txt", "{m}.bin"
    output: "embedding/{d}/{m}.txt"
    shell: "cat {input} > {output}"
rule train:
    input: "embedding/{d}/{m}.txt", "qc/{d}.txt"
    output: "head/{d}/{m}/{s}/{f}.txt"
    params: seed=24
    shell: "cat {input} > {output}"
rule evaluate:
    input: "head/{d}/{m}/{s}/{f}.txt", "qc/{d}.txt"
    output: "metrics/{d}/{m}/{s}/{f}.txt"
    shell: "cat {input} > {output}"
"""


def main() -> None:
    snakemake, work = pathlib.Path(sys.argv[1]).absolute(), pathlib.Path(sys.argv[2]) / "snakemake-study"
    shutil.rmtree(work, ignore_errors=True)
    work.mkdir(parents=True)
    (work / "Snakefile").write_text(f"MODELS = {MODELS}\n{SNAKEFILE}")
    for name in [f"d{n:02}.txt" for n in range(36)] + [f"{model}.bin" for model in MODELS]:
        (work / name).write_text(name)
    version = subprocess.run([snakemake, "--version"], capture_output=True, text=True, check=True).stdout.strip()
    before, start = resource.getrusage(resource.RUSAGE_CHILDREN), time.monotonic()
    told = subprocess.run([snakemake, "--dry-run", "--quiet", "all", "--cores", "2"], cwd=work, capture_output=True, text=True)
    wall, after = time.monotonic() - start, resource.getrusage(resource.RUSAGE_CHILDREN)
    if told.returncode != 0:
        sys.exit(told.stderr)
    cpu = after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime
    print(f"| Snakemake {version}: dry run, nothing computed | 13645 | {cpu:.2f} | {wall:.2f} | {after.ru_maxrss * 1024 / 1e6:.0f} |")


if __name__ == "__main__":
    main()
