"""Geneformer V1 (10M) and V2 (104M), and a text encoder of the shape of all-MiniLM-L6-v2: transformers' BERT."""

import pathlib
import pickle
import shutil

import numpy as np
import torch
from safetensors.torch import load_file, save_file
from transformers import BertConfig, BertForMaskedLM, BertModel

from .common import Cell, Embed, Reference, Vocabularies, masked_mean, padded, seeded, write_json

V1 = {"hidden_size": 256, "num_hidden_layers": 6, "num_attention_heads": 4, "intermediate_size": 512, "max_position_embeddings": 2048}
V2 = {"hidden_size": 768, "num_hidden_layers": 12, "num_attention_heads": 12, "intermediate_size": 3072, "max_position_embeddings": 4096}
MINILM = {"hidden_size": 384, "num_hidden_layers": 6, "num_attention_heads": 12, "intermediate_size": 1536, "max_position_embeddings": 512}


def geneformer_config(sizes: dict[str, int], vocabulary: int) -> BertConfig:
    return BertConfig(vocab_size=vocabulary, hidden_act="relu", layer_norm_eps=1e-12, pad_token_id=0, **sizes)


def write_config(folder: pathlib.Path, config: BertConfig, architecture: str) -> None:
    write_json(folder / "config.json", config.to_dict() | {"architectures": [architecture]})


def make_v1(out: pathlib.Path, data: Vocabularies) -> None:
    """Weights as a torch pickle with the tied decoder and the buffer of positions, dictionaries in the package's folder."""
    with open(data.vocabulary("geneformer", "token_dictionary.pkl"), "rb") as file:
        tokens = pickle.load(file)  # published by the authors: trusted here
    config = geneformer_config(V1, len(tokens))
    folder = out / "Geneformer-V1-10M"
    write_config(folder, config, "BertForMaskedLM")
    state = dict(seeded(lambda: BertForMaskedLM(config)).state_dict())
    state["bert.embeddings.position_ids"] = torch.arange(config.max_position_embeddings)[None]
    torch.save(state, folder / "pytorch_model.bin")
    package = out / "geneformer" / "gene_dictionaries_30m"
    package.mkdir(parents=True)
    for name in ("token_dictionary", "gene_median_dictionary", "gene_name_id_dict"):
        shutil.copyfile(data.vocabulary("geneformer", f"{name}.pkl"), package / f"{name}_gc30M.pkl")


def make_v2(out: pathlib.Path, data: Vocabularies) -> None:
    """Weights as safetensors without tied tensors. The published dictionaries are not to be had: these have their number of
    genes, taken from V1's, those of a 10x reference first so that cells keep their length."""
    published = {}
    for name in ("token_dictionary", "gene_median_dictionary", "gene_name_id_dict"):
        with open(data.vocabulary("geneformer", f"{name}.pkl"), "rb") as file:
            published[name] = pickle.load(file)  # as above
    medians = published["gene_median_dictionary"]
    genes = [gene for gene, _ in data.table() if gene in medians]
    genes = list(dict.fromkeys(genes + list(medians)))[:20_271]
    special = {"<pad>": 0, "<mask>": 1, "<cls>": 2, "<eos>": 3}
    dictionaries = {
        "token_dictionary": special | {gene: 4 + row for row, gene in enumerate(genes)},
        "gene_median_dictionary": {gene: np.float64(median) for gene, median in medians.items()},
        "ensembl_mapping_dict": {gene: gene for gene in genes},
        "gene_name_id_dict": published["gene_name_id_dict"],
    }
    package = out / "geneformer"
    package.mkdir(parents=True)
    for name, dictionary in dictionaries.items():
        with open(package / f"{name}_gc104M.pkl", "wb") as file:
            pickle.dump(dictionary, file, protocol=4)
    config = geneformer_config(V2, 4 + len(genes))
    folder = out / "Geneformer-V2-104M"
    write_config(folder, config, "BertForMaskedLM")
    state = seeded(lambda: BertForMaskedLM(config)).state_dict()
    untied = {name: tensor.contiguous() for name, tensor in state.items() if not name.startswith("cls.predictions.decoder")}
    save_file(untied, folder / "model.safetensors", metadata={"format": "pt"})


def make_text(out: pathlib.Path, data: Vocabularies) -> None:
    """The folder of a sentence-transformers model; the words are learned from gene symbols."""
    from tokenizers import BertWordPieceTokenizer

    tokenizer = BertWordPieceTokenizer(lowercase=True)
    tokenizer.train_from_iterator([symbol for _, symbol in data.table()], vocab_size=30_522, min_frequency=1, show_progress=False)
    out.mkdir(parents=True, exist_ok=True)
    tokenizer.save(str(out / "tokenizer.json"))
    tokenizer.save_model(str(out))
    config = BertConfig(vocab_size=30_522, hidden_act="gelu", layer_norm_eps=1e-12, pad_token_id=0, **MINILM)
    write_config(out, config, "BertModel")
    state = seeded(lambda: BertModel(config)).state_dict()
    save_file({name: tensor.contiguous() for name, tensor in state.items()}, out / "model.safetensors", metadata={"format": "pt"})
    kinds = ("Transformer", "Pooling", "Normalize")
    paths = ("", "1_Pooling", "2_Normalize")
    write_json(out / "modules.json", [
        {"idx": i, "name": str(i), "path": path, "type": f"sentence_transformers.models.{kind}"}
        for i, (path, kind) in enumerate(zip(paths, kinds, strict=True))
    ])
    write_json(out / "1_Pooling" / "config.json", {
        "word_embedding_dimension": config.hidden_size, "pooling_mode_cls_token": False, "pooling_mode_mean_tokens": True,
        "pooling_mode_max_tokens": False, "pooling_mode_mean_sqrt_len_tokens": False,
    })
    write_json(out / "sentence_bert_config.json", {"max_seq_length": 256, "do_lower_case": False})


def encoder(folder: pathlib.Path) -> BertModel:
    """The encoder without heads, with torch's fused attention."""
    config = BertConfig.from_json_file(folder / "config.json")
    config._attn_implementation = "sdpa"
    bare = folder / "pytorch_model.bin"
    state = torch.load(bare, weights_only=True) if bare.exists() else load_file(folder / "model.safetensors")
    if any(name.startswith("bert.") for name in state):
        state = {name.removeprefix("bert."): tensor for name, tensor in state.items() if name.startswith("bert.")}
    model = BertModel(config, add_pooling_layer=False).eval()
    unused = ("pooler.", "embeddings.position_ids")
    model.load_state_dict({name: tensor for name, tensor in state.items() if not name.startswith(unused)}, strict=True)
    return model


def load_v1(checkpoint: pathlib.Path) -> Embed:
    """The second-to-last layer, mean of the tokens, as the authors' extractor."""
    model = encoder(checkpoint / "Geneformer-V1-10M")

    def embed(cells: list[Cell]) -> torch.Tensor:
        ids, mask = padded([cell.ids for cell in cells], 0)
        states = model(input_ids=ids, attention_mask=mask.long(), output_hidden_states=True).hidden_states[-2]
        return masked_mean(states, mask)

    return embed


def load_v2(checkpoint: pathlib.Path) -> Embed:
    """The second-to-last layer, `<cls>`, as the authors' extractor."""
    model = encoder(checkpoint / "Geneformer-V2-104M")

    def embed(cells: list[Cell]) -> torch.Tensor:
        ids, mask = padded([cell.ids for cell in cells], 0)
        return model(input_ids=ids, attention_mask=mask.long(), output_hidden_states=True).hidden_states[-2][:, 0]

    return embed


def load_text(checkpoint: pathlib.Path) -> Embed:
    """The mean of the tokens, divided by its length, as sentence-transformers."""
    model = encoder(checkpoint)

    def embed(cells: list[Cell]) -> torch.Tensor:
        ids, mask = padded([cell.ids for cell in cells], 0)
        states = model(input_ids=ids, attention_mask=mask.long()).last_hidden_state
        return torch.nn.functional.normalize(masked_mean(states, mask), dim=1)

    return embed


MODELS = {
    "geneformer-v1": Reference(make_v1, load_v1, batch=100, longest_first=True),
    "geneformer-v2": Reference(make_v2, load_v2, batch=100, longest_first=True),
    "bert-text": Reference(make_text, load_text, batch=32, longest_first=True),
}
