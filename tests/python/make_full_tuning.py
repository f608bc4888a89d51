"""Three steps of full fine-tuning of the layers of a small Geneformer, from PyTorch in double precision.

    python make_full_tuning.py GOLDEN OUT

GOLDEN   folder geneformer-v1 of the golden fixtures: checkpoint, cells, labels and the initial head (`ft.*`)
OUT      nodes/models/tests/files/full_tuning.safetensors

All weights of all layers of the encoder and the head learn, tables and the first normalisation stay; mean of the tokens of the last layer,
each cell alone, mean binary cross entropy of all cells at once, AdamW with lr 1e-3 and weight decay 0.05 on everything, and eps 1e-5: gradients that are zero but for
rounding, such as those of the biases of keys, would otherwise move weights by the learning rate in any direction. Writes `loss` before
each of the steps, and `after3.NAME` for every weight: layers under their published names, `head.fc1` to `head.fc3`.
"""

import sys
from pathlib import Path

import torch
from full_size.bert import encoder
from safetensors.torch import load_file, save_file
from torch import nn

STEPS = 3
FOLDER = "Geneformer-V1-10M"


def main():
    golden, out = Path(sys.argv[1]), Path(sys.argv[2])
    arrays = load_file(golden / "expected.safetensors")
    offsets, ids = arrays["tok.offsets"].long(), arrays["tok.input_ids"].long()
    cells = [ids[offsets[cell] : offsets[cell + 1]][None] for cell in arrays["ft.cell_index"].long().tolist()]
    labels = arrays["ft.label"].double()
    model = encoder(golden / "checkpoint" / FOLDER).double()
    model.set_attn_implementation("eager")
    head = {}
    for layer in ("fc1", "fc2", "fc3"):
        for part in ("weight", "bias"):
            head[f"head.{layer}.{part}"] = nn.Parameter(arrays[f"ft.init.head.{layer}.{part}"].double())
    trained = {f"bert.encoder.{name}": weight for name, weight in model.encoder.named_parameters()} | head

    def logits():
        x = torch.cat([model(cell).last_hidden_state.mean(1) for cell in cells])
        for layer in ("fc1", "fc2", "fc3"):
            x = nn.functional.linear(x, head[f"head.{layer}.weight"], head[f"head.{layer}.bias"])
            x = x if layer == "fc3" else x.relu()
        return x[:, 0]

    optimizer = torch.optim.AdamW(trained.values(), lr=1e-3, weight_decay=0.05, eps=1e-5)
    losses = []
    for _ in range(STEPS):
        loss = nn.functional.binary_cross_entropy_with_logits(logits(), labels)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        losses.append(loss.item())
    print(losses)
    after = {f"after{STEPS}.{name}": weight.detach().float().contiguous() for name, weight in trained.items()}
    save_file({"loss": torch.tensor(losses)} | after, out)
    print(sum(array.numel() for array in after.values()) * 4, "bytes")


main()
