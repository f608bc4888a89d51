"""Tables as lists of dictionaries: all that the example needs, without a package to install."""

import csv


def read(path):
    with open(path, newline="") as file:
        return list(csv.DictReader(file))


def write(path, rows, columns):
    with open(path, "w", newline="") as file:
        writer = csv.DictWriter(file, columns, lineterminator="\n")
        writer.writeheader()
        writer.writerows(rows)
