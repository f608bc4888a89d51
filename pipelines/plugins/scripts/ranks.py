"""Ranks cells by score within their sample: 1 is the highest. Equal scores keep the order of the file."""

import sys

import tables

source, destination = sys.argv[1:]
rows = tables.read(source)
for sample in {row["sample"] for row in rows}:
    cells = [row for row in rows if row["sample"] == sample]
    for rank, row in enumerate(sorted(cells, key=lambda row: -float(row["score"])), 1):
        row["rank"] = rank
tables.write(destination, rows, ["cell_id", "sample", "score", "rank"])
print(f"{len(rows)} cells ranked")
