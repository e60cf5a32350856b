"""Attached Hugging Face models on disk.

``save_pretrained`` of an attached model writes the host's weights under the host's names, so that
``from_pretrained`` gives the host with its trained q, k and v; hash functions stand beside them.
What was attached is noted in config.json, under ``hashlayer``, and :func:`load_pretrained` makes
the attached model again.
"""

import json
import warnings
from pathlib import Path

import torch
from torch import nn

from sw.nn.cta_heads import DIRECTIONS, MODES
from sw.nn.quantised_mark import FloatAgain

__all__ = ["ENTRY", "note", "note_quantised", "forget", "rename_saved", "rename_loaded",
           "load_pretrained"]

ENTRY = "hashlayer"
SCHEMA = 1
HOST = {"q": "query", "k": "key", "v": "value"}
"""Linears of CTAHeads, and what BERT, RoBERTa and ALBERT call them."""
SETTING = "heads.setting"
"""Key of the mode and the kind of directions as they are when the state dict is taken: both may
change after attach. ``load_state_dict`` passes it by, as a switch is no weight."""


def rename_saved(module, state, prefix, metadata):
    """State-dict hook of a replacement: the host's linears under the host's names."""
    heads = module.heads
    state[f"{prefix}{SETTING}"] = torch.tensor([MODES.index(heads.mode),
                                                DIRECTIONS.index(heads.directions)])
    for own, host in HOST.items():
        for part in ("weight", "bias"):
            key = f"{prefix}heads.{own}.{part}"
            if key in state:
                state[f"{prefix}{host}.{part}"] = state.pop(key)


def rename_loaded(module, state, prefix, *others):
    """The way back, before a state dict is loaded. Names of a replacement are taken as well."""
    state.pop(f"{prefix}{SETTING}", None)
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


def load_pretrained(folder, **options) -> nn.Module:
    """The attached model that ``save_pretrained`` wrote to ``folder``, in evaluation mode.

    ``options`` go to ``from_pretrained`` of the host's class. Raises ValueError for a folder that
    holds no attached model, and for one whose weights do not fit what it says was attached. Warns
    (:class:`sw.nn.quantised_mark.FloatAgain`) where the model was quantised: what comes back is in
    float. Feed-forward networks that were replaced are not in the folder, so :func:`sw.detach`
    refuses to put them back.
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
        model, loading = kind.from_pretrained(folder, **options | {"output_loading_info": True})
    finally:
        transformers.logging.set_verbosity(level)
    forget(model)
    for arguments in entry["attach"]:
        attach(model, **arguments)
    weights = _weights(folder)
    found = model.load_state_dict(weights, strict=False)
    for name, module in model.named_modules():
        setting = weights.get(f"{name}.{SETTING}")
        if setting is not None and hasattr(module, "heads"):
            module.heads.mode, module.heads.directions = (
                names[at] for names, at in zip((MODES, DIRECTIONS), setting.tolist(), strict=True))
    wrong = [*_untied(model, found.missing_keys), *found.unexpected_keys]
    if wrong:
        raise ValueError(f"the weights in {folder} do not fit what was attached: "
                         f"{', '.join(wrong[:3])}" + (", ..." if len(wrong) > 3 else "")
                         + "; give what the model was made with, such as add_pooling_layer=False")
    _mark_lost(model, loading["missing_keys"], folder)
    if entry.get("quantised"):
        warnings.warn(f"the model in {folder} was saved quantised and is in float here: call "
                      "sw.quantise_model to have its integers again, or export them with sw.export",
                      FloatAgain, stacklevel=2)
    return model.eval()


def _untied(model: nn.Module, missing: list[str]) -> list[str]:
    """Keys that are missing in earnest: a tensor tied to one that was loaded is saved once."""
    state = model.state_dict(keep_vars=True)
    loaded = {id(value) for key, value in state.items() if key not in missing}
    return [key for key in missing if id(state.get(key)) not in loaded]


def _mark_lost(model: nn.Module, missing, folder: Path) -> None:
    """Feed-forward networks put aside that the folder did not have are random, and say so."""
    from sw.nn.host import FeedForward
    for name, layer in model.named_modules():
        for replacement in layer.modules():
            if not isinstance(replacement, FeedForward):
                continue
            paths = [".".join(filter(None, (name, path))) + "." for path in replacement.kept]
            if any(key.startswith(path) for key in missing for path in paths):
                replacement.lost = (f"{folder} has not the network that stood there; load the host "
                                    "from where it came from")


def _weights(folder: Path) -> dict[str, torch.Tensor]:
    from safetensors.torch import load_file
    files = sorted(folder.glob("model*.safetensors"))
    if not files:
        raise ValueError(f"{folder} has no model.safetensors")
    return {key: value for file in files for key, value in load_file(file).items()}
