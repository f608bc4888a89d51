#!/bin/sh
# An exported pipeline on Slurm: a cluster of one machine with two pretend GPUs, up for this test only, in mount and process
# namespaces of its own, so that nothing of the machine's configuration changes and no daemon stays. Needs Linux, root, Snakemake
# (.ci/snakemake.sh) and the Debian packages slurmctld, slurmd, slurm-client and munge, which are installed where root may.
#
#   .ci/slurm.sh path/to/celldag
set -eu
cd "$(dirname "$0")/.."

celldag=$(realpath "${1:-target/release/celldag}")
snakemake=$(realpath "${CELLDAG_SNAKEMAKE:-target/snakemake/bin/snakemake}" 2>/dev/null || true)
template="$(realpath "${CELLDAG_FIXTURES:-../shared}")/tools/slurm/etc/slurm.conf.in"
skip() {
    echo "SKIP: $1" >&2
    [ -z "${CI:-}" ] || exit 1
    exit 0
}
[ "$(uname -s)" = Linux ] && [ "$(id -u)" = 0 ] || skip "Slurm is started as root, on Linux"
command -v unshare >/dev/null || skip "there is no unshare"
[ -x "$snakemake" ] || skip "there is no Snakemake: run .ci/snakemake.sh"
[ -f "$template" ] || skip "there is no $template: set CELLDAG_FIXTURES"
for program in slurmctld slurmd sbatch munged; do
    command -v "$program" >/dev/null || missing=yes
done
if [ -n "${missing:-}" ]; then
    export DEBIAN_FRONTEND=noninteractive
    command -v apt-get >/dev/null || skip "Slurm is not installed"
    { apt-get update -qq && apt-get install -y -qq --no-install-recommends slurmctld slurmd slurm-client munge >/dev/null; } ||
        skip "Slurm cannot be installed"
fi

here=$(pwd)
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
cd "$folder"
mkdir -p etc run/munge run/state run/spool run/log home
sed "s#@D@#$folder#g" "$template" >etc/slurm.conf
printf 'Name=gpu File=/dev/zero\nName=gpu File=/dev/full\n' >etc/gres.conf
dd if=/dev/urandom of=run/munge/munge.key bs=1024 count=1 status=none
chmod 400 run/munge/munge.key

set -- "$here/pipelines/drug_response.yaml" --profile ungrouped --set "cells=$here/pipelines/data/pbmc68k_700.h5ad" \
    --set "checkpoint=$here/pipelines/models/geneformer-mini" --set label=myeloid --set positive=1 --set folds=3 --set min_genes=300
unset CELLDAG_CACHE CELLDAG_REMOTE
"$celldag" export snakemake "$@" -o flow --cache store
"$celldag" run "$@" --cache other --out out --device cpu -q >/dev/null

cat >inside.sh <<'INSIDE'
set -eu
mount --bind "$PWD/etc" /etc/slurm
m="$PWD/run/munge"
munged --force --key-file="$m/munge.key" --socket="$m/munge.sock" --pid-file="$m/munged.pid" --log-file="$m/munged.log" \
    --seed-file="$m/munge.seed"
slurmctld -c
slurmd -c -N localhost
for _ in $(seq 100); do
    ! sinfo -h -o %T 2>/dev/null | grep -q idle || break
    sleep 0.1
done
sinfo
export HOME="$PWD/home" XDG_CACHE_HOME="$PWD/home"
cd flow
"$1" --executor slurm --slurm-no-account --slurm-status-command squeue --jobs 4 --latency-wait 10 \
    --default-resources mem_mb=1000 runtime=10 --config celldag="$2" device=cpu threads=2
cat ../run/log/jobcomp.txt
INSIDE
mkdir -p /etc/slurm # the place to mount on; Debian's packages make it
unshare --mount --pid --fork --kill-child --mount-proc bash inside.sh "$snakemake" "$celldag" &
# All daemons and jobs end with it. It takes no other signal.
cluster=$!
trap 'kill -KILL "$cluster" 2>/dev/null; exit 130' INT TERM
wait "$cluster"

for file in report.html metrics.json predictions.csv embedding.h5ad; do
    cmp "flow/drug_response/$file" "out/drug_response/$file"
done
"$celldag" plan "$@" --cache store
echo "Slurm: the same bytes as celldag run"
