"""Opens a file that our H5adWriter wrote (test `anndata_reads_what_is_written`) and compares it with what was meant.

    check_h5ad.py FILE
"""

import json
import sys

import anndata
import numpy as np

a = anndata.read_h5ad(sys.argv[1])
assert a.shape == (3, 4), a.shape
assert list(a.obs_names) == ["c0", "c1", "ü2"], a.obs_names
assert list(a.var_names) == ["g0", "g1", "g2", "g3"]
x = np.array([[1, 0, 2, 0], [0, 0, 0, 0], [0, 3, 0, 4]], dtype="float32")
assert a.X.dtype == np.float32 and (a.X.toarray() == x).all()
assert a.layers["counts"].dtype == np.int32 and (a.layers["counts"].toarray() == x).all()
assert a.layers["double"].dtype == np.float64 and a.layers["double"].has_canonical_format
o = a.obs
assert list(o.columns) == ["text", "gaps", "kind", "float", "int", "int_gaps", "bool", "bool_gaps"], o.columns
assert list(o["text"]) == ["a", "b", "c"]
assert o["gaps"].isna().tolist() == [False, True, False] and o["gaps"].iloc[2] == "z"
assert o["kind"].cat.ordered and list(o["kind"].cat.categories) == ["y", "x"] and o["kind"].isna().tolist() == [False, False, True]
assert np.isnan(o["float"].iloc[1]) and o["float"].iloc[2] == -0.5
assert o["int"].dtype == np.int64 and o["int"].tolist() == [1, -2, 3]
assert str(o["int_gaps"].dtype) == "Int64" and o["int_gaps"].isna().tolist() == [True, False, False]
assert o["bool"].dtype == bool and o["bool"].tolist() == [True, False, True]
assert str(o["bool_gaps"].dtype) == "boolean" and o["bool_gaps"].isna().tolist() == [False, True, False]
assert a.obsm["X_model"].dtype == np.float32 and (a.obsm["X_model"] == np.arange(6, dtype="float32").reshape(3, 2)).all()
assert json.loads(a.uns["celldag"]) == {"model": "m", "layers": [1, 2]} and a.uns["note"] == "plain"
a.write_h5ad(sys.argv[1] + ".again")
backed = anndata.read_h5ad(sys.argv[1], backed="r")
assert (backed.X[0:2].toarray() == x[0:2]).all()
print("ok")
