"""Tiny AnnData files in encodings that only plugins or odd versions write: the fixtures of nodes/data/tests/files.

    make_h5ad_filters.py FOLDER      (needs anndata >= 0.12, h5py, hdf5plugin)

filters.h5ad and encodings.h5ad hold one matrix in many forms, each a layer: 12 cells x 20 genes, cell i and gene j have
(i * 7 + j * 3) % 5 if (i + j) % 3 == 0, else 0. unreadable.h5ad uses filters that we do not have,
columns.h5ad holds every kind of column, parts.h5ad obsm, uns and a scaled layer. The newer
file format keeps the files small; "latest" of HDF5 2.0 would be unreadable with HDF5 1.14.
"""

import pathlib
import sys

import anndata
import h5py
import hdf5plugin
import numpy as np
import pandas as pd
from scipy import sparse

N, G = 12, 20
i, j = np.indices((N, G))
COUNTS = np.where((i + j) % 3 == 0, (i * 7 + j * 3) % 5, 0).astype("float32")


def cells(x) -> anndata.AnnData:
    obs = pd.DataFrame(index=[f"cell{k}" for k in range(N)])
    var = pd.DataFrame(index=[f"gene{k}" for k in range(G)])
    return anndata.AnnData(x, obs=obs, var=var)


def write(path: pathlib.Path, content: anndata.AnnData) -> h5py.File:
    file = h5py.File(path, "w", libver=("v110", "v114"), meta_block_size=256)
    anndata.io.write_elem(file, "/", content)
    for name in ["obsm", "obsp", "varm", "varp"]:
        if name in file and not len(file[name]):
            del file[name]
    return file


def csr_layer(file: h5py.File, name: str, matrix, **options) -> None:
    group = file.create_group(f"layers/{name}")
    group.attrs.update({"encoding-type": "csr_matrix", "encoding-version": "0.1.0", "shape": np.array([N, G])})
    for part in ["data", "indices", "indptr"]:
        values = getattr(matrix, part)
        chunks = (len(values),) if options else None
        group.create_dataset(part, data=values, chunks=chunks, track_times=False, **options)


def unsorted() -> sparse.csr_matrix:
    """The same matrix with reversed columns, one entry split in two and one explicit zero per cell; 64-bit indices."""
    data, indices, indptr = [], [], [0]
    for row in COUNTS:
        columns = list(np.nonzero(row)[0][::-1])
        values = [row[c] for c in columns]
        values[0] -= 1
        data += [*values, 1, 0]
        indices += [*columns, columns[0], int(np.nonzero(row == 0)[0][0])]
        indptr.append(len(data))
    matrix = sparse.csr_matrix((N, G), dtype="float32")
    matrix.data, matrix.indices, matrix.indptr = np.float32(data), np.int64(indices), np.int64(indptr)
    return matrix


def main() -> None:
    folder = pathlib.Path(sys.argv[1])
    folder.mkdir(parents=True, exist_ok=True)
    csr = sparse.csr_matrix(COUNTS)
    with write(folder / "filters.h5ad", cells(csr)) as file:
        filters = {
            "zstd": hdf5plugin.Zstd(clevel=3),
            "blosc_lz4": hdf5plugin.Blosc(cname="lz4", shuffle=hdf5plugin.Blosc.SHUFFLE),
            "blosc_zstd": hdf5plugin.Blosc(cname="zstd", shuffle=hdf5plugin.Blosc.BITSHUFFLE),
            "lzf": {"compression": "lzf", "shuffle": True},
            "gzip_fletcher": {"compression": "gzip", "shuffle": True, "fletcher32": True},
        }
        for name, options in filters.items():
            csr_layer(file, name, csr, **options)
        # Variable-length texts have filters without settings.
        names, attributes = file["obs/_index"][()], dict(file["obs/_index"].attrs)
        del file["obs/_index"]
        file.create_dataset("obs/_index", data=names, compression="lzf", track_times=False).attrs.update(attributes)
    with write(folder / "unreadable.h5ad", cells(csr)) as file:
        csr_layer(file, "bitshuffle", csr, **hdf5plugin.Bitshuffle())
        csr_layer(file, "blosc2", csr, **hdf5plugin.Blosc2())
    with write(folder / "encodings.h5ad", cells(csr)) as file:
        csr_layer(file, "unsorted", unsorted())
        for dtype in ["float16", "uint8", ">f8", ">i2"]:
            x = file.create_dataset(f"layers/dense_{dtype.replace('>', 'big_')}", data=COUNTS.astype(dtype), track_times=False)
            x.attrs.update({"encoding-type": "array", "encoding-version": "0.2.0"})
        file.create_dataset("layers/truth", data=COUNTS > 0, track_times=False)

    # Every kind of column.
    table = cells(csr)
    missing = np.arange(N) % 4 == 1
    table.obs["text"] = [f"t{k}" for k in range(N)]
    table.obs["category"] = pd.Categorical(np.where(missing, None, np.where(np.arange(N) % 2, "b", "ä")))
    table.obs["number_category"] = pd.Categorical(np.arange(N) % 3)
    table.obs["ordered"] = pd.Categorical(["low"] * 6 + ["high"] * 6, categories=["low", "high"], ordered=True)
    table.obs["float"] = np.where(missing, np.nan, np.arange(N) / 2)
    table.obs["half"] = (np.arange(N) / 2).astype("float32")
    table.obs["int"] = np.arange(N)
    table.obs["nullable_int"] = pd.array(np.where(missing, None, np.arange(N)), dtype="Int64")
    table.obs["bool"] = ~missing
    table.obs["nullable_bool"] = pd.array(np.where(missing, None, True), dtype="boolean")
    write(folder / "columns.h5ad", table).close()

    table = cells(csr)
    table.obsm["X_pca"] = np.arange(N * 3, dtype="float64").reshape(N, 3)
    table.uns["info"] = {"name": "x", "list": np.array([1, 2]), "flag": True, "value": 0.5, "words": np.array(["a", "b"], dtype=object)}
    table.layers["scaled"] = COUNTS - 1
    write(folder / "parts.h5ad", table).close()


if __name__ == "__main__":
    main()
