"""Attached Hugging Face models from disk: the other half of :mod:`sw.nn.saved`."""

import json
from pathlib import Path

import torch
from torch import nn

from sw.nn.attachment import attach
from sw.nn.cta_heads import DIRECTIONS, MODES
from sw.nn.hosts.host import FeedForward
from sw.nn.quantised_mark import warn_float_again
from sw.nn.saved import ENTRY, SCHEMA, SETTING, forget

__all__ = ["load_pretrained"]


def load_pretrained(folder, **options) -> nn.Module:
    """The attached model that ``save_pretrained`` wrote to ``folder``, in evaluation mode.

    ``options`` go to ``from_pretrained`` of the host's class. Raises ValueError for a folder that
    holds no attached model, and for one whose weights do not fit what it says was attached. Warns
    (:class:`sw.nn.quantised_mark.FloatAgain`) where the model was quantised: what comes back is in
    float. Feed-forward networks that were replaced are not in the folder, so :func:`sw.detach`
    refuses to put them back.
    """
    import transformers

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
        warn_float_again(f"the model in {folder}")
    return model.eval()


def _untied(model: nn.Module, missing: list[str]) -> list[str]:
    """Keys that are missing in earnest: a tensor tied to one that was loaded is saved once."""
    state = model.state_dict(keep_vars=True)
    loaded = {id(value) for key, value in state.items() if key not in missing}
    return [key for key in missing if id(state.get(key)) not in loaded]


def _mark_lost(model: nn.Module, missing, folder: Path) -> None:
    """Feed-forward networks put aside that the folder did not have are random, and say so."""
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
