"""A checkpoint: one folder that holds a model and, while it trains, all that resuming needs.

    model.safetensors       the weights, buffers included
    config.json             the configuration and how the model was made
    tokenizer.json          where tokens are not bytes
    optimiser.safetensors   moments of AdamW, only for resuming
    metrics.jsonl           losses along the way

Nothing is pickled. Both tensor files carry the step they belong to, so that a folder in which a
crash left two steps is refused and not continued from.
"""

import json
from pathlib import Path

import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import save

from model.errors import ConfigError
from sw.io.errors import InputError
from sw.io.writing import make_folder, write_bytes, write_json
from sw.lm.config import RunConfig
from sw.lm.config_file import config_from_dict
from sw.lm.model import MaskedLM
from sw.lm.tokens import TOKENIZER, Tokens, load_tokens

__all__ = ["save_model", "load", "save_optimiser", "load_optimiser", "read_meta", "WEIGHTS",
           "METRICS", "exists", "tokens_of"]

WEIGHTS, CONFIG, OPTIMISER, METRICS = ("model.safetensors", "config.json",
                                       "optimiser.safetensors", "metrics.jsonl")
SCHEMA = 1


def exists(folder) -> bool:
    """Whether there is a checkpoint."""
    return (Path(folder) / WEIGHTS).is_file()


def _packed(tensors, step):
    tensors = {name: value.detach().to("cpu").contiguous() for name, value in tensors.items()}
    return save(tensors, {"step": str(step)})


def save_model(folder, model: MaskedLM, cfg: RunConfig, tokens: Tokens, *, step: int, meta: dict,
               half: bool = False) -> None:
    """Write weights, configuration and tokenizer.

    ``half`` keeps float weights in float16, but for hash directions, offsets and widths, where a
    last bit moves tokens to other clusters.
    """
    folder = make_folder(folder)
    state = model.state_dict()
    if half:
        state = {name: value.half() if value.is_floating_point()
                 and name.rpartition(".")[2] not in ("a", "offset", "w") else value
                 for name, value in state.items()}
    if not (folder / TOKENIZER).is_file():
        tokens.save(folder)
    write_bytes(folder / WEIGHTS, _packed(state, step))
    write_json(folder / CONFIG, {"schema": SCHEMA, "step": step, "config": cfg.to_dict(),
                                 "modes": _modes(model), "meta": meta})


def _modes(model):
    return [layer.attention.heads.mode for layer in model.layers]


def read_meta(folder) -> dict:
    """config.json as it is: ``step``, ``config``, ``modes``, ``meta``. Raises InputError."""
    path = Path(folder) / CONFIG
    try:
        data = json.loads(path.read_text())
    except FileNotFoundError:
        raise InputError(f"{folder} is not a checkpoint: it has no {CONFIG}") from None
    except (OSError, UnicodeDecodeError, json.JSONDecodeError) as error:
        raise InputError(f"{path} cannot be read: {error}") from None
    if not isinstance(data, dict) or data.get("schema") != SCHEMA:
        raise InputError(f"{path} is not of schema {SCHEMA}")
    for key in ("step", "config", "modes", "meta"):
        if key not in data:
            raise InputError(f"{path} lacks {key!r}")
    return data


def _tensors(path: Path) -> tuple[dict, int]:
    try:
        with safe_open(path, "pt") as file:
            step = int((file.metadata() or {}).get("step", -1))
            return {name: file.get_tensor(name) for name in file.keys()}, step
    except FileNotFoundError:
        raise InputError(f"{path} does not exist, the checkpoint is incomplete") from None
    except (SafetensorError, OSError, ValueError) as error:
        raise InputError(f"{path} is not a safetensors file: {error}") from None


def load(folder, device="cpu") -> tuple[MaskedLM, RunConfig]:
    """The model in evaluation mode, weights in float32, and its configuration.

    Raises InputError for a folder that is incomplete, corrupted, or whose weights do not fit its
    configuration.
    """
    data = read_meta(folder)
    try:
        cfg = config_from_dict(data["config"])
        model = MaskedLM(cfg.model)
    except ConfigError as error:
        raise InputError(f"{folder}/{CONFIG}: {error}") from None
    tensors, step = _tensors(Path(folder) / WEIGHTS)
    if step != data["step"]:
        raise InputError(f"{folder}: weights are of step {step}, {CONFIG} of step {data['step']}")
    wanted = model.state_dict()
    for name in sorted(wanted.keys() | tensors.keys()):
        for where, there in ((WEIGHTS, tensors), ("the model", wanted)):
            if name not in there:
                raise InputError(f"{folder}: {where} lacks {name}")
        if wanted[name].shape != tensors[name].shape:
            raise InputError(f"{folder}: {name} has shape {tuple(tensors[name].shape)}, must be "
                             f"{tuple(wanted[name].shape)}")
    model.load_state_dict(tensors)
    if len(data["modes"]) != len(model.layers):
        raise InputError(f"{folder}/{CONFIG}: modes has {len(data['modes'])} entries, must have "
                         f"{len(model.layers)}")
    for layer, mode in zip(model.layers, data["modes"]):
        if mode not in ("exact", "cta"):
            raise InputError(f"{folder}/{CONFIG}: mode {mode!r} must be 'exact' or 'cta'")
        layer.attention.heads.mode = mode
    return model.to(device).eval(), cfg


def save_optimiser(folder, model: MaskedLM, optimiser, step: int) -> None:
    """Write the moments, by the parameters' names."""
    tensors = {}
    for name, parameter in model.named_parameters():
        for key, value in optimiser.state.get(parameter, {}).items():
            tensors[f"{name}/{key}"] = torch.as_tensor(value)
    write_bytes(Path(folder) / OPTIMISER, _packed(tensors, step))


def load_optimiser(folder, model: MaskedLM, optimiser, step: int) -> None:
    """Put the moments back; raises InputError where they are of another step or model."""
    tensors, found = _tensors(Path(folder) / OPTIMISER)
    if found != step:
        raise InputError(f"{folder}: optimiser is of step {found}, weights of step {step}; it "
                         "cannot be resumed")
    parameters = dict(model.named_parameters())
    for full, value in tensors.items():
        name, _, key = full.rpartition("/")
        if name not in parameters:
            raise InputError(f"{folder}: optimiser has {name}, the model has not")
        parameter = parameters[name]
        if value.dim() and value.shape != parameter.shape:
            raise InputError(f"{folder}: {full} has shape {tuple(value.shape)}, must be "
                             f"{tuple(parameter.shape)}")
        # AdamW keeps its step count on the CPU.
        optimiser.state[parameter][key] = value.to(parameter.device) if value.dim() else value


def tokens_of(folder, cfg: RunConfig) -> Tokens:
    """The tokens of a checkpoint."""
    return load_tokens(cfg.data.tokens, folder)
