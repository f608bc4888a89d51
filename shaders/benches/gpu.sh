#!/bin/sh
# Everything that should be measured on a machine with a hardware GPU, beside PyTorch on the same GPU in the same run:
#   sh shaders/benches/gpu.sh [DEVICE] > report.md
# DEVICE is part of an adapter's name or its index in `celldag devices` (default: gpu, the first hardware adapter). Needs
# what a build needs (Rust, a C compiler, CMake). PyTorch with CUDA or ROCm is found as $PYTHON (default python3); without
# it, or without Python, its part is left out with a line that says so. A section that fails is told at the end and does
# not stop the others. docs/benchmarks.md describes the variables for sizes and peaks; on a software driver, to try the
# script:
#   CELLDAG_BENCH_CELLS=4 CELLDAG_BENCH_TOKENS=40 CELLDAG_BENCH_TESTS=no sh shaders/benches/gpu.sh software
set -u
cd "$(dirname "$0")/../.."
device=${1:-gpu}
python=${PYTHON:-python3}
work=${CELLDAG_BENCH:-target/bench}
fixtures=${CELLDAG_FIXTURES:-../shared}
cells=${CELLDAG_BENCH_CELLS:-400}
tokens=${CELLDAG_BENCH_TOKENS:-4096}
peer=${CELLDAG_BENCH_TORCH_DEVICE:-cuda}
target=${CARGO_TARGET_DIR:-target}
failed=""
mkdir -p "$work"
# Absolute: benches run in the folder of their package.
work=$(cd "$work" && pwd)
rm -f "$work"/gpu-*.json

section() { printf '\n## %s\n\n' "$1"; echo "$1" >&2; }
# Runs a command that prints Markdown, and remembers that it failed.
part() {
    label=$1; shift
    "$@" || { failed="$failed, $label"; echo "FAILED: $label"; }
}
# The same for a command that prints lines.
step() {
    echo '```'
    part "$@" 2>&1
    echo '```'
}
bench() { cargo bench -q --locked -p celldag-shaders --bench "$@"; }
# Runs a command and keeps what it prints to stdout.
keep() { file=$1; shift; "$@" > "$file"; }

echo "# Measurements on a GPU"
echo
echo "date $(date -u +%F), commit $(git rev-parse --short HEAD 2>/dev/null || echo unknown)"
command -v nvidia-smi >/dev/null 2>&1 && nvidia-smi --query-gpu=name,driver_version --format=csv,noheader
cargo build --release --locked -p celldag >&2 || exit 1
bench ops --bench encoder --bench kernels --no-run >&2 || exit 1

scripts=no
"$python" -c '' 2>/dev/null && scripts=yes
torch=no
"$python" -c "import torch, sys; sys.exit('$peer' == 'cuda' and not torch.cuda.is_available())" 2>/dev/null && torch=yes
[ $torch = yes ] || printf '\nPyTorch does not see a GPU here: no ratios. Set PYTHON to an interpreter whose PyTorch does.\n'

section "Adapters, features and speed as celldag sees them"
step devices "$target/release/celldag" devices --bench

if [ "${CELLDAG_BENCH_TESTS:-yes}" = yes ]; then
    section "Shader tests on this adapter"
    step "shader tests" env CELLDAG_TEST_DEVICE="$device" cargo test -q --release --locked -p celldag-shaders --no-fail-fast
    section "Golden embeddings on this adapter"
    if [ -d "$fixtures/golden" ]; then
        step "golden embeddings" env CELLDAG_TEST_DEVICE="$device" CELLDAG_FIXTURES="$(cd "$fixtures" && pwd)" \
            cargo test -q --release --locked -p celldag-models --no-fail-fast
    else
        echo "no fixtures: set CELLDAG_FIXTURES"
    fi
fi

section "Kernels: speed and share of the adapter's peak (the table of docs/kernels.md)"
case "$device" in
    software) rows=${CELLDAG_BENCH_ROWS:-256} ;;
    *) rows=${CELLDAG_BENCH_ROWS:-16384} ;;
esac
part kernels bench kernels -- "$device" 0 "$rows"

section "Operations"
echo "Goals on an H200: products f32 40 TFLOP/s or more, f16 60 and better 150 TFLOP/s; shares are of the published peak."
echo
part operations bench ops -- "$device" 0 "--json=$work/gpu-ops-f32.json"
for precision in f32x3 f16; do
    printf '\nProducts in %s (cooperative matrices):\n\n' $precision
    part "products $precision" env CELLDAG_BENCH_PRECISION=$precision \
        cargo bench -q --locked -p celldag-shaders --bench ops -- "$device" 0 linear "--json=$work/gpu-ops-$precision.json"
done
if [ $torch = yes ]; then
    for mode in f32 tf32 bf16; do
        echo "PyTorch $mode" >&2
        part "torch $mode" keep "$work/gpu-torch-$mode.json" \
            "$python" -W ignore tests/python/torch_ops.py "$work/gpu-ops-f32.json" --device "$peer" --mode $mode
    done
fi
if [ $scripts = yes ]; then
    section "Operations: ratios to PyTorch on this GPU"
    for precision in f32 f32x3 f16; do
        [ -s "$work/gpu-ops-$precision.json" ] || continue
        part "ratios $precision" "$python" tests/python/ratios.py ops "$work/gpu-ops-$precision.json" \
            "$work/gpu-torch-f32.json" "$work/gpu-torch-tf32.json" "$work/gpu-torch-bf16.json" --goals gpu
        echo
    done
fi

# Lengths of real cells where they and a reader are at hand, or drawn as in 10x PBMC data.
lengths=$work/gpu-lengths.txt
real=$fixtures/data/pbmc4k_annotated/pbmc4k_annotated.h5ad
if [ -f "$real" ] && "$python" -W ignore - "$real" "$lengths" "$cells" 2>/dev/null <<'PY'
import sys, anndata, numpy as np
cells = anndata.read_h5ad(sys.argv[1])[: int(sys.argv[3])]
counts = cells.layers["counts"] if "counts" in cells.layers else cells.X
open(sys.argv[2], "w").write("".join(f"{n + 1}\n" for n in np.diff(counts.tocsr().indptr)))
PY
then
    origin="real cells (10x PBMC 4k)"
else
    origin="lengths drawn as of 10x PBMC"
    awk -v cells="$cells" 'BEGIN { srand(1); for (i = 0; i < cells; i++) print int(exp(6.9 + 0.9 * (rand() + rand() + rand() - 1.5))) }' > "$lengths"
fi
compare() {
    model=$1; layers=$2; width=$3; heads=$4; inner=$5; most=$6
    [ "$most" -le "$tokens" ] || most=$tokens
    list=$work/gpu-lengths-$model.txt
    awk -v most="$most" '{ print ($1 > most ? most : $1) }' "$lengths" > "$list"
    section "An encoder of the size of $model: $origin, loading not included"
    echo "Goal: at least PyTorch's float32; the ratio to bfloat16 is stated."
    echo
    rm -f "$work/gpu-encoder.json" "$work/gpu-torch-encoder.json"
    for precision in f32 f32x3 f16; do
        part "$model $precision" keep "$work/gpu-encoder-one.json" env CELLDAG_BENCH_PRECISION=$precision \
            cargo bench -q --locked -p celldag-shaders --bench encoder -- "$device" 0 "$layers" "$width" "$heads" "$inner" "$list" "${CELLDAG_BENCH_BUDGET:-65536}"
        cat "$work/gpu-encoder-one.json" >> "$work/gpu-encoder.json"
    done
    if [ $torch = yes ]; then
        for options in "" "--tf32" "--dtype bfloat16"; do
            # shellcheck disable=SC2086
            part "torch $model $options" keep "$work/gpu-encoder-one.json" "$python" -W ignore tests/python/torch_encoder.py "$list" \
                --layers "$layers" --width "$width" --heads "$heads" --inner "$inner" --order sorted --device "$peer" $options
            cat "$work/gpu-encoder-one.json" >> "$work/gpu-torch-encoder.json"
        done
    fi
    if [ $scripts = yes ]; then
        part "ratios $model" "$python" tests/python/ratios.py encoder "$work/gpu-encoder.json" "$work/gpu-torch-encoder.json" --goals gpu
    else
        cat "$work/gpu-encoder.json"
    fi
}
compare scGPT 12 512 8 512 1200
compare Geneformer-V1 6 256 4 512 2048
compare Geneformer-V2 12 768 12 3072 4096

if [ -n "$failed" ]; then
    printf '\nFAILED: %s\n' "${failed#, }"
    exit 1
fi
