#!/bin/sh
# Speed and memory beside PyTorch, measured in one run: same cells, same threads. Writes a table to stdout.
# Needs the reference data (CELLDAG_FIXTURES, default ../shared) for real cells and the published dictionaries.
set -eu
cd "$(dirname "$0")/../.."
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
# Absolute: benches run in the folder of their package.
work=$(cd "$work" && pwd)
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

# Operations: ours and torch's in the same minutes, on the shapes of transformers.
echo
echo "| operation, f32, $threads threads | celldag GFLOP/s | PyTorch GFLOP/s | ratio |"
echo "|---|---|---|---|"
cargo bench -q --locked -p celldag-shaders --bench ops -- cpu "$threads" --json > "$work/ops.json"
"$python" tests/python/torch_ops.py --threads "$threads" > "$work/torch_ops.json"
"$python" - "$work/ops.json" "$work/torch_ops.json" <<'PY'
import json, sys
ours, torch = [{row["what"]: row["gflops"] for row in map(json.loads, open(path))} for path in sys.argv[1:]]
for what in ours:
    if what in torch:
        print(f"| {what} | {ours[what]:.0f} | {torch[what]:.0f} | {ours[what] / torch[what]:.2f} |")
PY

# scGPT's encoder at full size (12 layers, 512, 8 heads) with random weights, on as many real cells as minutes allow.
"$python" - "$source" "$work/lengths.txt" "${CELLDAG_BENCH_SCGPT:-60}" <<'PY'
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
"$python" - "$work/encoder.json" "$work/torch_encoder.json" <<'PY'
import json, sys
ours = json.load(open(sys.argv[1]))
print(f"\nscGPT's encoder at full size (12 layers, 512), {ours['cells']} real cells, {ours['tokens'] / ours['cells']:.0f} tokens a cell\n")
print("| what | cells/s | celldag is faster by |\n|---|---|---|")
print(f"| celldag, ragged | {ours['cells_per_second']:.2f} | |")
for row in map(json.loads, open(sys.argv[2])):
    path = {"fast": "fused encoder layer, torch's default", "plain": "SDPA"}[row["path"]]
    print(f"| PyTorch {row['torch']} ({path}), padded batches of {row['batch']}, cells {row['order']} | {row['cells_per_second']:.2f} | {ours['cells_per_second'] / row['cells_per_second']:.2f} |")
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
