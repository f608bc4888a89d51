"""Opens what a pipeline wrote with the field's own tools and recomputes its metrics with scikit-learn.

    check_outputs.py FOLDER    (with embedding.h5ad, predictions.csv, metrics.json)
"""

import csv
import json
import pathlib
import sys

import anndata
import numpy as np
import scanpy
from sklearn import metrics


def main() -> None:
    folder = pathlib.Path(sys.argv[1])
    cells = anndata.read_h5ad(folder / "embedding.h5ad")
    (key,) = [k for k in cells.obsm if k.startswith("X_")]
    print(f"embedding: {cells.n_obs} cells, obsm[{key!r}] {cells.obsm[key].shape} {cells.obsm[key].dtype}")
    assert np.isfinite(cells.obsm[key]).all(), "embedding holds NaN"
    scanpy.pp.neighbors(cells, use_rep=key, n_neighbors=10)

    with open(folder / "predictions.csv", newline="") as file:
        rows = list(csv.DictReader(file))
    positive = rows[0]["positive"]
    truth = np.array([r["label"] == positive for r in rows])
    score = np.array([float(r["score"]) for r in rows])
    predicted = np.array([r["prediction"] == positive for r in rows])
    report = json.loads((folder / "metrics.json").read_text())
    ours = report["metrics"]
    print("scikit-learn over all test cells: "
          f"F1 {metrics.f1_score(truth, predicted):.6f} AUROC {metrics.roc_auc_score(truth, score):.6f} "
          f"MCC {metrics.matthews_corrcoef(truth, predicted):.6f}")
    print("celldag headline:", report["headline"])
    print("celldag metrics:", json.dumps(ours)[:600])


if __name__ == "__main__":
    main()
