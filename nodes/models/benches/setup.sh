# What the benches of models share, sourced from the root of the repository: which binary, cells, threads and Python. Variables are
# those of docs/benchmarks.md.
# bench: how it is called (`make bench-models`); needed: modules of Python.
celldag=${CELLDAG_BENCH_BINARY:-${CARGO_TARGET_DIR:-target}/release/celldag}
fixtures=${CELLDAG_FIXTURES:-../shared}
work=${CELLDAG_BENCH:-target/bench}
threads=${CELLDAG_BENCH_THREADS:-$(nproc)}
[ -d "$fixtures/data/vocab" ] || {
    echo "$bench needs real cells and the published vocabularies: set CELLDAG_FIXTURES" >&2
    exit 1
}
[ -x "$celldag" ] || {
    echo "there is no $celldag: make build, or name it with CELLDAG_BENCH_BINARY" >&2
    exit 1
}
mkdir -p "$work"
python=${CELLDAG_BENCH_PYTHON:-$work/venv/bin/python}
if ! "$python" -c "import $needed" 2>/dev/null; then
    [ -z "${CELLDAG_BENCH_PYTHON:-}" ] || {
        echo "$python lacks what tests/python/requirements.txt names" >&2
        exit 1
    }
    echo "installing what tests/python/requirements.txt names into $work/venv" >&2
    rm -rf "$work/venv"
    python3 -m venv "$work/venv"
    "$work/venv/bin/pip" install -q -r tests/python/requirements.txt >&2
fi

# The head of a report.
report() {
    echo "# $1"
    echo
    echo "machine: $threads threads, $(sed -n 's/^model name[^:]*: //p' /proc/cpuinfo | head -1), load before $(cut -d' ' -f1 /proc/loadavg)"
    echo "commit: $(git rev-parse --short HEAD 2>/dev/null || echo unknown), $(date -u +%F)"
    echo
}
