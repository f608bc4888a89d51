"""The table of gene names that celldag-data carries: `nodes/data/hgnc/names.tsv.gz`.

    make_hgnc.py hgnc_complete_set.tsv[.gz] OUT.tsv.gz

One line an approved gene, sorted by symbol: symbol, Ensembl id, previous symbols, alias symbols (lists joined by `|`; a field may
be empty). Needs only Python's own library; the same input gives the same bytes.
"""

import csv
import gzip
import pathlib
import sys


def main() -> None:
    source, out = map(pathlib.Path, sys.argv[1:])
    opened = gzip.open if source.suffix == ".gz" else open
    with opened(source, "rt", encoding="utf-8", newline="") as file:
        genes = list(csv.DictReader(file, delimiter="\t"))
    lines = []
    for gene in genes:
        if gene["status"] != "Approved":
            continue
        symbol = gene["symbol"].strip()
        previous = names(gene["prev_symbol"], {symbol})
        aliases = names(gene["alias_symbol"], {symbol, *previous})
        lines.append("\t".join([symbol, gene["ensembl_gene_id"].strip(), "|".join(previous), "|".join(aliases)]))
    table = "\n".join(sorted(lines)) + "\n"
    out.write_bytes(gzip.compress(table.encode(), 9, mtime=0))
    print(f"{len(lines)} genes, {out.stat().st_size} bytes")


def names(field: str, known: set[str]) -> list[str]:
    """The names of a field in their order, without those already known, which say nothing more about the gene."""
    kept: list[str] = []
    for name in field.split("|"):
        name = name.strip()
        if name and name not in known and name not in kept and "\t" not in name:
            kept.append(name)
    return kept


if __name__ == "__main__":
    main()
