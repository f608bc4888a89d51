"""An adapter that we wrote, loaded by Hugging Face peft: the same vectors and the same scores. And an adapter of peft for us.

    python peft_round_trip.py CHECKPOINT TOKENS ADAPTER EMBEDDING [HEAD PREDICTIONS]
    python peft_round_trip.py make CHECKPOINT ADAPTER

CHECKPOINT   Geneformer V1 folder (BertForMaskedLM)
TOKENS       tokens.safetensors of `tokenize`
ADAPTER      a PEFT folder: adapter/repeat0.fold0 of `lora-train`, or one of peft, with or without full weights (modules_to_save)
EMBEDDING    embedding.h5ad of `embed` with ADAPTER and `layer: -1, pooling: mean`
HEAD         folder of the head; PREDICTIONS: predictions.csv of the same `lora-train` (`layer: -1, pooling: mean`)

Fails if a vector or a logit differs by more than 1e-4. `make` writes an adapter of peft with random values: low-rank terms and full
weights of several modules.
"""

import csv
import json
import sys

import anndata
import numpy as np
import torch
from peft import LoraConfig, PeftModel, get_peft_model
from safetensors.numpy import load_file
from transformers import BertForMaskedLM

TOLERANCE = 1e-4


def vectors(checkpoint, tokens, adapter):
    base = BertForMaskedLM.from_pretrained(checkpoint)
    expected = set(load_file(f"{adapter}/adapter_model.safetensors"))
    model = PeftModel.from_pretrained(base, adapter).eval()
    ours = [name for name in model.state_dict() if "lora_" in name or "modules_to_save" in name]
    present = {name.replace(".modules_to_save.default", "").replace(".default", "") for name in ours}
    assert present == expected, f"peft has other tensors than the file: {sorted(present ^ expected)[:4]}"
    arrays = load_file(tokens)
    offsets, ids = arrays["offsets"].astype(np.int64), arrays["input_ids"].astype(np.int64)
    rows = []
    with torch.no_grad():
        for start, end in zip(offsets[:-1], offsets[1:]):
            states = model(torch.from_numpy(ids[start:end])[None], output_hidden_states=True).hidden_states[-1]
            rows.append(states[0].mean(0).numpy())
    names = json.loads(arrays["obs"].tobytes())["index"]
    return names, np.stack(rows)


def check(what, ours, theirs):
    worst = float(np.abs(ours - theirs).max())
    print(f"{what}: {ours.shape}, largest difference {worst:.2e}")
    assert worst < TOLERANCE, f"{what} differ"


def head_logits(folder, x):
    info = json.load(open(f"{folder}/head.json"))
    weights = load_file(f"{folder}/head.safetensors")
    [fold] = info["folds"]
    layers = len(info["architecture"]["widths"]) - 1
    for at in range(layers):
        x = x @ weights[f"{fold['name']}.layer{at}.weight"].T + weights[f"{fold['name']}.layer{at}.bias"]
        x = np.maximum(x, 0) if at + 1 < layers else x
    return x


def make(checkpoint, adapter):
    torch.manual_seed(3)
    config = LoraConfig(
        r=3,
        lora_alpha=6,
        target_modules=["query", "layer.1.intermediate.dense"],
        modules_to_save=["layer.2.output.dense", "embeddings.LayerNorm", "position_embeddings", "layer.0.attention.output"],
    )
    model = get_peft_model(BertForMaskedLM.from_pretrained(checkpoint), config)
    with torch.no_grad():
        for parameter in model.parameters():
            if parameter.requires_grad:
                parameter.add_(0.05 * torch.randn_like(parameter))
    model.save_pretrained(adapter)


def main():
    if sys.argv[1] == "make":
        return make(*sys.argv[2:])
    checkpoint, tokens, adapter, embedding, *scored = sys.argv[1:]
    names, theirs = vectors(checkpoint, tokens, adapter)
    ours = anndata.read_h5ad(embedding)
    assert list(ours.obs_names) == names
    check("vectors", ours.obsm["X_geneformer"], theirs)
    if scored:
        head, predictions = scored
        rows = {row["cell_id"]: float(row["score"]) for row in csv.DictReader(open(predictions))}
        tested = [at for at, name in enumerate(names) if name in rows]
        scores = np.array([rows[names[at]] for at in tested])
        check("logits", np.log(scores / (1 - scores)), head_logits(head, theirs[tested])[:, 0])


main()
