#!/bin/sh
# Everything that should be measured on a machine with a hardware GPU, beside PyTorch on the same GPU where it is installed:
#   sh shaders/benches/gpu.sh [DEVICE] > report.md
# DEVICE is part of an adapter's name or its index in `celldag devices` (default: gpu, the first hardware adapter). Needs
# what a build needs (Rust, a C compiler, CMake); PyTorch with CUDA or ROCm is found as $PYTHON (default python3) and left out with a line if it is not there.
# Correctness first: the shader tests and, with CELLDAG_FIXTURES, the embeddings of all golden fixtures run on the adapter.
set -u
cd "$(dirname "$0")/../.."
device=${1:-gpu}
python=${PYTHON:-python3}
work=${CELLDAG_BENCH:-target/bench}
fixtures=${CELLDAG_FIXTURES:-../shared}
failed=""
mkdir -p "$work"
# Absolute: benches run in the folder of their package.
work=$(cd "$work" && pwd)

section() { printf '\n## %s\n\n' "$1"; }
# Runs a command, shows its output, and remembers that it failed.
step() {
    name=$1; shift
    echo '```'
    "$@" 2>&1 || { failed="$failed, $name"; echo "FAILED: $name"; }
    echo '```'
}

echo "# Measurements on a GPU"
echo
echo "date $(date -u +%F), commit $(git rev-parse --short HEAD 2>/dev/null || echo unknown)"
command -v nvidia-smi >/dev/null 2>&1 && nvidia-smi --query-gpu=name,driver_version --format=csv,noheader

cargo build --release --locked -p celldag >&2 || exit 1
section "Adapters, features and speed as celldag sees them"
step devices target/release/celldag devices --bench

section "Shader tests on this adapter"
step "shader tests" env CELLDAG_TEST_DEVICE="$device" cargo test --release --locked -p celldag-shaders --no-fail-fast

section "Golden embeddings on this adapter"
if [ -d "$fixtures/golden" ]; then
    step "golden embeddings" env CELLDAG_TEST_DEVICE="$device" CELLDAG_FIXTURES="$(cd "$fixtures" && pwd)" \
        cargo test --release --locked -p celldag-models --no-fail-fast
else
    echo "no fixtures: set CELLDAG_FIXTURES"
fi

section "Kernels: time, traffic, share of this adapter's best"
step kernels cargo bench --locked -p celldag-shaders --bench kernels -- "$device" 0 16384

section "Operations"
step operations cargo bench --locked -p celldag-shaders --bench ops -- "$device"
for precision in f32x3 f16; do
    section "Matrix products, precision $precision (cooperative matrices)"
    step "products $precision" env CELLDAG_BENCH_PRECISION=$precision cargo bench --locked -p celldag-shaders --bench ops -- "$device" 0 linear
done

torch=no
"$python" -c 'import torch, sys; sys.exit(not torch.cuda.is_available())' 2>/dev/null && torch=yes
if [ $torch = yes ]; then
    for mode in f32 tf32 bf16; do
        section "PyTorch on this GPU, $mode: products and attention"
        step "torch $mode" "$python" tests/python/torch_ops.py --device cuda --mode $mode
    done
else
    echo "PyTorch does not see a GPU here: no ratios"
fi

# Real cells have different lengths; without cells at hand, lengths drawn as in 10x PBMC data.
lengths=$work/lengths.txt
[ -f "$lengths" ] || awk 'BEGIN { srand(1); for (i = 0; i < 400; i++) { n = int(exp(6.9 + 0.45 * (rand() + rand() + rand() - 1.5) * 2)); print n > 2048 ? 2048 : n } }' > "$lengths"
compare() {
    name=$1; layers=$2; width=$3; heads=$4; inner=$5; most=$6
    awk -v most="$most" '{ print $1 > most ? most : $1 }' "$lengths" > "$work/lengths-$name.txt"
    section "$name: cells per second over ragged cells, loading not included"
    step "$name" cargo bench --locked -p celldag-shaders --bench encoder -- "$device" 0 "$layers" "$width" "$heads" "$inner" "$work/lengths-$name.txt" 65536
    [ $torch = yes ] || return 0
    for options in "" "--tf32" "--dtype bfloat16"; do
        # shellcheck disable=SC2086
        step "torch $name" "$python" tests/python/torch_encoder.py "$work/lengths-$name.txt" --layers "$layers" --width "$width" --heads "$heads" --inner "$inner" --order sorted --device cuda $options
    done
}
compare scGPT 12 512 8 512 1200
compare Geneformer-V1 6 256 4 512 2048
compare Geneformer-V2 12 768 12 3072 4096

if [ -n "$failed" ]; then
    printf '\nFAILED: %s\n' "${failed#, }"
    exit 1
fi
