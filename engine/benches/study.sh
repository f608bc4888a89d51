#!/bin/sh
# What the engine itself costs in a study of 13,644 jobs, beside Snakemake on the same graph in the same run. Writes a report in
# Markdown to stdout. Snakemake is installed into target/bench unless CELLDAG_BENCH_SNAKEMAKE names one.
set -eu
cd "$(dirname "$0")/../.."
work=${CELLDAG_BENCH:-target/bench}
mkdir -p "$work"
snakemake=${CELLDAG_BENCH_SNAKEMAKE:-$work/snakemake/bin/snakemake}
if ! "$snakemake" --version >/dev/null 2>&1; then
    [ -z "${CELLDAG_BENCH_SNAKEMAKE:-}" ] || { echo "$snakemake does not run" >&2; exit 1; }
    echo "installing Snakemake into $work/snakemake" >&2
    rm -rf "$work/snakemake"
    python3 -m venv "$work/snakemake"
    "$work/snakemake/bin/pip" install -q snakemake >&2
fi
cargo build --release --locked -q -p celldag-engine --benches >&2
echo "# The engine alone: a study of 36 data sets, 9 models, 2 strategies, 10 folds"
echo
echo "machine: $(nproc) threads, $(sed -n 's/^model name[^:]*: //p' /proc/cpuinfo | head -1), load before $(cut -d' ' -f1 /proc/loadavg)"
echo "commit: $(git rev-parse --short HEAD 2>/dev/null || echo unknown), $(date -u +%F)"
echo
python3 tests/python/snakemake_study.py "$snakemake" "$work" > "$work/snakemake-study.md"
cargo bench --locked -q -p celldag-engine --bench study > "$work/study.md"
sed -n '1,/^$/p' "$work/study.md" | sed '$d'
cat "$work/snakemake-study.md"
sed -n '/^$/,$p' "$work/study.md"
echo
sh engine/benches/steps.sh
