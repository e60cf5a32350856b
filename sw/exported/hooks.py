"""Exported layers inside a torch model: golden model or simulated Verilog in place of arithmetic.

    engines = on_engine(model, "export/", "rtl")
    model(ids)                                   # the layers of the export run as jobs
    engines["layers.0.attention.heads"].calls    # cycles, saturations, cluster counts

The hooks are those of fake quantisation (``fake``), so the rest of the model does not know. numpy
does the work; torch is needed for nothing but the tensors that come and go.
"""

import warnings
from dataclasses import dataclass, field

import numpy as np

from model.border import Borders, require_finite, warn_zero_rows
from model.lookup import layer as lookup
from model.lookup.job import Order
from sw.exported.jobs import add_up, require_backend, run_ffn, run_heads
from sw.exported.layer import AttentionLayer, FFNLayer
from sw.exported.reader import read

__all__ = ["Call", "EngineFFN", "EngineHeads", "on_engine"]


@dataclass
class Call:
    """What one forward of a layer took: ``cycles`` of all ``jobs``, one after another, without
    those that loading takes; ``saturations`` by name; ``token_elements`` that became integers and
    ``tokens_saturated``, those of them beyond the format; ``counts`` (B, 3) of clusters and
    ``overflow`` (3,) of attention, and its ``zero_rows``, compressed queries of all heads that
    have no probability left and give zeros; ``table_bytes`` of LookupFFN."""

    tokens: int
    jobs: int
    cycles: int
    saturations: dict
    counts: np.ndarray | None = None
    overflow: tuple[int, ...] = ()
    table_bytes: int = 0
    token_elements: int = 0
    tokens_saturated: int = 0
    zero_rows: int = 0


class NoGradient(UserWarning):
    """A layer on an engine is called as if it were to be trained."""


@dataclass(eq=False, repr=False)
class _Engine:
    layer: object
    backend: str = "golden"
    progress: bool = False
    calls: list[Call] = field(default_factory=list)
    warned: bool = False
    told: bool = False

    def __post_init__(self):
        require_backend(self.backend)

    @property
    def cycles(self) -> int:
        """Of all calls."""
        return sum(call.cycles for call in self.calls)

    def __repr__(self):
        return f"{type(self).__name__}({self.backend}, {len(self.calls)} calls)"

    def _tell(self, module):
        """Warn, the first time, where somebody is about to train through an engine."""
        import torch
        wanted = getattr(module, "training", False) and torch.is_grad_enabled() and any(
            p.requires_grad for p in module.parameters())
        if wanted and not self.told:
            self.told = True
            warnings.warn(f"{type(module).__name__} on an engine is in training mode: the engine gives "
                          "no gradients, and its weights are those of the export; take it off with "
                          "module.fake = None, or train on fakes of sw.quantise_model", NoGradient,
                          stacklevel=3)

    def _record(self, borders, call, rows=0):
        """Keep the call, and warn the first time that a large share of the tokens saturates, or of
        the ``rows`` of compressed queries have no probability."""
        call.token_elements = sum(crossing.elements for crossing in borders.values())
        call.tokens_saturated = sum(borders.saturated.values())
        self.calls.append(call)
        if self.warned:
            return
        told = borders.warn("tokens of an engine", stacklevel=4)
        self.warned = warn_zero_rows("attention on an engine", call.zero_rows, rows, 4) or told


def _named(saturations):
    return {kind.name.lower(): int(count) for kind, count in saturations.items()}


def _numpy(x):
    return x.detach().to("cpu").double().numpy()


def _back(raw, like):
    """float64 outputs as a tensor of the dtype and on the device of ``like``."""
    import torch
    return torch.from_numpy(raw).to(like)


class EngineHeads(_Engine):
    """``fake(heads, xq, xkv, valid_q, valid_kv)``: the layer as jobs, a head each.

    Padded tokens do not enter a job; outputs at padded queries are zeros. No gradients. Sets
    ``heads.counts``. Raises ValueError where the module is not that of the layer, and for NaN and
    infinite values in a token that is no padding.
    """

    def __call__(self, heads, xq, xkv=None, valid_q=None, valid_kv=None):
        import torch
        layer, cfg = self.layer, self.layer.cfg
        self._tell(heads)
        if (heads.dim, heads.heads) != (cfg.dw, len(layer.heads)):
            raise ValueError(f"the module has dim, heads = {heads.dim}, {heads.heads}, the "
                             f"export's layer {cfg.dw}, {len(layer.heads)}")
        if heads.mode != layer.mode.name.lower():
            raise ValueError(f"the module's mode is {heads.mode}, that of the export's layer is "
                             f"{layer.mode.name.lower()}")
        borders, sequences = Borders(), []
        q = self._tokens(xq, valid_q, borders, "x" if xkv is None else "xq")
        kv = [None] * len(q) if xkv is None else self._tokens(xkv, valid_kv, borders, "xkv")
        for one, other in zip(q, kv):
            sequences.append((one, None) if other is None else (other, one))
        results = run_heads(layer, sequences, self.backend, self.progress)
        o = np.zeros((*xq.shape[:2], cfg.dw))
        for at, row in enumerate(results):
            kept = slice(None) if valid_q is None else valid_q[at].cpu().numpy()
            o[at, kept] = np.concatenate([layer.output(head, result.o)
                                          for head, result in enumerate(row)], axis=1)
        self._note(results, sum(map(len, q)), borders)
        heads.counts = torch.from_numpy(self.calls[-1].counts).to(xq.device)
        return _back(o, xq)

    def _tokens(self, x, valid, borders, name):
        """Raw valid tokens of every sequence."""
        real = _numpy(x)
        if valid is not None:
            real = [one[kept] for one, kept in zip(real, valid.cpu().numpy())]
        # All at once, so that a refusal counts what there is to count.
        require_finite(name, np.concatenate(list(real)))
        return [self.layer.tokens(one, borders, name) for one in real]

    def _note(self, results, tokens, borders):
        flat = [result for row in results for result in row]
        # The heads of a sequence share the clustering: any one tells.
        counts = np.array([[row[0].k0, row[0].k1, row[0].k2] for row in results])
        self._record(borders, Call(
            tokens, len(flat), sum(result.cycles for result in flat),
            _named(add_up([result.saturations for result in flat])), counts,
            tuple(sum(row[0].overflow[c] for row in results) for c in range(3)),
            zero_rows=sum(result.zero_rows for result in flat)),
            rows=sum(result.k0 for result in flat))


@dataclass(eq=False, repr=False)
class EngineFFN(_Engine):
    """``fake(layer, x)``: the tokens (..., d), all of them, as one job. No gradients."""

    order: Order = Order.TOKEN_MAJOR

    def __call__(self, module, x):
        d = self.layer.cfg.d
        self._tell(module)
        if x.shape[-1] != d:
            raise ValueError(f"x has {x.shape[-1]} elements a token, must be d = {d}")
        if self.layer.cfg.residual:
            raise ValueError("the engine adds a residual, the module has none")
        borders = Borders()
        raw = self.layer.tokens(_numpy(x).reshape(-1, d), borders)
        result = run_ffn(self.layer, raw, self.backend, self.order, progress=self.progress)
        self._record(borders, Call(len(raw), -(-len(raw) // lookup.TOKENS_MAX), result.cycles,
                                   _named(result.saturations), table_bytes=result.table_bytes))
        return _back(self.layer.output(result.y).reshape(x.shape), x)


def on_engine(model, export, backend: str = "golden", progress: bool = False) -> dict:
    """Put engines on the layers of ``model`` that ``export`` has, by name; gives the engines.

    Parameters
    ----------
    model : a torch model with modules of these names that have an attribute ``fake``.
    export : the folder of an export, or layers by name.
    backend : of :data:`sw.sim.backends.BACKENDS`; "cpu" runs the kernel of LookupFFN and, for attention,
        the golden model.

    ``module.fake = None`` takes an engine off again. Raises ValueError, before anything is
    changed, where the model lacks a layer of the export or has another kind in its place.
    """
    from sw.nn.names import plain_names
    require_backend(backend)
    layers = export if isinstance(export, dict) else read(export)
    plain = plain_names(model)
    modules = {plain[name]: module for name, module in model.named_modules()}
    for name, layer in layers.items():
        # What tells the two kinds of modules apart: only one of them has heads.
        kind = AttentionLayer if hasattr(modules.get(name), "heads") else FFNLayer
        if not hasattr(modules.get(name), "fake") or not isinstance(layer, kind):
            raise ValueError(f"the model has no {type(layer).__name__} {name!r}, the export has")
    engines = {}
    for name, layer in layers.items():
        kind = EngineHeads if isinstance(layer, AttentionLayer) else EngineFFN
        engines[name] = kind(layer, backend, progress)
        _put(modules[name], engines[name])
    return engines


def _put(module, fake):
    # torch keeps a fake that is a module among the children, where nothing else may follow it.
    if "fake" in getattr(module, "_modules", {}):
        del module.fake
    module.fake = fake
