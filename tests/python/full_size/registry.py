"""All models by name. A family is imported when it is asked for: transformers would count as memory of models without it."""

import importlib

from .common import Reference

FAMILIES = {
    "bert": ("geneformer-v1", "geneformer-v2", "bert-text"),
    "scgpt": ("scgpt",),
    "tgpt": ("tgpt",),
    "scfoundation": ("scfoundation",),
    "uce": ("uce-4", "uce-33"),
    "cellplm": ("cellplm",),
    "performer": ("scbert", "celllm"),
    "llama": ("llama", "llama-8"),
    "chemberta": ("chemberta-zinc", "chemberta-77m"),
    "molformer": ("molformer",),
}
NAMES = [name for names in FAMILIES.values() for name in names]


def find(name: str) -> Reference:
    """The model of this name."""
    family = next(family for family, names in FAMILIES.items() if name in names)
    return importlib.import_module(f".{family}", __package__).MODELS[name]
