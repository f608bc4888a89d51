#!/bin/sh
# LoRA steps on Geneformer V1 at full size on real cells, with celldag and with PyTorch and peft, same cells and threads. Writes a
# table in Markdown to stdout, progress to stderr. Needs the reference data (CELLDAG_FIXTURES, default ../shared).
# docs/benchmarks.md describes the table and all variables.
set -eu
cd "$(dirname "$0")/../../.."
bench="make bench-lora" needed="anndata, peft, safetensors, torch, transformers"
. nodes/models/benches/setup.sh
set -- --threads "$threads" --cells "${CELLDAG_BENCH_CELLS:-96}"
[ -z "${CELLDAG_BENCH_BATCH:-}" ] || set -- "$@" --batch "$CELLDAG_BENCH_BATCH"
[ -z "${CELLDAG_BENCH_STEPS:-}" ] || set -- "$@" --steps "$CELLDAG_BENCH_STEPS"
[ -z "${CELLDAG_BENCH_PEERS:-}" ] || set -- "$@" --peers "$CELLDAG_BENCH_PEERS"
[ -z "${CELLDAG_BENCH_CHECKPOINT:-}" ] || set -- "$@" --checkpoint "$CELLDAG_BENCH_CHECKPOINT"

report "A LoRA step beside PyTorch and peft on a CPU"
exec "$python" -W ignore tests/python/bench_lora.py "$celldag" "$fixtures/data" "$work" "$@"
