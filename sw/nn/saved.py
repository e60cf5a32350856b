"""Attached Hugging Face models on disk.

``save_pretrained`` of an attached model writes the host's weights under the host's names, so that
``from_pretrained`` gives the host with its trained q, k and v; the hash functions stand beside them.
What was attached is noted in config.json, under ``hashlayer``, and :func:`load_pretrained` makes
the attached model again.
"""

import json
from pathlib import Path

import torch
from torch import nn

__all__ = ["ENTRY", "note", "forget", "rename_saved", "rename_loaded", "load_pretrained"]

ENTRY = "hashlayer"
SCHEMA = 1
HOST = {"q": "query", "k": "key", "v": "value"}
"""Linears of CTAHeads, and what BERT, RoBERTa and ALBERT call them."""


def rename_saved(module, state, prefix, metadata):
    """State-dict hook of a replacement: the host's linears under the host's names."""
    for own, host in HOST.items():
        for part in ("weight", "bias"):
            key = f"{prefix}heads.{own}.{part}"
            if key in state:
                state[f"{prefix}{host}.{part}"] = state.pop(key)


def rename_loaded(module, state, prefix, *others):
    """The way back, before a state dict is loaded. Names of a replacement are taken as well."""
    for own, host in HOST.items():
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


def forget(model: nn.Module) -> None:
    """The opposite of :func:`note`, once nothing is attached."""
    config = getattr(model, "config", None)
    if hasattr(config, ENTRY):
        delattr(config, ENTRY)


def load_pretrained(folder, **options) -> nn.Module:
    """The attached model that ``save_pretrained`` wrote to ``folder``, in evaluation mode.

    ``options`` go to ``from_pretrained`` of the host's class. Raises ValueError for a folder that
    holds no attached model, and for one whose weights do not fit what it says was attached.
    """
    import transformers

    from sw.nn.attachment import attach
    folder = Path(folder)
    try:
        config = json.loads((folder / "config.json").read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise ValueError(f"{folder} holds no saved model: {error}") from None
    entry, kinds = config.get(ENTRY), config.get("architectures") or [None]
    if not entry:
        raise ValueError(f"{folder} holds no attached model: its config.json has no {ENTRY!r}; "
                         "use from_pretrained of its own class")
    if entry.get("schema") != SCHEMA:
        raise ValueError(f"{ENTRY} of {folder} has schema {entry.get('schema')!r}, must be {SCHEMA}")
    kind = getattr(transformers, str(kinds[0]), None)
    if kind is None:
        raise ValueError(f"{folder} is of class {kinds[0]!r}, which transformers does not have")
    level = transformers.logging.get_verbosity()
    # What the host's own class has to say of our keys is no news here.
    transformers.logging.set_verbosity_error()
    try:
        model = kind.from_pretrained(folder, **options)
    finally:
        transformers.logging.set_verbosity(level)
    forget(model)
    for arguments in entry["attach"]:
        attach(model, **arguments)
    found = model.load_state_dict(_weights(folder), strict=False)
    if found.missing_keys or found.unexpected_keys:
        wrong = [*found.missing_keys, *found.unexpected_keys]
        raise ValueError(f"the weights in {folder} do not fit what was attached: "
                         f"{', '.join(wrong[:3])}" + (", ..." if len(wrong) > 3 else ""))
    return model.eval()


def _weights(folder: Path) -> dict[str, torch.Tensor]:
    from safetensors.torch import load_file
    files = sorted(folder.glob("model*.safetensors"))
    if not files:
        raise ValueError(f"{folder} has no model.safetensors")
    return {key: value for file in files for key, value in load_file(file).items()}
