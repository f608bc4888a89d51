"""ChemBERTa zinc-base-v1 and 77M-MTR: transformers' RoBERTa over SMILES."""

import pathlib
from collections.abc import Callable

import torch
from tokenizers import ByteLevelBPETokenizer
from transformers import RobertaConfig, RobertaForMaskedLM, RobertaModel

from .common import Cell, Embed, Reference, Vocabularies, padded, seeded, write_json

ZINC = {
    "hidden_size": 768, "intermediate_size": 3072, "num_hidden_layers": 6, "num_attention_heads": 12, "vocab_size": 767,
    "max_position_embeddings": 514, "pad_token_id": 1, "bos_token_id": 0, "eos_token_id": 2,
}
MTR = {
    "hidden_size": 384, "intermediate_size": 464, "num_hidden_layers": 3, "num_attention_heads": 12, "vocab_size": 600,
    "max_position_embeddings": 515, "pad_token_id": 1, "bos_token_id": 12, "eos_token_id": 13,
}
ROBERTA = {"bos": "<s>", "pad": "<pad>", "eos": "</s>", "unk": "<unk>", "mask": "<mask>"}
BERT = {"bos": "[CLS]", "pad": "[PAD]", "eos": "[SEP]", "unk": "[UNK]", "mask": "[MASK]"}


def save(out: pathlib.Path, sizes: dict[str, int], special: dict[str, str]) -> dict[str, torch.Tensor]:
    """Writes the small files; gives the weights of the masked language model."""
    config = RobertaConfig(type_vocab_size=1, layer_norm_eps=1e-12, **sizes)
    write_json(out / "config.json", config.to_dict() | {"architectures": ["RobertaForMaskedLM"]})
    names = {f"{part}_token": token for part, token in special.items()} | {"cls_token": special["bos"], "sep_token": special["eos"]}
    write_json(out / "special_tokens_map.json", names)
    write_json(out / "tokenizer_config.json", names | {"model_max_length": 512, "tokenizer_class": "RobertaTokenizer"})
    state = dict(seeded(lambda: RobertaForMaskedLM(config)).state_dict())
    state["roberta.embeddings.position_ids"] = torch.arange(config.max_position_embeddings)[None]
    return state


def make_zinc(out: pathlib.Path, data: Vocabularies) -> None:
    """Byte pairs, learned from the SMILES of the reference data."""
    out.mkdir(parents=True, exist_ok=True)
    tokenizer = ByteLevelBPETokenizer()
    special = list(ROBERTA.values())
    tokenizer.train_from_iterator(data.smiles(), vocab_size=767, min_frequency=1, special_tokens=special, show_progress=False)
    tokenizer.save_model(str(out))
    torch.save(save(out, ZINC, ROBERTA), out / "pytorch_model.bin")


def make_mtr(out: pathlib.Path, data: Vocabularies) -> None:
    """A vocabulary of atoms without merges, and a head of 199 properties instead of that of masked tokens."""
    special = ["[PAD]", *(f"[unused{n}]" for n in range(1, 11)), "[UNK]", "[CLS]", "[SEP]", "[MASK]"]
    characters = sorted(set("".join(data.smiles())) - set("[]lr@H"))
    atoms = [*special, *characters, "Cl", "Br", "[C@H]", "[C@@H]", "[nH]", "[O-]", "[N+]"]
    atoms += [f"[{mass}C]" for mass in range(591 - len(atoms))]
    write_json(out / "vocab.json", {atom: row for row, atom in enumerate(atoms)})
    (out / "merges.txt").write_text("#version: 0.2\n")
    state = {name: tensor for name, tensor in save(out, MTR, BERT).items() if not name.startswith("lm_head.")}
    width, properties = MTR["hidden_size"], 199
    state |= {
        "norm_mean": torch.zeros(properties), "norm_std": torch.ones(properties),
        "regression.dense.weight": torch.randn(width, width) * 0.02, "regression.dense.bias": torch.zeros(width),
        "regression.out_proj.weight": torch.randn(properties, width) * 0.02, "regression.out_proj.bias": torch.zeros(properties),
    }
    torch.save(state, out / "pytorch_model.bin")


def load(checkpoint: pathlib.Path) -> Embed:
    """The first token, of a padded batch."""
    config = RobertaConfig.from_json_file(checkpoint / "config.json")
    config._attn_implementation = "sdpa"
    state = torch.load(checkpoint / "pytorch_model.bin", weights_only=True)
    state = {name.removeprefix("roberta."): tensor for name, tensor in state.items() if name.startswith("roberta.")}
    state.pop("embeddings.position_ids")
    model = RobertaModel(config, add_pooling_layer=False).eval()
    model.load_state_dict(state)

    def embed(cells: list[Cell]) -> torch.Tensor:
        ids, mask = padded([cell.ids for cell in cells], config.pad_token_id)
        return model(input_ids=ids, attention_mask=mask.long()).last_hidden_state[:, 0]

    return embed


def smiles(checkpoint: pathlib.Path) -> Callable[[str], list[int]]:
    """The fast tokenizer: without merges it drops characters that are no entry of their own."""
    tokenizer = ByteLevelBPETokenizer(str(checkpoint / "vocab.json"), str(checkpoint / "merges.txt"))
    special = ROBERTA if tokenizer.token_to_id("<s>") is not None else BERT
    first, last = tokenizer.token_to_id(special["bos"]), tokenizer.token_to_id(special["eos"])
    return lambda text: [first, *tokenizer.encode(text).ids[:510], last]


MODELS = {
    "chemberta-zinc": Reference(make_zinc, load, batch=32, smiles=smiles),
    "chemberta-77m": Reference(make_mtr, load, batch=32, smiles=smiles),
}
