#!/bin/sh
# Speed and memory beside PyTorch, measured in one run: same cells, same threads. Writes a table to stdout.
# Needs the reference data (CELLDAG_FIXTURES, default ../shared) for real cells and the published dictionaries.
set -eu
celldag=$(pwd)/target/release/celldag
fixtures=${CELLDAG_FIXTURES:-../shared}
work=${CELLDAG_BENCH:-target/bench}
cells=${CELLDAG_BENCH_CELLS:-400}
threads=$(nproc)
[ -d "$fixtures/data/vocab/geneformer" ] || {
    echo "make bench needs real cells and the published dictionaries: set CELLDAG_FIXTURES" >&2
    exit 1
}
mkdir -p "$work"
python=$work/venv/bin/python
if ! [ -x "$python" ]; then
    echo "installing PyTorch and transformers into $work/venv" >&2
    python3 -m venv "$work/venv"
    "$work/venv/bin/pip" install -q -r tests/python/requirements.txt
fi

[ -d "$work/geneformer" ] || "$python" tests/python/make_geneformer.py "$fixtures/data/vocab/geneformer" "$work/geneformer"
source=$fixtures/data/pbmc4k_annotated/pbmc4k_annotated.h5ad
"$python" - "$source" "$work/cells.h5ad" "$cells" <<'PY'
import sys, anndata
anndata.read_h5ad(sys.argv[1])[: int(sys.argv[3])].copy().write_h5ad(sys.argv[2], compression="gzip")
PY

rm -rf "$work/store"
run() { "$celldag" "$@" --cache "$work/store" --device cpu --jobs "$threads"; }
seconds() { "$celldag" runs show last --cache "$work/store" --json | "$python" -c 'import json,sys; print(json.load(sys.stdin)["jobs"][0]["seconds"])'; }

echo "machine: $(nproc) threads, $(sed -n 's/^model name[^:]*: //p' /proc/cpuinfo | head -1)"
echo "commit: $(git rev-parse --short HEAD 2>/dev/null || echo unknown), $(date -u +%F)"
run -q step tokenize --in "cells=$work/cells.h5ad" --in "checkpoint=$work/geneformer" --with model=geneformer --out "tokens=$work/tokens.safetensors" >/dev/null
tokenize=$(seconds)
run -q step embed --in "tokens=$work/tokens.safetensors" --in "checkpoint=$work/geneformer" --out "embedding=$work/embedding.h5ad" >/dev/null
embed=$(seconds)
sorted=$("$python" tests/python/torch_geneformer.py "$work/tokens.safetensors" "$work/geneformer" --threads "$threads" --order sorted --batch 100 --out "$work/torch.npy")
given=$("$python" tests/python/torch_geneformer.py "$work/tokens.safetensors" "$work/geneformer" --threads "$threads" --order given --batch 32)
"$python" - "$cells" "$tokenize" "$embed" "$sorted" "$given" "$work" <<'PY'
import json, sys
import anndata, numpy as np
cells, tokenize, embed = int(sys.argv[1]), float(sys.argv[2]), float(sys.argv[3])
peers = [json.loads(sys.argv[4]), json.loads(sys.argv[5])]
ours = cells / embed
print(f"\nGeneformer V1 full size (6 layers, 256), {cells} real cells, {peers[0]['tokens'] / cells:.0f} tokens a cell, {peers[0]['threads']} threads\n")
print("| what | cells/s | celldag is faster by |\n|---|---|---|")
print(f"| celldag tokenize | {cells / tokenize:.0f} | |")
print(f"| celldag embed, CPU backend, loading included | {ours:.2f} | |")
for peer in peers:
    print(f"| PyTorch {peer['torch']} BERT ({peer['attention']}), padded batches of {peer['batch']}, cells {peer['order']} | {peer['cells_per_second']:.2f} | {ours / peer['cells_per_second']:.2f} |")
a = anndata.read_h5ad(f"{sys.argv[6]}/embedding.h5ad").obsm["X_geneformer"]
b = np.load(f"{sys.argv[6]}/torch.npy")
print(f"\nlargest difference of the embeddings: {np.abs(a - b).max():.1e} (values up to {np.abs(b).max():.1f})")
PY

# 100,000 cells through qc, normalize and tokenize: peak memory of each step.
if [ "${CELLDAG_BENCH_LARGE:-yes}" = yes ]; then
    large=$work/large.h5ad
    [ -f "$large" ] || "$python" tests/python/make_cells.py "$large" --cells 100000 --like "$source"
    echo
    echo "| 100,000 cells | wall s | peak memory |"
    echo "|---|---|---|"
    measure() {
        name=$1; shift
        /usr/bin/time -f "%e %M" -o "$work/time" "$celldag" -q "$@" --cache "$work/store" --jobs "$threads" >/dev/null
        awk -v name="$name" '{printf "| %s | %.0f | %.0f MB |\n", name, $1, $2 / 1024}' "$work/time"
    }
    measure qc step qc --in "cells=$large" --out "cells=$work/qc.h5ad"
    measure normalize step normalize --in "cells=$work/qc.h5ad" --out "cells=$work/normalized.h5ad"
    measure tokenize step tokenize --in "cells=$work/normalized.h5ad" --in "checkpoint=$work/geneformer" --with model=geneformer
    rm -f "$work/qc.h5ad" "$work/normalized.h5ad"
fi
