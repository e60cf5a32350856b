"""Fake quantisation of LookupFFN: the engine's integers inside a torch model.

Put a :class:`FakeLookup` on ``LookupFFN.fake``, and the layer's forward gives what the engine
would, bit for bit, while its gradients reach blocks, biases and tables. ``sw.quant.observe``
chooses the points.
"""

import numpy as np
import torch
from torch import Tensor

from model.border import Borders
from model.errors import ConfigError
from model.fixed import SHIFT
from model.lookup.config import LookupConfig
from model.lookup.quantise import Points, raw_mix, raw_weights, shifts
from sw.exported.layer import FFNLayer
from sw.quant import lookup_stages
from sw.quant.fixed import counted, power

__all__ = ["FakeLookup", "engine"]


def engine(layer, **options) -> LookupConfig:
    """The engine for a LookupFFN: what the layer computes, the rest from ``options``.

    Raises ConfigError where no engine has the layer's projection or dimensions.
    """
    cfg = layer.config(**options)
    if cfg.residual:
        raise ConfigError("residual is True, must be False: the model adds the residual itself")
    own = layer.config()
    for name in ("d", "h", "tau", "block", "projection", "neighbours", "gelu_scaled"):
        if getattr(cfg, name) != getattr(own, name):
            raise ConfigError(f"{name} is {getattr(cfg, name)!r}, must be {getattr(own, name)!r} "
                              "as in the layer")
    return cfg


class FakeLookup:
    """``fake(layer, x)``: what the LookupFFN engine gives of the layer, (..., d) -> (..., d).

    Points are frozen; blocks, biases and tables are quantised at every call from what the layer
    has then, saturating. It has no tensors of its own, so it is no nn.Module: checkpoints do not
    change with it.

    Parameters
    ----------
    cfg : the engine (:func:`engine`).
    points : of the layer's tensors (``sw.quant.observe``).

    Members
    -------
    saturations : by :class:`model.lookup.job.Saturation` the counts of the last call.
    codes : rows (t, h, entries) that the last call took, None before.
    borders : of the last call, by tensor the elements that became integers and those that
        saturated (:mod:`model.border`).

    Warns once (:class:`model.border.SaturationWarning`) when a call saturates a share of
    ``model.border.LARGE`` of a tensor.

    Gradients: those of ``sw.quant.fixed`` and ``sw.quant.lookup_stages``.

    Raises ConfigError for formats that float64 cannot compute exactly, ValueError for points whose
    shifts lie outside 0..31; a call ValueError for NaN and infinite values in tokens or weights,
    which it names.
    """

    def __init__(self, cfg: LookupConfig, points: Points):
        self.check(cfg)
        self.cfg, self.points, self.saturations, self.codes = cfg, points, {}, None
        self.borders, self._warned = Borders(), False
        self._weight_shifts, self._job_shifts = shifts(cfg, points)
        for name, value in (*self._weight_shifts.items(), *self._job_shifts.items()):
            low, high = int(np.min(value)), int(np.max(value))
            if low < 0 or high > SHIFT.max:
                raise ValueError(f"{name} is in {low}..{high}, must be in 0..{SHIFT.max}: the "
                                 "layer's sizes lie beyond the formats")

    @staticmethod
    def check(cfg: LookupConfig) -> None:
        """Raise ConfigError for an engine whose numbers float64 cannot compute exactly."""
        lookup_stages.check_exact(cfg)

    def __repr__(self):
        return f"FakeLookup(x={self.points.x}, y={self.points.y}, h={self.cfg.h})"

    def raw(self, layer, borders: Borders | None = None) -> lookup_stages.RawLayer:
        """The layer's weights as raw tensors, differentiable; ``borders`` gets the counts."""
        cfg, p, f = self.cfg, self.points, self.cfg.fmt
        borders = Borders() if borders is None else borders
        device = layer.tables.device

        def at(point, dims):
            return torch.as_tensor(point, device=device).reshape(*point.shape, *[1] * dims)

        if cfg.projection == "dense":
            w = counted(borders, "w", layer.dense, f.weight, int(p.w))
        else:
            w = counted(borders, "w", layer.blocks, f.weight, at(p.w, 3))
        return lookup_stages.RawLayer(
            w=w, z_bias=counted(borders, "z_bias", layer.z_bias, f.z_bias),
            tables=counted(borders, "tables", layer.tables, f.table, at(p.table, 2)),
            out_bias=counted(borders, "out_bias", layer.out_bias, f.out_bias, p.acc),
            **{name: torch.as_tensor(value, device=device)
               for name, value in self._weight_shifts.items()},
            **raw_mix(cfg, layer, borders), **self._job_shifts)

    def tokens(self, x: Tensor, borders: Borders | None = None) -> Tensor:
        """Real tokens to raw ones; ``borders`` gets the counts."""
        return counted(Borders() if borders is None else borders, "x", x, self.cfg.fmt.x,
                       self.points.x)

    def layer(self, layer) -> FFNLayer:
        """The layer for engine and export, of the weights it has now."""
        real = layer.operands(layer.out_bias[None])           # any token will do
        borders = Borders()
        weights = raw_weights(self.cfg, real, self.points, borders)
        return FFNLayer(self.cfg, weights, **raw_mix(self.cfg, layer, borders),
                        **self._job_shifts, point_x=self.points.x, point_y=self.points.y,
                        borders=borders)

    def __call__(self, layer, x: Tensor) -> Tensor:
        """y, in shape and dtype of ``x``, which rounds them below float32."""
        own = layer.config()
        if (own.d, own.h, own.tau) != (self.cfg.d, self.cfg.h, self.cfg.tau):
            raise ValueError(f"the layer has d, h, tau = {own.d}, {own.h}, {own.tau}, must be "
                             f"{self.cfg.d}, {self.cfg.h}, {self.cfg.tau} as in the engine")
        with torch.autocast(x.device.type, enabled=False):
            borders = Borders()
            t = lookup_stages.trace(self.cfg, self.raw(layer, borders),
                                    self.tokens(x.reshape(-1, x.shape[-1]), borders))
            self.saturations, self.codes = t["saturations"], t["codes"]
            self.borders = borders
            self._warned = self._warned or borders.warn("LookupFFN in integers", stacklevel=3)
            return (t["y"] * power(-self.points.y)).reshape(x.shape).to(x.dtype)
