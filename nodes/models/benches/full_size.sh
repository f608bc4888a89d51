#!/bin/sh
# Every model at its published size on real cells, with celldag and in PyTorch, same cells and threads. Writes a table in
# Markdown to stdout, progress to stderr. Needs the reference data (CELLDAG_FIXTURES, default ../shared).
# docs/benchmarks.md describes the table and all variables.
set -eu
cd "$(dirname "$0")/../../.."
celldag=${CELLDAG_BENCH_BINARY:-${CARGO_TARGET_DIR:-target}/release/celldag}
fixtures=${CELLDAG_FIXTURES:-../shared}
work=${CELLDAG_BENCH:-target/bench}
threads=${CELLDAG_BENCH_THREADS:-$(nproc)}
[ -d "$fixtures/data/vocab" ] || {
    echo "make bench-models needs real cells and the published vocabularies: set CELLDAG_FIXTURES" >&2
    exit 1
}
[ -x "$celldag" ] || {
    echo "there is no $celldag: make build, or name it with CELLDAG_BENCH_BINARY" >&2
    exit 1
}
mkdir -p "$work"
python=${CELLDAG_BENCH_PYTHON:-$work/venv/bin/python}
if ! "$python" -c 'import anndata, safetensors, tokenizers, torch, transformers' 2>/dev/null; then
    [ -z "${CELLDAG_BENCH_PYTHON:-}" ] || {
        echo "$python lacks what tests/python/requirements.txt names" >&2
        exit 1
    }
    echo "installing PyTorch and transformers into $work/venv" >&2
    rm -rf "$work/venv"
    python3 -m venv "$work/venv"
    "$work/venv/bin/pip" install -q -r tests/python/requirements.txt >&2
fi
set -- --threads "$threads" --cells "${CELLDAG_BENCH_CELLS:-64}"
[ -z "${CELLDAG_BENCH_MODELS:-}" ] || set -- "$@" --models "$CELLDAG_BENCH_MODELS"
[ -z "${CELLDAG_BENCH_TORCH_CELLS:-}" ] || set -- "$@" --torch-cells "$CELLDAG_BENCH_TORCH_CELLS"
[ -z "${CELLDAG_BENCH_BATCH:-}" ] || set -- "$@" --batch "$CELLDAG_BENCH_BATCH"
[ "${CELLDAG_BENCH_KEEP:-no}" = no ] || set -- "$@" --keep

echo "# Models at full size beside PyTorch on a CPU"
echo
echo "machine: $threads threads, $(sed -n 's/^model name[^:]*: //p' /proc/cpuinfo | head -1), load before $(cut -d' ' -f1 /proc/loadavg)"
echo "commit: $(git rev-parse --short HEAD 2>/dev/null || echo unknown), $(date -u +%F)"
echo
exec "$python" -W ignore tests/python/bench_models.py "$celldag" "$fixtures/data" "$work" "$@"
