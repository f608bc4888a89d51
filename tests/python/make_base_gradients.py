"""Gradients of every weight of a small BERT and a small GPT-2, from PyTorch in double precision.

    python make_base_gradients.py OUT

OUT   folder of the fixtures: nodes/models/tests/files

Writes bert_gradients.safetensors and gpt2_gradients.safetensors: the weights under their published names (f32), `cells.tokens`
and `cells.lengths` (sequences behind each other), `factors` [tokens, width], and `grad.NAME` for every weight: the gradient of the
sum of factors times the last hidden states. The GPT-2 is given token types, which it looks up among its words.
"""

import sys
from pathlib import Path

import torch
from safetensors.torch import save_file
from transformers import BertConfig, BertModel, GPT2Config, GPT2Model

LENGTHS = [5, 1, 7]
WORDS, WIDTH, PLACES = 23, 16, 8


def bert():
    config = BertConfig(
        vocab_size=WORDS, hidden_size=WIDTH, num_hidden_layers=2, num_attention_heads=4, intermediate_size=24,
        max_position_embeddings=PLACES, hidden_act="gelu", pad_token_id=0, attn_implementation="eager",
    )  # fmt: skip
    return "bert.", BertModel(config, add_pooling_layer=False)


def gpt2():
    config = GPT2Config(
        vocab_size=WORDS, n_embd=WIDTH, n_layer=2, n_head=4, n_positions=PLACES, bos_token_id=0, eos_token_id=0,
        attn_implementation="eager",
    )
    return "", GPT2Model(config)


def fixture(prefix, model, types):
    for parameter in model.parameters():
        # Also biases, and shifts of normalisations.
        torch.nn.init.normal_(parameter, std=0.3)
    model = model.float().double().eval()
    tokens = torch.randint(1, WORDS, (sum(LENGTHS),))
    factors = torch.randn(sum(LENGTHS), WIDTH).float().double()
    loss, at = torch.zeros((), dtype=torch.float64), 0
    for length in LENGTHS:
        ids = tokens[at : at + length][None]
        given = {"token_type_ids": torch.zeros_like(ids)} if types else {}
        loss = loss + (model(ids, **given).last_hidden_state[0] * factors[at : at + length]).sum()
        at += length
    loss.backward()
    arrays = {"cells.tokens": tokens.int(), "cells.lengths": torch.tensor(LENGTHS).int(), "factors": factors.float()}
    for name, parameter in model.named_parameters():
        arrays[f"{prefix}{name}"] = parameter.detach().float().contiguous()
        arrays[f"grad.{prefix}{name}"] = parameter.grad.float().contiguous()
    return arrays


def main():
    out = Path(sys.argv[1])
    for name, make, types in [("bert", bert, False), ("gpt2", gpt2, True)]:
        torch.manual_seed(5)
        arrays = fixture(*make(), types)
        save_file(arrays, out / f"{name}_gradients.safetensors")
        print(name, sum(array.numel() for array in arrays.values()) * 4, "bytes")


main()
