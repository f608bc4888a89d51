#!/usr/bin/env python3
"""A node kind in Python: keeps the best ranked cells of each sample. Only the standard library.

celldag calls it as `top-cells.py describe` and as `top-cells.py run REQUEST.json`.
"""

import csv
import json
import math
import sys

DESCRIPTION = {
    "celldag": 1,  # version of the protocol
    "name": "top-cells",  # the same as the file
    "epoch": 1,  # raise it when the result changes for a reason that is not in this file
    "about": "keeps the best ranked cells of each sample",
    "inputs": [{"name": "table", "about": "CSV with cell_id, sample, score and rank"}],
    "outputs": [{"name": "table", "file": "top.csv", "about": "its best rows"}],
    "params": [
        {"name": "share", "type": "float", "min": 0, "max": 1, "default": 0.5,
         "unit": "share of the cells of a sample", "about": "how many to keep, at least one"},
    ],
}


def run(request):
    events = open(request["events"], "a", buffering=1)

    def say(**event):
        print(json.dumps(event), file=events)

    with open(request["inputs"]["table"][0]["path"], newline="") as file:
        rows = list(csv.DictReader(file))
    if not rows or "rank" not in rows[0]:
        say(error={"cause": "data", "message": "the table has no column `rank`",
                   "help": "rank the cells first, as scripts/ranks.py does"})
        sys.exit(1)
    say(total={"units": len(rows), "of": "cells"})
    kept = []
    for row in rows:
        cells = sum(other["sample"] == row["sample"] for other in rows)
        if int(row["rank"]) <= max(1, math.floor(cells * request["params"]["share"])):
            kept.append(row)
        say(advance=1)
    with open(request["outputs"]["table"], "w", newline="") as file:
        writer = csv.DictWriter(file, rows[0].keys(), lineterminator="\n")
        writer.writeheader()
        writer.writerows(kept)
    say(facts={"cells_in": len(rows), "cells_out": len(kept)})


if sys.argv[1] == "describe":
    print(json.dumps(DESCRIPTION))
else:
    with open(sys.argv[2]) as file:
        run(json.load(file))
