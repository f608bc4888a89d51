"""A full-size Geneformer checkpoint with random weights, in the layout that is published.

    make_geneformer.py DICTIONARIES OUT [--layers 6 --hidden 256 --heads 4 --ffn 512 --context 2048]

DICTIONARIES holds token_dictionary.pkl and gene_median_dictionary.pkl; both are copied beside the weights.
"""

import argparse
import json
import pathlib
import pickle
import shutil

import torch
from safetensors.torch import save_file
from transformers import BertConfig, BertForMaskedLM


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("dictionaries", type=pathlib.Path)
    parser.add_argument("out", type=pathlib.Path)
    parser.add_argument("--layers", type=int, default=6)
    parser.add_argument("--hidden", type=int, default=256)
    parser.add_argument("--heads", type=int, default=4)
    parser.add_argument("--ffn", type=int, default=512)
    parser.add_argument("--context", type=int, default=2048)
    args = parser.parse_args()

    with open(args.dictionaries / "token_dictionary.pkl", "rb") as file:
        tokens = pickle.load(file)  # made by us or published by the authors: trusted here
    config = BertConfig(
        vocab_size=len(tokens),
        hidden_size=args.hidden,
        num_hidden_layers=args.layers,
        num_attention_heads=args.heads,
        intermediate_size=args.ffn,
        hidden_act="relu",
        max_position_embeddings=args.context,
        layer_norm_eps=1e-12,
        pad_token_id=0,
    )
    torch.manual_seed(0)
    model = BertForMaskedLM(config)
    args.out.mkdir(parents=True, exist_ok=True)
    state = {name: tensor.contiguous() for name, tensor in model.state_dict().items() if not name.startswith("cls.predictions.decoder")}
    save_file(state, args.out / "model.safetensors", metadata={"format": "pt"})
    (args.out / "config.json").write_text(json.dumps(config.to_dict(), indent=1))
    for name in ("token_dictionary.pkl", "gene_median_dictionary.pkl", "gene_name_id_dict.pkl"):
        if (args.dictionaries / name).exists():
            shutil.copy(args.dictionaries / name, args.out / name)
    print(f"{args.out}: {sum(p.numel() for p in model.parameters()) / 1e6:.1f} M parameters")


if __name__ == "__main__":
    main()
