"""What a training run is told: model, data, training, compressed attention.

Every key has a default, those of the LookupFFN paper's recipe, and a legal range that is checked
when the configuration is made. :mod:`sw.lm.config_file` reads them from TOML.
"""

from dataclasses import asdict, dataclass, field, fields, replace
from typing import get_origin

from model.cta.cost import OPERATING_POINTS
from model.errors import ConfigError

__all__ = ["ModelConfig", "DataConfig", "TrainConfig", "CTAStage", "RunConfig", "POINTS"]

POINTS = {point.name: point.fractions for point in OPERATING_POINTS}
"""The paper's operating points as clusters (k0, k1, k2) a token."""


class _Section:
    """A table of the file: types, then ranges, each refusal naming section, key and value."""

    section = ""

    def __post_init__(self):
        for f in fields(self):
            object.__setattr__(self, f.name, self._typed(f.name, f.type, getattr(self, f.name)))
        self._check_ranges()

    def _typed(self, name, kind, value):
        if kind is float and type(value) is int:
            return float(value)
        if get_origin(kind) is tuple and isinstance(value, (list, tuple)):
            inner = kind.__args__[0]
            if len(kind.__args__) == 2 and kind.__args__[1] is not Ellipsis:
                self._require(name, len(value) == len(kind.__args__),
                              f"{len(kind.__args__)} numbers")
            return tuple(self._typed(name, inner, v) for v in value)
        plain = get_origin(kind) or kind
        self._require(name, type(value) is plain, f"of type {plain.__name__}", value)
        return value

    def _require(self, name, fine, legal, value=None):
        if not fine:
            value = getattr(self, name) if value is None else value
            raise ConfigError(f"{self.section}.{name} is {value!r}, must be {legal}")

    def _within(self, name, low, high):
        self._require(name, low <= getattr(self, name) <= high, f"in {low}..{high}")

    def _one_of(self, name, names):
        self._require(name, getattr(self, name) in names, f"one of {', '.join(names)}")


@dataclass(frozen=True)
class ModelConfig(_Section):
    """A masked language model of pre-norm encoder layers (:mod:`sw.lm.model`).

    Parameters
    ----------
    d : width of a token, a multiple of ``heads``.
    heads : attention heads.
    layers : encoder layers, 1..64.
    context : longest sequence, in tokens.
    vocab : size of the vocabulary with the mask; 0 takes it from the tokens.
    ffn : "vanilla" or another name of :data:`sw.nn.ffn.registry.FFNS`, and its options.
    attention : "exact" or "cta", and the options of :class:`sw.nn.cta_heads.CTAHeads`.
    dropout : after embedding, attention, feed-forward network.
    positions : "learned", or "waves": fixed sinusoids.
    stem : width of a convolution over the embedded tokens, odd; 0 for none. A byte-level model
        learns in minutes with one of 5.
    head : "roberta" (dense, GELU, LayerNorm, the embedding transposed), or "linear".
    init : deviation of the token embedding at the start.
    """

    section = "model"

    d: int = 512
    heads: int = 8
    layers: int = 4
    context: int = 512
    vocab: int = 0
    ffn: str = "vanilla"
    ffn_options: dict = field(default_factory=dict)
    attention: str = "exact"
    attention_options: dict = field(default_factory=dict)
    dropout: float = 0.1
    positions: str = "learned"
    stem: int = 0
    head: str = "roberta"
    init: float = 0.02

    def _check_ranges(self):
        self._within("heads", 1, 128)
        self._within("d", 1, 8192)
        self._require("d", self.d % self.heads == 0, f"a multiple of heads = {self.heads}")
        self._within("layers", 1, 64)
        self._within("context", 2, 8192)
        self._within("vocab", 0, 1 << 20)
        self._one_of("attention", ("exact", "cta"))
        self._require("dropout", 0 <= self.dropout < 1, "in [0, 1)")
        self._one_of("positions", ("learned", "waves"))
        self._require("positions", self.positions != "waves" or self.d % 2 == 0,
                      f"'learned' where d is odd, d = {self.d}")
        self._require("stem", self.stem == 0 or self.stem % 2 and 0 < self.stem < 64,
                      "0, or odd and below 64")
        self._one_of("head", ("roberta", "linear"))
        self._require("init", 0 < self.init <= 10, "in (0, 10]")
        from sw.nn.ffn.registry import FFNS
        self._one_of("ffn", tuple(FFNS))


@dataclass(frozen=True)
class DataConfig(_Section):
    """Which text, how it becomes tokens, how they are masked.

    Parameters
    ----------
    text : files and folders; none stands for the sources of Python's own library.
    suffixes : of the files taken from a folder, at any depth.
    exclude : names of folders that are left out.
    tokens : "bytes"; "bpe", byte pairs as RoBERTa's; "wordpiece", as BERT's.
    vocab : size of the vocabulary to train for "bpe" and "wordpiece".
    held_out : share of the text that training never sees.
    mask : share of every sequence to predict, of which 80% are replaced by the mask token, 10%
        by a random token, 10% left. The count is the same in every sequence: round(mask * n).
    """

    section = "data"

    text: tuple[str, ...] = ()
    suffixes: tuple[str, ...] = (".py", ".txt", ".md", ".rst")
    exclude: tuple[str, ...] = ("__pycache__", ".git")
    tokens: str = "bytes"
    vocab: int = 50265
    held_out: float = 0.05
    mask: float = 0.15

    def _check_ranges(self):
        self._require("suffixes", self.suffixes and all(s.startswith(".") for s in self.suffixes),
                      "at least one, each beginning with a dot")
        self._one_of("tokens", ("bytes", "bpe", "wordpiece"))
        self._within("vocab", 300, 1 << 20)
        self._require("held_out", 0 < self.held_out <= 0.5, "in (0, 0.5]")
        self._require("mask", 0 < self.mask < 1, "in (0, 1)")


@dataclass(frozen=True)
class TrainConfig(_Section):
    """The optimiser and the loop.

    Parameters
    ----------
    steps : optimiser steps.
    batch : sequences a step, over all processes.
    accumulate : parts in which a process computes its share of a batch, to save memory.
    lr, betas, eps, weight_decay : of AdamW. Biases and LayerNorms do not decay.
    warmup : steps over which the rate grows to ``lr``, before it falls linearly to 0.
    clip : largest norm of the gradient; 0 does not limit it.
    seed : of everything random. Batch and dropout of a step are functions of seed and step.
    precision : "auto" is bfloat16 autocast on GPUs that have it and else float32; "float32";
        "bfloat16".
    threads : of torch on the CPU; 0 leaves torch's own choice.
    log_every, eval_every, save_every : steps between metrics, held-out losses, checkpoints; 0
        for never but at the end.
    eval_sequences : held-out sequences, always the same ones.
    cta_from : step from which attention is CTA; -1 for never. With model.attention "cta" it is
        CTA from the start.
    """

    section = "train"

    steps: int = 250_000
    batch: int = 256
    accumulate: int = 1
    lr: float = 1e-4
    betas: tuple[float, float] = (0.9, 0.98)
    eps: float = 1e-6
    weight_decay: float = 0.01
    warmup: int = 10_000
    clip: float = 0.0
    seed: int = 0
    precision: str = "auto"
    threads: int = 0
    log_every: int = 50
    eval_every: int = 1000
    save_every: int = 1000
    eval_sequences: int = 64
    cta_from: int = -1

    def _check_ranges(self):
        self._within("steps", 1, 1 << 40)
        self._within("batch", 1, 1 << 20)
        self._within("accumulate", 1, 1 << 20)
        self._require("lr", 0 < self.lr < 100, "in (0, 100)")
        self._require("betas", all(0 <= b < 1 for b in self.betas), "in [0, 1)")
        self._require("eps", 0 < self.eps < 1, "in (0, 1)")
        self._require("weight_decay", 0 <= self.weight_decay < 1, "in [0, 1)")
        self._within("warmup", 0, 1 << 40)
        self._require("clip", self.clip >= 0, "0 or above")
        self._within("seed", 0, 2**31 - 1)
        self._one_of("precision", ("auto", "float32", "bfloat16"))
        self._within("threads", 0, 1024)
        for name in ("log_every", "eval_every", "save_every"):
            self._within(name, 0, 1 << 40)
        self._within("eval_sequences", 1, 1 << 20)
        self._within("cta_from", -1, 1 << 40)


@dataclass(frozen=True)
class CTAStage(_Section):
    """How bucket widths are chosen when attention becomes CTA.

    Parameters
    ----------
    point : "CTA-0", "CTA-0.5" or "CTA-1", clusters a token as the paper's; "" where
        ``rl`` is given.
    rl : target of RL = (k0 + 2 (k1 + k2)) / 3 n, in (0, 1]; 0 where ``point`` is given.
    directions : "random" as drawn, or "projection": principal directions of the projected
        tokens, computed when CTA begins. Learned directions are an option of the model.
    sequences : training sequences on which directions and widths are fitted.
    every : steps between recalibrations of the widths; 0 for none after the first.
    layers : which layers; none stands for all.
    """

    section = "cta"

    point: str = "CTA-0"
    rl: float = 0.0
    directions: str = "random"
    sequences: int = 8
    every: int = 200
    layers: tuple[int, ...] = ()

    def _check_ranges(self):
        self._one_of("point", ("", *POINTS))
        self._require("rl", 0 <= self.rl <= 1, "in [0, 1]")
        self._require("rl", (self.rl > 0) != bool(self.point),
                      "0 where cta.point is given, above 0 where it is not")
        self._one_of("directions", ("random", "projection"))
        self._within("sequences", 1, 1 << 16)
        self._within("every", 0, 1 << 40)
        self._require("layers", all(0 <= layer < 64 for layer in self.layers), "layers from 0")

    @property
    def target(self) -> dict:
        """As :func:`sw.nn.widths.calibrate` takes it."""
        return {"counts": POINTS[self.point]} if self.point else {"rl": self.rl}


@dataclass(frozen=True)
class RunConfig:
    """All of a run."""

    model: ModelConfig = field(default_factory=ModelConfig)
    data: DataConfig = field(default_factory=DataConfig)
    train: TrainConfig = field(default_factory=TrainConfig)
    cta: CTAStage = field(default_factory=CTAStage)

    def __post_init__(self):
        for layer in self.cta.layers:
            if layer >= self.model.layers:
                raise ConfigError(f"cta.layers is {self.cta.layers}, must be below model.layers "
                                  f"= {self.model.layers}")

    def to_dict(self) -> dict:
        """For JSON and TOML."""
        return asdict(self)

    def replace(self, **sections) -> "RunConfig":
        """A copy with some keys of some sections changed: ``replace(train={"steps": 5})``."""
        return replace(self, **{name: replace(getattr(self, name), **changes)
                                for name, changes in sections.items()})
