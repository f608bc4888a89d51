#!/bin/sh
# Every model at its published size on real cells, with celldag and in PyTorch, same cells and threads. Writes a table in
# Markdown to stdout, progress to stderr. Needs the reference data (CELLDAG_FIXTURES, default ../shared).
# docs/benchmarks.md describes the table and all variables.
set -eu
cd "$(dirname "$0")/../../.."
bench="make bench-models" needed="anndata, safetensors, tokenizers, torch, transformers"
. nodes/models/benches/setup.sh
set -- --threads "$threads" --cells "${CELLDAG_BENCH_CELLS:-64}"
[ -z "${CELLDAG_BENCH_MODELS:-}" ] || set -- "$@" --models "$CELLDAG_BENCH_MODELS"
[ -z "${CELLDAG_BENCH_TORCH_CELLS:-}" ] || set -- "$@" --torch-cells "$CELLDAG_BENCH_TORCH_CELLS"
[ -z "${CELLDAG_BENCH_BATCH:-}" ] || set -- "$@" --batch "$CELLDAG_BENCH_BATCH"
[ "${CELLDAG_BENCH_KEEP:-no}" = no ] || set -- "$@" --keep

report "Models at full size beside PyTorch on a CPU"
exec "$python" -W ignore tests/python/bench_models.py "$celldag" "$fixtures/data" "$work" "$@"
