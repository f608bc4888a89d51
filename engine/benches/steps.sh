#!/bin/sh
# What a cached `celldag step` costs: the median wall time of 20 calls, after one that computes. Writes a line in Markdown to stdout.
# CELLDAG_BENCH_BINARY names the binary; without it, the release build of this folder is made.
set -eu
cd "$(dirname "$0")/../.."
binary=${CELLDAG_BENCH_BINARY:-target/release/celldag}
[ -n "${CELLDAG_BENCH_BINARY:-}" ] || cargo build --release --locked -q -p celldag >&2
binary=$(realpath "$binary")
cells=$(realpath pipelines/data/pbmc68k_700.h5ad)
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT INT TERM
cd "$work"
step() {
    "$binary" -q step qc --in "cells=$cells" --out cells=qc.h5ad --summary qc.json --device cpu --cache store >/dev/null
}
step
calls=20
for call in $(seq $calls); do
    # As a workflow manager does, which removes outputs before a rule runs.
    rm -f qc.h5ad qc.json
    from=$(date +%s%N)
    step
    to=$(date +%s%N)
    echo $(((to - from) / 10000))
done | sort -n | awk -v calls=$calls '{ t[NR] = $1 / 100 }
    END { printf "A cached step, outputs written anew: median %.1f ms of %d calls (%.1f to %.1f)\n", (t[calls / 2] + t[calls / 2 + 1]) / 2, calls, t[1], t[calls] }'
