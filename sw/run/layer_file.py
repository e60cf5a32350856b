"""Read a LookupFFN layer from an ``.npz``, and the engine it asks for."""

from model.lookup.config import STAGES, LookupConfig
from model.lookup.reference import Layer
from sw.io.configuration import engine
from sw.io.errors import InputError
from sw.io.npz import array, read_npz

__all__ = ["read_layer", "make_config"]

KEYS = ("x", "blocks", "dense", "z_bias", "tables", "out_bias", "skip", "residual", "meta")


def read_layer(path) -> Layer:
    """Read and check a layer file; raises :class:`InputError`.

    ``skip`` holds the coefficients of x and of BH4(x), or only that of x, which leaves the rest
    of 1 to BH4(x); without it they are 0.3 and 0.7.
    """
    return read_npz(path, KEYS, _read)


def _read(data) -> Layer:
    if ("blocks" in data.files) == ("dense" in data.files):
        raise InputError("the projection must come as blocks (BH4), or as dense")
    for key in ("x", "z_bias", "tables", "out_bias"):
        if key not in data.files:
            raise InputError(f"key {key!r} is missing")
    x = array(data, "x", (None, None))
    t, d = x.shape
    tables = array(data, "tables", (None, None, d))
    h, rows, _ = tables.shape
    tau = rows.bit_length() - 1
    if rows < 2 or rows != 1 << tau:
        raise InputError(f"tables has shape {tables.shape}: {rows} rows a table, must be a power "
                         "of two from 2")
    mixed = {}
    if "dense" in data.files:
        w = array(data, "dense", (h * tau, d))
        if "skip" in data.files:
            raise InputError("a dense projection has no skip")
    else:
        w = array(data, "blocks", (None, STAGES, None, None, None))
        if "skip" in data.files:
            skip = array(data, "skip")
            if skip.shape not in ((), (1,), (2,)):
                raise InputError(f"skip has shape {skip.shape}, must be one coefficient or two")
            skip = skip.reshape(-1)
            mixed = {"skip": skip[0], "gain": skip[1] if len(skip) == 2 else 1 - skip[0]}
    residual = array(data, "residual", (t, d)) if "residual" in data.files else None
    return Layer(x, w, array(data, "z_bias", (h * tau,)), tables, array(data, "out_bias", (d,)),
                 residual=residual, **mixed)


def make_config(real: Layer, flags: dict, path=None) -> LookupConfig:
    """The engine for a layer: a config file, over it the flags, the rest from the shapes."""
    h, rows, d = real.tables.shape
    dense = real.w.ndim == 2
    shapes = {"d": d, "h": h, "tau": rows.bit_length() - 1, "residual": real.residual is not None,
              "projection": "dense" if dense else "bh4"}
    if not dense:
        shapes["block"] = real.w.shape[-1]
    cfg = engine(LookupConfig, flags, path, **shapes)
    for name in ("d", "h", "tau", "projection", "residual"):
        if getattr(cfg, name) != shapes[name]:
            raise InputError(f"the layer has {name} = {shapes[name]}, the engine is built for "
                             f"{getattr(cfg, name)}")
    if real.w.shape != cfg.weight_shape:
        raise InputError(f"{'dense' if dense else 'blocks'} has shape {real.w.shape}, must be "
                         f"{cfg.weight_shape}")
    most = cfg.fmt.mix.real(cfg.fmt.mix.max)
    for name, value in (("of x", real.skip), ("of BH4(x)", real.gain)):
        if not 0 <= value <= most:
            raise InputError(f"the coefficient {name} in skip is {value:g}, must be in "
                             f"0..{most:.3f}")
    return cfg
