#!/bin/sh
# Speed and memory beside PyTorch, measured in one run: same cells, same threads. Writes Markdown to stdout, progress to
# stderr. Needs the reference data (CELLDAG_FIXTURES, default ../shared) for real cells and the published dictionaries.
# docs/benchmarks.md describes all variables.
set -eu
cd "$(dirname "$0")/../.."
celldag=${CARGO_TARGET_DIR:-target}/release/celldag
fixtures=${CELLDAG_FIXTURES:-../shared}
work=${CELLDAG_BENCH:-target/bench}
cells=${CELLDAG_BENCH_CELLS:-400}
scgpt=${CELLDAG_BENCH_SCGPT:-60}
large=${CELLDAG_BENCH_LARGE:-100000}
threads=$(nproc)
[ -d "$fixtures/data/vocab/geneformer" ] || {
    echo "make bench needs real cells and the published dictionaries: set CELLDAG_FIXTURES" >&2
    exit 1
}
mkdir -p "$work"
# Absolute: benches run in the folder of their package.
work=$(cd "$work" && pwd)
python=$work/venv/bin/python
# Imports and not only the file: an installation that was interrupted is made again.
if ! "$python" -c 'import anndata, safetensors, torch, transformers' 2>/dev/null; then
    echo "installing PyTorch and transformers into $work/venv" >&2
    rm -rf "$work/venv"
    python3 -m venv "$work/venv"
    "$work/venv/bin/pip" install -q -r tests/python/requirements.txt >&2
fi
cargo build --release --locked -p celldag >&2
cargo bench -q --locked -p celldag-shaders --bench ops --bench encoder --no-run >&2

[ -f "$work/geneformer/config.json" ] ||
    "$python" tests/python/make_geneformer.py "$fixtures/data/vocab/geneformer" "$work/geneformer" >&2
source=$fixtures/data/pbmc4k_annotated/pbmc4k_annotated.h5ad
"$python" -W ignore - "$source" "$work/cells.h5ad" "$cells" <<'PY'
import sys, anndata
anndata.read_h5ad(sys.argv[1])[: int(sys.argv[3])].copy().write_h5ad(sys.argv[2], compression="gzip")
PY

rm -rf "$work/store"
run() { "$celldag" "$@" --cache "$work/store" --device cpu --jobs "$threads" >&2; }
seconds() { "$celldag" runs show last --cache "$work/store" --json | "$python" -c 'import json,sys; print(json.load(sys.stdin)["jobs"][0]["seconds"])'; }

echo "# Measurements beside PyTorch on a CPU"
echo
echo "machine: $threads threads, $(sed -n 's/^model name[^:]*: //p' /proc/cpuinfo | head -1), load before $(cut -d' ' -f1 /proc/loadavg)"
echo "commit: $(git rev-parse --short HEAD 2>/dev/null || echo unknown), $(date -u +%F)"
echo "tokenizing and embedding $cells cells" >&2
run -q step tokenize --in "cells=$work/cells.h5ad" --in "checkpoint=$work/geneformer" --with model=geneformer --out "tokens=$work/tokens.safetensors"
tokenize=$(seconds)
run -q step embed --in "tokens=$work/tokens.safetensors" --in "checkpoint=$work/geneformer" --out "embedding=$work/embedding.h5ad"
embed=$(seconds)
sorted=$("$python" tests/python/torch_geneformer.py "$work/tokens.safetensors" "$work/geneformer" --threads "$threads" --order sorted --batch 100 --out "$work/torch.npy")
given=$("$python" tests/python/torch_geneformer.py "$work/tokens.safetensors" "$work/geneformer" --threads "$threads" --order given --batch 32)
"$python" -W ignore - "$cells" "$tokenize" "$embed" "$sorted" "$given" "$work" <<'PY'
import json, sys
import anndata, numpy as np
cells, tokenize, embed = int(sys.argv[1]), float(sys.argv[2]), float(sys.argv[3])
peers = [json.loads(sys.argv[4]), json.loads(sys.argv[5])]
ours, tokens = cells / embed, peers[0]["tokens"]
print(f"\n## Geneformer V1, full size (6 layers, 256)\n\n{cells} real cells, {tokens / cells:.0f} tokens a cell, {peers[0]['threads']} threads\n")
print("| what | cells/s | tokens/s | celldag is faster by | goal |\n|---|---|---|---|---|")
print(f"| celldag tokenize | {cells / tokenize:.0f} | {tokens / tokenize:,.0f} | | |")
print(f"| celldag embed, CPU backend, loading included | {ours:.2f} | {tokens / embed:,.0f} | | |")
for peer in peers:
    print(f"| PyTorch {peer['torch']} BERT ({peer['attention']}), padded batches of {peer['batch']}, cells {peer['order']} | {peer['cells_per_second']:.2f} | {peer['tokens'] / peer['seconds']:,.0f} | {ours / peer['cells_per_second']:.2f} | 2 |")
a = anndata.read_h5ad(f"{sys.argv[6]}/embedding.h5ad").obsm["X_geneformer"]
b = np.load(f"{sys.argv[6]}/torch.npy")
print(f"\nlargest difference of the embeddings: {np.abs(a - b).max():.1e} (values up to {np.abs(b).max():.1f})")
PY

# Operations: ours and torch's in the same minutes, on the shapes of transformers.
echo "operations" >&2
printf '\n## Operations, f32, %s threads\n\n' "$threads"
cargo bench -q --locked -p celldag-shaders --bench ops -- cpu "$threads" --json > "$work/ops.json"
"$python" tests/python/torch_ops.py "$work/ops.json" --threads "$threads" > "$work/torch_ops.json"
"$python" tests/python/ratios.py ops "$work/ops.json" "$work/torch_ops.json" --goals cpu

# WGSL on the software driver: for correctness, not for speed, but not slower than it can be.
if [ "${CELLDAG_BENCH_SOFTWARE:-yes}" = yes ]; then
    echo "WGSL on the software driver" >&2
    printf '\n## WGSL on the software driver\n\n'
    for family in linear product attention; do
        CELLDAG_BENCH_SIZES=${CELLDAG_BENCH_SIZES:-standard} cargo bench -q --locked -p celldag-shaders --bench ops -- software "$threads" $family --json || true
    done > "$work/software.json" 2>"$work/software.txt"
    if [ -s "$work/software.json" ]; then
        "$python" tests/python/ratios.py ops "$work/software.json" --goals software
    else
        echo "no software driver here: $(grep -m1 software "$work/software.txt" || true)"
    fi
fi

# scGPT's encoder at full size (12 layers, 512, 8 heads) with random weights, on as many real cells as minutes allow.
echo "scGPT's encoder on $scgpt cells" >&2
printf '\n## An encoder of scGPT'\''s size (12 layers, 512, 8 heads; random weights), real cells\n\n'
"$python" -W ignore - "$source" "$work/lengths.txt" "$scgpt" <<'PY'
import sys, anndata, numpy as np
cells = anndata.read_h5ad(sys.argv[1])[: int(sys.argv[3])]
counts = cells.layers["counts"] if "counts" in cells.layers else cells.X
open(sys.argv[2], "w").write("\n".join(str(min(n + 1, 1200)) for n in np.diff(counts.tocsr().indptr)))
PY
encoder="--layers 12 --width 512 --heads 8 --inner 512 --threads $threads"
cargo bench -q --locked -p celldag-shaders --bench encoder -- cpu "$threads" 12 512 8 512 "$work/lengths.txt" > "$work/encoder.json"
for options in "--path plain --order sorted" "--path plain --order given" "--path fast --order given"; do
    # shellcheck disable=SC2086
    "$python" -W ignore tests/python/torch_encoder.py "$work/lengths.txt" $encoder $options
done > "$work/torch_encoder.json"
"$python" tests/python/ratios.py encoder "$work/encoder.json" "$work/torch_encoder.json" --goals cpu

# Many cells through qc, normalize and tokenize: peak memory of each step.
[ "$large" != yes ] || large=100000
if [ "$large" != no ]; then
    file=$work/large-$large.h5ad
    [ -f "$file" ] || "$python" -W ignore tests/python/make_cells.py "$file" --cells "$large" --like "$source" >&2
    printf '\n## %s cells, one step at a time\n\n| step | wall s | peak memory |\n|---|---|---|\n' "$large"
    measure() {
        echo "$1 of $large cells" >&2
        "$python" - "$@" --cache "$work/store" --jobs "$threads" <<'PY'
import resource, subprocess, sys, time
start = time.perf_counter()
subprocess.run(sys.argv[2:], stdout=subprocess.DEVNULL, check=True)
peak = resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss
print(f"| {sys.argv[1]} | {time.perf_counter() - start:.1f} | {peak / 1024:.0f} MB |")
PY
    }
    measure qc "$celldag" -q step qc --in "cells=$file" --out "cells=$work/qc.h5ad"
    measure normalize "$celldag" -q step normalize --in "cells=$work/qc.h5ad" --out "cells=$work/normalized.h5ad"
    measure tokenize "$celldag" -q step tokenize --in "cells=$work/normalized.h5ad" --in "checkpoint=$work/geneformer" --with model=geneformer
    rm -f "$work/qc.h5ad" "$work/normalized.h5ad"
fi
