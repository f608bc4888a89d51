"""Compares what the kind `concat` wrote with anndata.concat: cells, genes, every count.

    celldag step concat --in cells:a=A.h5ad --in cells:b=B.h5ad --with join=outer --out cells=OUT.h5ad
    check_concat.py outer OUT.h5ad a=A.h5ad b=B.h5ad
"""

import sys

import anndata

join, ours, files = sys.argv[1], anndata.read_h5ad(sys.argv[2]), [item.split("=", 1) for item in sys.argv[3:]]
theirs = anndata.concat({name: anndata.read_h5ad(path) for name, path in files}, join=join, label="dataset")
theirs.obs_names = [f"{name}:{cell}" for name, cell in zip(theirs.obs["dataset"], theirs.obs_names)]
assert list(ours.obs_names) == list(theirs.obs_names), "cells or their order"
assert set(ours.var_names) == set(theirs.var_names), "genes"
assert (ours.obs["dataset"].astype(str) == theirs.obs["dataset"].astype(str)).all(), "data sets"
difference = abs(ours.X - theirs[:, ours.var_names].X).max()
assert difference == 0, difference
print("ok", ours.shape, "counts", ours.X.sum())
