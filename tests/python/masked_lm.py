"""Masked-gene training with Hugging Face transformers: reference numbers, and a look at checkpoints of the kind `pretrain`.

    masked_lm.py fixture nodes/models/tests/files/masked_lm.safetensors
        A tiny BertForMaskedLM with random weights, two cells of different length with hidden tokens; writes its weights,
        logits, the loss, all gradients, the losses of five AdamW steps and the weights after them. Cells are run one by one,
        so that nothing is padded.
    masked_lm.py losses FOLDER < masked.json
        Loads a checkpoint folder and prints, as JSON, the loss of the given masked cells ({"ids", "places", "labels"} each) and
        the mean of the last hidden state of each.
"""

import json
import pathlib
import sys

import torch
from safetensors.torch import save_file
from torch.nn.functional import cross_entropy
from transformers import BertConfig, BertForMaskedLM

LR, DECAY = 1e-2, 0.1


def tiny() -> BertForMaskedLM:
    torch.manual_seed(7)
    config = BertConfig(
        vocab_size=37, hidden_size=16, num_hidden_layers=2, num_attention_heads=2, intermediate_size=24, hidden_act="relu",
        max_position_embeddings=20, type_vocab_size=2, layer_norm_eps=1e-12, hidden_dropout_prob=0.0,
        attention_probs_dropout_prob=0.0, pad_token_id=0,
    )
    model = BertForMaskedLM(config).eval()
    with torch.no_grad():
        # Far from zero, so that no gradient is; biases and normalisations too.
        for name, tensor in model.named_parameters():
            tensor.add_(0.3 * torch.randn_like(tensor) if tensor.dim() > 1 else 0.2 * torch.randn_like(tensor))
    return model


def total_loss(model: BertForMaskedLM, cells: list[dict]) -> torch.Tensor:
    """Mean over the hidden tokens of all cells, each run alone."""
    logits = torch.cat([model(torch.tensor([cell["ids"]])).logits[0, cell["places"]] for cell in cells])
    labels = torch.tensor([label for cell in cells for label in cell["labels"]])
    return cross_entropy(logits, labels)


def fixture(path: pathlib.Path) -> None:
    model = tiny()
    cells = []
    for length, hidden in [(9, [0, 3, 7]), (17, [2, 5, 6, 16])]:
        ids = torch.randperm(35)[:length] + 2
        labels = ids[hidden].clone()
        # Masked, replaced by another gene, left as it is.
        ids[hidden[0]], ids[hidden[1]] = 1, 2 + (ids[hidden[1]] + 5) % 35
        cells.append({"ids": ids.tolist(), "places": hidden, "labels": labels.tolist()})
    out = {}
    for number, cell in enumerate(cells):
        for key, values in cell.items():
            out[f"cell{number}.{key}"] = torch.tensor(values, dtype=torch.int32)
    # Tied tensors are one parameter, under the name of the table of tokens and of the head's bias.
    named = dict(model.named_parameters())
    for name, tensor in named.items():
        out[f"init.{name}"] = tensor.detach().clone()
    with torch.no_grad():
        out["logits"] = torch.cat(
            [model(torch.tensor([cell["ids"]])).logits[0, cell["places"]] for cell in cells]
        ).clone()
    decaying = [t for name, t in named.items() if not name.endswith("bias") and "LayerNorm" not in name]
    others = [t for name, t in named.items() if name.endswith("bias") or "LayerNorm" in name]
    groups = [{"params": decaying, "weight_decay": DECAY}, {"params": others, "weight_decay": 0.0}]
    optimizer = torch.optim.AdamW(groups, lr=LR)
    losses = []
    for step in range(5):
        optimizer.zero_grad()
        loss = total_loss(model, cells)
        loss.backward()
        if step == 0:
            for name, tensor in named.items():
                out[f"grad.{name}"] = tensor.grad.clone()
        losses.append(loss.item())
        optimizer.step()
    losses.append(total_loss(model, cells).item())
    out["losses"] = torch.tensor(losses)
    for name, tensor in named.items():
        out[f"after.{name}"] = tensor.detach().clone()
    save_file(out, path, metadata={"lr": str(LR), "weight_decay": str(DECAY)})
    print(f"{path}: {path.stat().st_size} bytes, losses {losses}")


def losses(folder: pathlib.Path) -> None:
    model = BertForMaskedLM.from_pretrained(folder, attn_implementation="eager").eval()
    cells = json.load(sys.stdin)
    with torch.no_grad():
        loss = total_loss(model, cells).item()
        means = [
            model.bert(torch.tensor([cell["ids"]])).last_hidden_state[0].mean(0).tolist() for cell in cells
        ]
    print(json.dumps({"loss": loss, "means": means}))


def main() -> None:
    match sys.argv[1:]:
        case ["fixture", path]:
            fixture(pathlib.Path(path))
        case ["losses", folder]:
            losses(pathlib.Path(folder))
        case _:
            sys.exit(__doc__)


if __name__ == "__main__":
    main()
