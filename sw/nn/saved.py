"""What attached Hugging Face models write to disk.

``save_pretrained`` of an attached model writes the host's weights under the host's names, so that
``from_pretrained`` gives the host with its trained q, k and v; hash functions stand beside them.
What was attached is noted in config.json, under ``hashlayer``, and
:func:`sw.nn.loading.load_pretrained` makes the attached model again.
"""

import json

import torch
from torch import nn

from sw.nn.cta_heads import DIRECTIONS, MODES

__all__ = ["ENTRY", "SCHEMA", "SETTING", "note", "note_quantised", "forget", "rename_saved",
           "rename_loaded"]

ENTRY = "hashlayer"
SCHEMA = 1
SETTING = "heads.setting"
"""Key of the mode and the kind of directions as they are when the state dict is taken: both may
change after attach. ``load_state_dict`` passes it by, as a switch is no weight."""


def rename_saved(module, state, prefix, metadata):
    """State-dict hook of a replacement: the host's linears under the host's names."""
    heads = module.heads
    state[f"{prefix}{SETTING}"] = torch.tensor([MODES.index(heads.mode),
                                                DIRECTIONS.index(heads.directions)])
    for own, host in module.LINEARS.items():
        for part in ("weight", "bias"):
            key = f"{prefix}heads.{own}.{part}"
            if key in state:
                state[f"{prefix}{host}.{part}"] = state.pop(key)


def rename_loaded(module, state, prefix, *others):
    """The way back, before a state dict is loaded. Names of a replacement are taken as well."""
    state.pop(f"{prefix}{SETTING}", None)
    for own, host in module.LINEARS.items():
        for part in ("weight", "bias"):
            key = f"{prefix}{host}.{part}"
            if key in state:
                state[f"{prefix}heads.{own}.{part}"] = state.pop(key)


def note(model: nn.Module, **arguments) -> None:
    """Write down what attach did, in the configuration that is saved with the model."""
    config = getattr(model, "config", None)
    if not hasattr(config, "to_json_string"):
        return
    entry = dict(getattr(config, ENTRY, None) or {"schema": SCHEMA, "attach": []})
    entry["attach"] = [*entry["attach"], json.loads(json.dumps(arguments))]
    setattr(config, ENTRY, entry)


def note_quantised(model: nn.Module, quantised: bool) -> None:
    """Write down whether fakes are on: a safetensors file keeps no metadata of layers."""
    config = getattr(model, "config", None)
    if getattr(config, ENTRY, None):
        setattr(config, ENTRY, getattr(config, ENTRY) | {"quantised": quantised})


def forget(model: nn.Module) -> None:
    """The opposite of :func:`note`, once nothing is attached."""
    config = getattr(model, "config", None)
    if hasattr(config, ENTRY):
        delattr(config, ENTRY)
