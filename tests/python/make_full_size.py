"""A checkpoint of published size with random weights, in the format that is published.

    make_full_size.py MODEL OUT --data DATA

DATA is the folder `data` of the reference data: vocabularies, genes and SMILES are real. Needs torch, transformers,
safetensors, tokenizers and anndata.
"""

import argparse
import pathlib

from full_size.common import Vocabularies
from full_size.registry import NAMES, find


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("model", choices=NAMES)
    parser.add_argument("out", type=pathlib.Path)
    parser.add_argument("--data", type=pathlib.Path, required=True)
    args = parser.parse_args()
    args.out.mkdir(parents=True)  # never over another one
    find(args.model).make(args.out, Vocabularies(args.data))
    size = sum(file.stat().st_size for file in args.out.rglob("*") if file.is_file())
    print(f"{args.out}: {size / 1e6:,.0f} MB")


if __name__ == "__main__":
    main()
