#!/bin/sh
# The quickstart, twice: the second run shows that nothing is computed again.
set -eu
celldag=$1
pipeline=pipelines/quickstart.yaml
echo
echo "== celldag run $pipeline"
"$celldag" run "$pipeline"
echo
echo "== the same again: every step is cached"
start=$(date +%s%N)
"$celldag" -q run "$pipeline" >/dev/null
end=$(date +%s%N)
echo "second run: $(( (end - start) / 1000000 )) ms"
echo
echo "Outputs:"
ls -l pipelines/results/quickstart
echo "Open pipelines/results/quickstart/report.html in a browser."
