"""Networks that advice is given for: their shapes, and what is known of their accuracy under compression."""

import json
from dataclasses import dataclass
from pathlib import Path

from model.config import require_integer
from model.cta.cost import OPERATING_POINTS
from model.errors import ConfigError
from sw.io.errors import InputError
from sw.policy.candidates import CANDIDATES, Candidate
from sw.studies.bench.layers import NETS

__all__ = ["KNOWN", "Network", "network", "with_policy"]

EXACTLY = CANDIDATES[0]


@dataclass(frozen=True)
class Network:
    """An encoder: ``layers`` of ``heads`` heads of ``d`` on tokens of ``dw``.

    options : for each layer what it may do, as (candidate, error it adds).
    uniform : whether all layers have to do alike, because only then the error is known.
    measure, basis : what the error is of, and where it comes from.
    source : what a user calls it.
    """

    name: str
    layers: int
    heads: int
    d: int
    dw: int
    options: tuple[tuple[tuple[Candidate, float], ...], ...]
    uniform: bool
    measure: str
    basis: str
    source: str = ""


# Read: docs/pretrained.md, "Which layers can be compressed"; candidates in the order of CANDIDATES.
_MINILM = ((0.0020, 0.0091, 0.0120, 0.0138, 0.0160, 0.0165, 0.0201, 0.0239),
           (0.0036, 0.0146, 0.0190, 0.0236, 0.0279, 0.0372, 0.0394, 0.0503),
           (0.0019, 0.0083, 0.0115, 0.0167, 0.0228, 0.0271, 0.0306, 0.0532),
           (0.0004, 0.0024, 0.0034, 0.0046, 0.0058, 0.0136, 0.0198, 0.0288),
           (0.0008, 0.0039, 0.0056, 0.0083, 0.0116, 0.0166, 0.0176, 0.0426),
           (0.0000, 0.0015, 0.0026, 0.0043, 0.0044, 0.0022, 0.0218, 0.0574))


def _paper(name: str, layers: int, heads: int, d: int, dw: int, source: str = "") -> Network:
    """A network of which nothing was measured: the paper's points, in all layers alike.

    Read: the points are called by the loss of accuracy in percent, after fine-tuning, over the paper's tasks.
    """
    losses = [(EXACTLY, 0.0)] + [(Candidate(point.name, point.fractions),
                                  float(point.name.removeprefix("CTA-")) / 100) for point in OPERATING_POINTS]
    return Network(name, layers, heads, d, dw, (tuple(losses),) * layers, True, "loss of accuracy",
                   "that of the CTA paper's tasks after fine-tuning; not measured for this network", source)


def _known() -> dict[str, Network]:
    nets = {net.name: net for net in NETS}
    found = {}
    for word, name, layers in (("minilm", "MiniLM", 6), ("bert-base", "BERT-base", 12),
                               ("bert-large", "BERT-large", 24)):
        net = nets[name]
        found[word] = _paper(name, layers, net.heads, net.d, net.dw, word)
    rows = tuple(((EXACTLY, 0.0), *zip(CANDIDATES[1:], errors, strict=True)) for errors in _MINILM)
    found["minilm"] = Network(
        "MiniLM", 6, 12, 32, 384, rows, False, "1 - cosine of the sentence embedding, as the model is",
        "measured a layer on all-MiniLM-L6-v2 and WikiText-2 (docs/pretrained.md), and added up", "minilm")
    return found


KNOWN = _known()
"""By the word for it. That of MiniLM was measured here layer by layer, without any training."""


def network(source: str) -> Network:
    """One of :data:`KNOWN`, or a Hugging Face folder by its ``config.json``. Raises InputError."""
    if source in KNOWN:
        return KNOWN[source]
    path = Path(source) / "config.json"
    if not path.is_file():
        raise InputError(f"model is {source!r}, must be one of {', '.join(KNOWN)}, or a folder with a "
                         "config.json")
    try:
        data = json.loads(path.read_text("utf-8"))
        dw, heads, layers = (data[key] for key in ("hidden_size", "num_attention_heads", "num_hidden_layers"))
        for key, value, most in (("hidden_size", dw, 2048), ("num_attention_heads", heads, 1024),
                                 ("num_hidden_layers", layers, 1024)):
            require_integer(f"{path} {key}", value, 1, most)
    except (OSError, ValueError, KeyError, TypeError) as error:
        if isinstance(error, ConfigError):
            raise InputError(str(error)) from None
        raise InputError(f"{path} is no configuration of an encoder: {error!r}") from None
    if dw % heads:
        raise InputError(f"{path} hidden_size is {dw}, must be a multiple of num_attention_heads = {heads}")
    return _paper(Path(source).resolve().name, layers, heads, dw // heads, dw, source)


def with_policy(net: Network, path) -> Network:
    """A network whose policy was measured, by ``hashlayer pretrained``; raises InputError."""
    try:
        data = json.loads(Path(path).read_text("utf-8"))
        choices = [Candidate(each["candidate"], None if each["w"] is None else tuple(each["fractions"]))
                   for each in data["choices"]]
        error = data["error"]
    except (OSError, ValueError, KeyError, TypeError) as wrong:
        raise InputError(f"{path} is no policy: {wrong!r}") from None
    if len(choices) != net.layers:
        raise InputError(f"{path} has {len(choices)} layers, {net.name} has {net.layers}")
    if error is None:
        raise InputError(f"{path} has no measured error")
    options = tuple(((each, error / net.layers),) for each in choices)
    return Network(net.name, net.layers, net.heads, net.d, net.dw, options, False,
                   "1 - cosine of the model's output", f"measured as a whole ({Path(path).name})", net.source)
