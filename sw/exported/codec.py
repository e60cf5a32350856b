"""Layers to bytes and back: exactly the words and beats that the engines' host streams take.

An image is a sequence of loads: a load word (``LOAD_FIELDS`` of the engine's layout, rounded up to
whole bytes), then its data beats. A host that sends each word on ``load`` and each beat on
``data``, in this order, has loaded the layer. Where the tables of a LookupFFN layer are external,
the memory behind the table port follows as it must lie there. All little-endian.

The words come from ``model/cta/layout.py`` and ``model/lookup/layout.py``; docs/export.md shows an
image byte by byte.
"""

from collections.abc import Callable, Iterable
from dataclasses import dataclass

import numpy as np

from model.cta import layout as cta
from model.cta.config import CTAConfig
from model.cta.job import HeadWeights, LSHParams
from model.lookup import layout as lookup
from model.lookup.config import STAGES, LookupConfig
from model.lookup.job import LayerWeights
from model.lookup.weight_layout import weight_order
from model.words import pack_fields, unpack_fields
from sw.exported.layer import AttentionLayer, FFNLayer
from sw.io.errors import InputError

__all__ = ["Image", "ImageError", "encode", "decode_heads", "decode_weights", "beat_bytes",
           "word_bytes", "set_of"]

TABLE_ALIGNMENT = 64    # of the table memory in the file, at least


class ImageError(InputError):
    """An export that cannot be read, or a layer that cannot be exported, in one line."""


@dataclass(frozen=True)
class Image:
    """The bytes of a layer, and where things lie in them.

    ``loads`` : per weight set a tuple of dicts: ``target`` (name), ``set`` (CTA only), ``base``,
    ``rows`` or ``beats`` as in the load word; ``offset`` of the load word; ``bytes`` with the
    beats. ``tables`` : offset, bytes, row_bytes and beat_bytes of external tables, or None.
    """

    data: bytes
    loads: tuple[tuple[dict, ...], ...]
    tables: dict | None = None


def word_bytes(fields) -> int:
    """Bytes of a word of these fields."""
    return -(-sum(width for _, width in fields) // 8)


def beat_bytes(cfg: CTAConfig | LookupConfig) -> int:
    """Bytes of a beat of the data stream."""
    if isinstance(cfg, CTAConfig):
        return cfg.lanes * cta.ELEMENT_WIDTH // 8
    return lookup.HOST_LANES * lookup.ELEMENT_WIDTH // 8


def set_of(cfg: CTAConfig, head: int) -> int:
    """The weight set in which a head goes: heads take turns on the sets of the engine."""
    return head % cfg.sets


def encode(layer: AttentionLayer | FFNLayer) -> Image:
    """The image of a layer. Raises :class:`ImageError` for formats beyond the words of the RTL."""
    try:
        layer.cfg.require_buildable()
    except ValueError as error:
        raise ImageError(f"no engine can be built for the layer: {error}") from None
    return _encode_heads(layer) if isinstance(layer, AttentionLayer) else _encode_ffn(layer)


def _write(data: bytearray, fields, loads: Iterable, count: str, beats: Callable, size: int):
    """Append loads; ``count`` is the field that tells how long one is. Gives their places."""
    placed = []
    for load in loads:
        values = {name: len(getattr(load, name)) if name == count else int(getattr(load, name))
                  for name, _ in fields}
        offset = len(data)
        data += pack_fields(fields, values).to_bytes(word_bytes(fields), "little")
        for beat in beats(load):
            data += beat.to_bytes(size, "little")
        placed.append(values | {"target": load.target.name, "offset": offset,
                                "bytes": len(data) - offset})
    return tuple(placed)


def _encode_heads(layer):
    cfg, data, loads = layer.cfg, bytearray(), []
    for head, weights in enumerate(layer.heads):
        loads.append(_write(data, cta.LOAD_FIELDS, cta.weight_loads(cfg, weights, set_of(cfg, head)),
                            "rows", lambda load: cta.beats(cfg, load), beat_bytes(cfg)))
    return Image(bytes(data), tuple(loads))


def _encode_ffn(layer):
    cfg, data, tables = layer.cfg, bytearray(), None
    loads = _write(data, lookup.LOAD_FIELDS, lookup.weight_loads(cfg, layer.weights), "beats",
                   lambda load: load.beats, beat_bytes(cfg))
    if cfg.tables == "external":
        data += bytes(-len(data) % _alignment(cfg))
        tables = _table_place(cfg, len(data))
        data += lookup.table_image(cfg, layer.weights.tables)
    return Image(bytes(data), (loads,), tables)


def _alignment(cfg):
    return max(TABLE_ALIGNMENT, cfg.lanes)


def _table_place(cfg, offset):
    return {"offset": offset, "bytes": cfg.table_bytes, "row_bytes": cfg.row_bytes,
            "beat_bytes": cfg.lanes}


# -- and back --------------------------------------------------------------------------------------

class _Reader:
    """Walks an image: every load must be the one that is due, every bit must mean something."""

    def __init__(self, data: bytes, fields, beat: int, count: str):
        self.data, self.fields, self.size, self.count = memoryview(data), fields, beat, count
        self.at, self.placed = 0, []

    def take(self, size: int, what: str) -> memoryview:
        if self.at + size > len(self.data):
            raise ImageError(f"{what} ends at byte {self.at + size}, the image has "
                             f"{len(self.data)}")
        self.at += size
        return self.data[self.at - size:self.at]

    def load(self, beats: int, due: dict) -> np.ndarray:
        """The beats (beats, bytes) of the next load, the fields of whose word must be ``due``."""
        target, at = due["target"].name, self.at
        word = int.from_bytes(self.take(word_bytes(self.fields), f"load {target}"), "little")
        got = unpack_fields(self.fields, word)
        for name, value in due.items():
            if got[name] != int(value):
                raise ImageError(f"the load at byte {at} has {name} {got[name]}, must be "
                                 f"{int(value)} (load {target})")
        raw = self.take(beats * self.size, f"load {target}")
        self.placed.append(got | {"target": target, "offset": at, "bytes": self.at - at})
        return np.frombuffer(raw, np.uint8).reshape(beats, self.size)

    def singles(self, count: int, **due) -> np.ndarray:
        """A load of one 32-bit element a beat, int64."""
        at = self.at
        raw = self.load(count, due | {self.count: count})
        self.require_zero(raw[:, 4:], at)
        return np.ascontiguousarray(raw[:, :4]).view("<i4").astype(np.int64).reshape(-1)

    def elements(self, count: int, length: int, **due) -> np.ndarray:
        """A load of ``count`` 16-bit elements in full beats, int64; its word says ``length``."""
        at = self.at
        raw = self.load(-(-2 * count // self.size), due | {self.count: length}).reshape(-1)
        self.require_zero(raw[2 * count:], at)
        return raw[:2 * count].view("<i2").astype(np.int64)

    def require_zero(self, raw, at: int):
        if np.any(raw):
            raise ImageError(f"the load at byte {at} has bits set in the padding of its beats")

    def end(self):
        if self.at != len(self.data):
            raise ImageError(f"the image has {len(self.data)} bytes, must be {self.at}")


def decode_heads(cfg: CTAConfig, data: bytes, heads: int) -> tuple[tuple[HeadWeights, ...], Image]:
    """The weights of ``heads`` heads, bit for bit, and the image as :func:`encode` gives it.

    Raises :class:`ImageError` for an image that :func:`encode` does not give.
    """
    read, found, loads = _Reader(data, cta.LOAD_FIELDS, beat_bytes(cfg), "rows"), [], []
    for head in range(heads):
        found.append(_decode_head(cfg, read, set_of(cfg, head)))
        loads.append(tuple(read.placed))
        read.placed = []
    read.end()
    return tuple(found), Image(data, tuple(loads))


def _decode_head(cfg, read, index):
    def rows(target, count):
        raw = read.elements(count * cfg.dw, count, target=target, set=index, base=0)
        return raw.reshape(count, cfg.dw)

    def parameters(base, count):
        return read.singles(count, target=cta.Target.PARAMETER, set=index, base=base)

    wq, wk, wv = (np.ascontiguousarray(rows(target, cfg.d).T)
                  for target in (cta.Target.WQ, cta.Target.WK, cta.Target.WV))
    lsh = []
    for c in range(3):
        a = rows(cta.Target(cta.Target.A0 + c), cfg.l)
        b = parameters(16 * c + cta.Parameter.LSH_B, cfg.l)
        scalars = parameters(16 * c + cta.Parameter.LSH_INV_W, 3)
        lsh.append(LSHParams(a, b, *scalars.tolist()))
    return HeadWeights(wq, wk, wv, parameters(cta.Parameter.BQ, cfg.d),
                       parameters(cta.Parameter.BV, cfg.d), tuple(lsh))


def decode_weights(cfg: LookupConfig, data: bytes) -> tuple[LayerWeights, Image]:
    """The weights and tables of a LookupFFN layer, bit for bit, and the image.

    Raises as :func:`decode_heads`.
    """
    target, parameter = lookup.Target, lookup.Parameter
    read = _Reader(data, lookup.LOAD_FIELDS, beat_bytes(cfg), "beats")
    # Where in the load each weight lies is asked of the function that put it there; 0 is padding.
    order = weight_order(cfg, np.arange(1, 1 + np.prod(cfg.weight_shape)).reshape(cfg.weight_shape))
    flat = read.elements(len(order), -(-len(order) // lookup.HOST_LANES), target=target.WEIGHT,
                         base=0)
    w = np.zeros(int(np.prod(cfg.weight_shape)), np.int64)
    w[order[order > 0] - 1] = flat[order > 0]
    read.require_zero(flat[order == 0], 0)

    def shifts(base, shape):
        return read.singles(int(np.prod(shape)), target=target.SHIFT, base=base).reshape(shape)

    z_bias, out_bias, shift_s = (read.singles(count, target=which, base=0) for which, count in (
        (target.Z_BIAS, cfg.codes), (target.OUT_BIAS, cfg.d), (target.SHIFT_S, cfg.h)))
    shift_z = shifts(parameter.Z, (cfg.copies,))
    shift_block = shift_hadamard = None
    if cfg.projection == "bh4":
        shift_block = shifts(parameter.BLOCK, (cfg.copies, STAGES))
        shift_hadamard = shifts(parameter.HADAMARD, (cfg.copies, STAGES))
    tables, place = _decode_tables(cfg, read)
    read.end()
    weights = LayerWeights(w.reshape(cfg.weight_shape), shift_z, z_bias, tables, shift_s, out_bias,
                           shift_block, shift_hadamard)
    return weights, Image(data, (tuple(read.placed),), place)


def _decode_tables(cfg, read):
    at, place = read.at, None
    if cfg.tables == "internal":
        width = min(cfg.lanes, read.size)    # bytes of a host beat that carry a table
        count = cfg.table_bytes // width
        raw = read.load(count, {"target": lookup.Target.TABLE, "base": 0, "beats": count})
        read.require_zero(raw[:, width:], at)
        raw = raw[:, :width].reshape(cfg.rows, cfg.row_bytes)
    else:
        read.require_zero(np.frombuffer(read.take(-at % _alignment(cfg), "padding"), np.uint8), at)
        at = read.at
        place = _table_place(cfg, at)
        raw = np.frombuffer(read.take(cfg.table_bytes, "table memory"), np.uint8)
        raw = raw.reshape(cfg.rows, cfg.row_bytes)
    read.require_zero(raw[:, cfg.d:], at)
    return raw[:, :cfg.d].astype(np.int8).reshape(cfg.h, 1 << cfg.tau, cfg.d), place
