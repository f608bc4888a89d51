"""A large h5ad of plausible UMI counts, written chunk by chunk.

    make_cells.py OUT.h5ad --cells 100000 [--genes 20000] [--like CELLS.h5ad]

With --like, genes (names and ensembl_id) and per-gene frequencies come from a real file; cells are drawn by thinning and
mixing its rows, so that lengths and sparsity look real.
"""

import argparse
import pathlib

import anndata
import h5py
import numpy as np
import scipy.sparse as sp


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("out", type=pathlib.Path)
    parser.add_argument("--cells", type=int, default=100_000)
    parser.add_argument("--like", type=pathlib.Path, required=True)
    parser.add_argument("--chunk", type=int, default=2000)
    args = parser.parse_args()

    rng = np.random.default_rng(1)
    like = anndata.read_h5ad(args.like)
    counts = sp.csr_matrix(like.X)
    shell = anndata.AnnData(
        X=sp.csr_matrix((0, like.n_vars), dtype=np.float32),
        var=like.var.copy(),
    )
    shell.write_h5ad(args.out)
    with h5py.File(args.out, "a") as file:
        del file["X"], file["obs"]
        group = file.create_group("X")
        group.attrs.update({"encoding-type": "csr_matrix", "encoding-version": "0.1.0", "shape": np.array([args.cells, like.n_vars])})
        data = group.create_dataset("data", (0,), np.float32, maxshape=(None,), chunks=(1 << 18,), compression="lzf")
        indices = group.create_dataset("indices", (0,), np.int32, maxshape=(None,), chunks=(1 << 18,), compression="lzf")
        indptr = np.zeros(args.cells + 1, np.int64)
        for first in range(0, args.cells, args.chunk):
            last = min(first + args.chunk, args.cells)
            rows = counts[rng.integers(0, counts.shape[0], last - first)].astype(np.int64)
            rows.data = rng.binomial(rows.data, rng.uniform(0.7, 1.0))
            rows.eliminate_zeros()
            rows.sort_indices()
            indptr[first + 1 : last + 1] = indptr[first] + rows.indptr[1:]
            for dataset, values in ((data, rows.data), (indices, rows.indices)):
                dataset.resize((indptr[last],))
                dataset[indptr[first] :] = values
        group.create_dataset("indptr", data=indptr)
        obs = file.create_group("obs")
        obs.attrs.update({"encoding-type": "dataframe", "encoding-version": "0.2.0", "_index": "_index", "column-order": np.array([], dtype=h5py.string_dtype())})
        names = obs.create_dataset("_index", data=np.array([f"cell{i}" for i in range(args.cells)], dtype=object), dtype=h5py.string_dtype())
        names.attrs.update({"encoding-type": "string-array", "encoding-version": "0.2.0"})
    print(f"{args.out}: {args.cells} cells, {indptr[-1]} counts")


if __name__ == "__main__":
    main()
