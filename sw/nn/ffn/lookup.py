"""LookupFFN: a feed-forward network made of a projection, hash codes and table rows."""

import math

import numpy as np
import torch
from torch import nn
from torch.nn import functional as F

from model.errors import ConfigError
from model.lookup.config import LookupConfig
from model.lookup.cost import account
from model.lookup.reference import Layer
from sw.nn.bh4 import bhk
from sw.nn.ffn import lookup_cpu
from sw.nn.ffn.lookup_gather import codes, gather, weights
from sw.nn.quantised_mark import mark

__all__ = ["LookupFFN"]


class LookupFFN(nn.Module):
    """y = sum_k s_k T_k[code_k] + out_bias, as the authors train it; (..., d) -> (..., d).

    z = gain BH4(x) + skip x + z_bias, cut into h codes of tau bits; each code picks a row of its
    table and a weight s (:mod:`sw.nn.ffn.lookup_gather`). x is padded with zeros to n, a power of two,
    and goes through r = ceil(h tau / n) copies of BH4. The skip with its two constants is not in
    the paper; the authors' code has it. A dense projection has neither skip nor copies. There is
    no residual, no norm and no dropout in here.

    Parameters
    ----------
    d, h, tau, block, neighbours, gelu_scaled : as in :class:`model.lookup.config.LookupConfig`,
        with its limits: what trains here can be built. ``block`` 0 stands for 64, or n.
    projection : "bh4", "dense", or a module (..., d) -> (..., h tau), such as one of
        :mod:`sw.nn.projections`; the hardware has only the first two, and ``config`` refuses a
        module.
    gain, skip : coefficients of BH4(x) and of x, 0 to 2; BH4 only.
    seed : of the initial weights; None takes torch's own generator.

    Members
    -------
    blocks (r, 4, n/bs, bs out, bs in) or dense (h tau, d); z_bias (h tau,); tables (h, 2**tau, d);
    out_bias (d,) : the learned tensors, in the layouts of the layer file and of the golden model.
    fake : None, or a callable ``fake(layer, x) -> y`` that forward calls instead of the layer's
        own arithmetic: fake quantisation, or an engine.
    aux_loss : None; the layer has no loss of its own.
    cpu_tables : what a kernel on the CPU takes the tables as in inference, "fp32", "bf16" or "int8", or
        None for no kernel (:mod:`sw.nn.ffn.lookup_cpu`). It is "fp32" at first.

    Raises ConfigError for a parameter outside its range, ValueError for a token of another size.

    Source: LookupFFN (ICML 2023), Sec. 3 and 4, eq. 7 and 11, and the authors' code for skip,
    padding, scale of H and initialisation: blocks N(0, 1/(bs n)), which keeps the variance over a
    stage; tables N(0, 0.02^2); out_bias N(0, 0.001^2); z_bias 0. Their dense projection is
    N(0, 0.02^2) at d = 512; here the deviation of z that follows from it is kept for every d.
    """

    def __init__(self, d: int, h: int, tau: int, projection: str | nn.Module = "bh4",
                 block: int = 0, *, gain: float = 0.7, skip: float = 0.3,
                 neighbours: bool = False, gelu_scaled: bool = True, seed: int | None = None):
        super().__init__()
        self.projection, self.fake, self.aux_loss = projection, None, None
        self.cpu_tables: str | None = "fp32"
        self.number = lookup_cpu.new_number(self)
        mark(self)
        own = isinstance(projection, nn.Module)
        self._cfg = cfg = LookupConfig(
            d=d, h=h, tau=tau, block=block, projection="dense" if own else projection,
            neighbours=neighbours, gelu_scaled=gelu_scaled)
        most = cfg.fmt.mix.real(cfg.fmt.mix.max)
        for name, value in (("gain", gain), ("skip", skip)):
            if not 0 <= value <= most:
                raise ConfigError(f"{name} is {value!r}, must be in 0..{most:.3f}")
        self.gain, self.skip = float(gain), float(skip)
        if own:
            for name, size in (("in_features", d), ("out_features", h * tau)):
                if getattr(projection, name, size) != size:
                    raise ConfigError(f"{name} of the projection is {getattr(projection, name)}, "
                                      f"must be {size}")
        else:
            setattr(self, "dense" if projection == "dense" else "blocks",
                    nn.Parameter(torch.empty(cfg.weight_shape)))
        self.z_bias = nn.Parameter(torch.empty(cfg.codes))
        self.tables = nn.Parameter(torch.empty(h, 1 << tau, d))
        self.out_bias = nn.Parameter(torch.empty(d))
        self.reset_parameters(seed)

    def reset_parameters(self, seed: int | None = None) -> None:
        """Draw the initial weights; a projection that is a module keeps its own."""
        cfg, generator = self._cfg, None
        if seed is not None:
            generator = torch.Generator(self.tables.device).manual_seed(seed)
        if hasattr(self, "blocks"):
            nn.init.normal_(self.blocks, std=1 / math.sqrt(cfg.block * cfg.n), generator=generator)
        elif hasattr(self, "dense"):
            nn.init.normal_(self.dense, std=0.02 * math.sqrt(512 / cfg.d), generator=generator)
        nn.init.normal_(self.tables, std=0.02, generator=generator)
        nn.init.normal_(self.out_bias, std=0.001, generator=generator)
        nn.init.zeros_(self.z_bias)

    d = property(lambda self: self._cfg.d, doc="Token dimension.")
    h = property(lambda self: self._cfg.h, doc="Hash tables.")
    tau = property(lambda self: self._cfg.tau, doc="Bits of a hash code.")
    block = property(lambda self: self._cfg.block, doc="Block size of BH4.")
    neighbours = property(lambda self: self._cfg.neighbours, doc="Rows at one sign flip as well.")
    gelu_scaled = property(lambda self: self._cfg.gelu_scaled, doc="Weights times <z, S_i>.")

    @property
    def flop(self) -> int:
        """FLOP a token, as the paper counts them (:mod:`model.lookup.cost`)."""
        cost = account(self._cfg)
        own = isinstance(self.projection, nn.Module)
        return (self.projection.flop if own else cost.hash_flop) + cost.gather_flop

    def project(self, x: torch.Tensor) -> torch.Tensor:
        """Soft hash codes z (..., h, tau) of tokens x (..., d)."""
        cfg = self._cfg
        if x.shape[-1] != cfg.d:
            raise ValueError(f"x has {x.shape[-1]} elements a token, must be d = {cfg.d}")
        if isinstance(self.projection, nn.Module):
            z = self.projection(x) + self.z_bias
        elif self.projection == "dense":
            z = F.linear(x, self.dense) + self.z_bias
        else:
            padded = F.pad(x.reshape(-1, cfg.d), (0, cfg.n - cfg.d))
            y = self.gain * bhk(padded, self.blocks) + self.skip * padded       # (r, t, n)
            z = y.transpose(0, 1).flatten(1)[:, :cfg.codes] + self.z_bias
        return z.reshape(*x.shape[:-1], cfg.h, cfg.tau)

    def codes(self, z: torch.Tensor) -> torch.Tensor:
        """Rows taken, int64 (..., h, entries): the heaviest, then with neighbours the flips."""
        return codes(z, self.neighbours)

    def weights(self, z: torch.Tensor) -> torch.Tensor:
        """Their weights s (..., h, entries)."""
        return weights(z, self.neighbours, self.gelu_scaled)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        if self.fake is not None:
            return self.fake(self, x)
        if lookup_cpu.serves(self, x):
            return lookup_cpu.forward(self, x)
        z = self.project(x.reshape(-1, x.shape[-1]))
        y = gather(self.tables, self.codes(z), self.weights(z)) + self.out_bias
        return y.reshape(x.shape)

    def __setstate__(self, state: dict) -> None:
        """A copy, or what was pickled: packed tables are not shared."""
        super().__setstate__({"cpu_tables": "fp32", **state, "number": lookup_cpu.new_number(self)})

    def train(self, mode: bool = True):
        """As every module's; what was packed for inference is dropped."""
        lookup_cpu.drop(self.number)
        return super().train(mode)

    # -- the same layer elsewhere -----------------------------------------------------------------

    def config(self, **engine) -> LookupConfig:
        """The engine that this layer asks for; ``engine`` adds the parameters that do not change
        what is computed (multipliers, lanes, batch, tables, ...), the formats and the residual.

        Raises ConfigError for a projection that is a module: no engine has it.
        """
        if isinstance(self.projection, nn.Module):
            raise ConfigError(f"projection is {type(self.projection).__name__}, must be 'bh4' or "
                              "'dense' on an engine")
        cfg = self._cfg
        return LookupConfig(**{
            "d": cfg.d, "h": cfg.h, "tau": cfg.tau, "block": cfg.block,
            "projection": cfg.projection, "neighbours": cfg.neighbours,
            "gelu_scaled": cfg.gelu_scaled, **engine})

    def operands(self, x: torch.Tensor, residual: torch.Tensor | None = None) -> Layer:
        """The layer and tokens x (..., d) in float64 numpy, for the float reference and for
        quantisation; tokens come as (t, d). Raises ConfigError as :meth:`config` does."""
        dense = self.config().projection == "dense"

        def real(value) -> np.ndarray:
            return value.detach().to("cpu", torch.float64).numpy()
        return Layer(real(x).reshape(-1, self.d), real(self.dense if dense else self.blocks),
                     real(self.z_bias), real(self.tables), real(self.out_bias),
                     self.gain, self.skip,
                     None if residual is None else real(residual).reshape(-1, self.d))
