"""A Hugging Face encoder on disk: its model with CTA attached, its tokenizer, its embeddings."""

import copy
import shutil
from collections.abc import Callable
from pathlib import Path

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from sw.io.errors import InputError
from sw.io.writing import write_bytes
from sw.nn.attachment import attach, attention_layers, detach
from sw.policy.distil import States
from sw.policy.plan import Policy
from sw.studies.pretrained.passages import Passages, split

__all__ = ["load", "save", "read_text", "states", "embed"]

HASHING, POLICY = "hashing.safetensors", "policy.json"
TOKENIZER = ("tokenizer.json", "tokenizer_config.json", "special_tokens_map.json", "vocab.txt",
             "vocab.json", "merges.txt", "spiece.model")


def load(folder: str | Path, seed: int = 0) -> tuple[nn.Module, Policy | None]:
    """The encoder of a folder, in evaluation mode, CTA attached in exact mode with random
    directions; or, of a folder that :func:`save` wrote, as it was saved, with its policy.
    Raises InputError."""
    from transformers import AutoModel
    folder = Path(folder)
    if not (folder / "config.json").is_file():
        raise InputError(f"{folder} has no config.json, must be a folder of a Hugging Face model")
    try:
        model = AutoModel.from_pretrained(folder, local_files_only=True, dtype=torch.float32)
        saved = (folder / HASHING).is_file()
        # "projection" also stands for directions that were learned.
        attach(model, "exact", attention_options={
            "directions": "projection" if saved else "random", "seed": seed})
    except (OSError, ValueError) as error:
        raise InputError(f"{folder}: {str(error).splitlines()[0]}") from None
    model.eval()
    if not saved:
        return model, None
    from safetensors.torch import load_file
    stored = load_file(folder / HASHING)
    for name, heads in attention_layers(model).items():
        for part in ("a", "offset"):
            value = stored.get(f"{name}.{part}")
            if value is None or value.shape != getattr(heads, part).shape:
                raise InputError(f"{folder / HASHING} does not fit the model: {name}.{part}")
            getattr(heads, part).data.copy_(value)
    policy = Policy.load(folder / POLICY)
    policy.apply(model)
    return model, policy


def save(model: nn.Module, policy: Policy, folder: str | Path, source: str | Path) -> None:
    """Write ``model`` as a Hugging Face folder, hash directions and policy (which holds
    the bucket widths) beside the weights. The tokenizer's files are copied from ``source``."""
    from safetensors.torch import save as to_bytes
    folder = Path(folder)
    plain = copy.deepcopy(model)
    detach(plain)
    plain.save_pretrained(folder)
    hashing = {f"{name}.{part}": getattr(heads, part).detach().clone().contiguous()
               for name, heads in attention_layers(model).items() for part in ("a", "offset")}
    write_bytes(folder / HASHING, to_bytes(hashing))
    policy.save(folder / POLICY)
    for name in TOKENIZER:
        if (Path(source) / name).is_file() and Path(source) != folder:
            shutil.copyfile(Path(source) / name, folder / name)


def read_text(folder, text, n, documents, per_document) -> Passages:
    """:func:`sw.studies.pretrained.passages.split` with the tokenizer of a folder."""
    from transformers import AutoTokenizer
    try:
        tokenizer = AutoTokenizer.from_pretrained(folder, local_files_only=True)
    except (OSError, ValueError) as error:
        raise InputError(f"{folder}: {str(error).splitlines()[0]}") from None

    def tokens(part, special=False):
        return tokenizer(part, add_special_tokens=special, truncation=False,
                         verbose=False)["input_ids"]

    around = list(tokens("", special=True))      # one before and one after, in all of these models
    middle = (len(around) + 1) // 2
    return split(text, tokens, n, before=around[:middle], after=around[middle:],
                 documents=documents, per_document=per_document)


def states(model: nn.Module, ids: Tensor, valid: Tensor | None = None) -> States:
    """Hidden states of all layers and the sentence embedding of a batch (B, n): the mean of the
    last states of the valid tokens, of length 1."""
    out = model(input_ids=ids, attention_mask=None if valid is None else valid.long(),
                output_hidden_states=True)
    last = out.hidden_states[-1].float()
    if valid is not None:
        last = last * valid[..., None]
    # The sum has the direction of the mean.
    return States(out.hidden_states[1:], F.normalize(last.sum(dim=1), dim=-1), valid)


@torch.no_grad()
def embed(model: nn.Module, ids: Tensor, batch: int = 8,
          each: Callable[[], object] = lambda: None) -> Tensor:
    """Sentence embeddings (P, D); ``each`` is called after every batch."""
    parts = []
    for part in ids.split(batch):
        parts.append(states(model, part).output)
        each()
    return torch.cat(parts)
