"""tGPT (transcriptome-gpt-1024-8-16-64): transformers' GPT-2."""

import pathlib
import shutil

import torch
from transformers import GPT2Config, GPT2LMHeadModel, GPT2Model

from .common import Cell, Embed, Reference, Vocabularies, padded, seeded, write_json

LENGTH = 64


def make(out: pathlib.Path, data: Vocabularies) -> None:
    """Weights as a torch pickle with the causal masks that transformers of 2022 saved; the published tokenizer."""
    config = GPT2Config(vocab_size=21_150, n_embd=1024, n_layer=8, n_head=16, bos_token_id=1, eos_token_id=2, pad_token_id=0)
    write_json(out / "config.json", config.to_dict() | {"architectures": ["GPT2LMHeadModel"]})
    state = dict(seeded(lambda: GPT2LMHeadModel(config)).state_dict())
    places = config.n_positions
    for layer in range(config.n_layer):
        state[f"transformer.h.{layer}.attn.bias"] = torch.ones(places, places, dtype=torch.uint8).tril()[None, None]
        state[f"transformer.h.{layer}.attn.masked_bias"] = torch.tensor(-1e4)
    torch.save(state, out / "pytorch_model.bin")
    for name in ("tokenizer.json", "special_tokens_map.json"):
        shutil.copyfile(data.vocabulary("tgpt", name), out / name)
    write_json(out / "tokenizer_config.json", {"model_max_length": places, "tokenizer_class": "PreTrainedTokenizerFast"})


def load(checkpoint: pathlib.Path) -> Embed:
    """Padded to 64 tokens, token types given, mean of the gene tokens, as in the authors' example."""
    config = GPT2Config.from_json_file(checkpoint / "config.json")
    config._attn_implementation = "sdpa"
    config.use_cache = False
    state = torch.load(checkpoint / "pytorch_model.bin", weights_only=True)
    state = {name.removeprefix("transformer."): tensor for name, tensor in state.items() if name.startswith("transformer.")}
    model = GPT2Model(config).eval()
    model.load_state_dict({name: t for name, t in state.items() if not name.endswith((".attn.bias", ".masked_bias"))})

    def embed(cells: list[Cell]) -> torch.Tensor:
        # One row of the full length makes the batch as long as the authors' tokenizer does.
        ids, mask = padded([*(cell.ids for cell in cells), torch.zeros(LENGTH, dtype=torch.long)], 0)
        ids, mask = ids[:-1], mask[:-1]
        states = model(input_ids=ids, attention_mask=mask.long(), token_type_ids=torch.zeros_like(ids)).last_hidden_state
        means = [state[1 : len(cell) - 1].mean(0) for state, cell in zip(states, cells, strict=True)]
        return torch.stack(means)

    return embed


MODELS = {"tgpt": Reference(make, load, batch=64)}
