#!/bin/sh
# Installs Snakemake (MIT) with its Slurm executor (MIT) into target/snakemake, for the tests of exported workflows. Does nothing
# when it is there; a package index out of reach is no failure, the tests are skipped then.
set -eu
cd "$(dirname "$0")/.."

folder=target/snakemake
[ ! -x "$folder/bin/snakemake" ] || exit 0
mkdir -p target
rm -rf "$folder"
fail() {
    rm -rf "$folder"
    echo "Snakemake cannot be installed; tests of exported workflows will be skipped" >&2
    exit 0
}
python3 -m venv "$folder" || fail
"$folder/bin/pip" install --quiet snakemake==9.27.1 snakemake-executor-plugin-slurm==2.8.0 || fail
