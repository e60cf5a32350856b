"""The manifest of an export: what lies where, with hashes, so that no byte can go astray unseen.

``manifest.json`` has the format "hashlayer export" and a schema version. A reader takes its own
version only; any key that is missing, unknown, or disagrees with another is refused. The whole is
hashed as well: a changed scale would give wrong numbers as surely as a changed weight.
docs/export.md lists every key.
"""

import dataclasses
import hashlib
import json
import re
from dataclasses import dataclass
from importlib import metadata

from model.border import Borders
from model.cta import layout as cta
from model.cta.config import CTAConfig
from model.cta.job import Mode, Shifts
from model.cta.quantise import Points
from model.errors import ConfigError
from model.lookup import layout as lookup
from model.lookup.config import LookupConfig
from sw.exported.codec import Image, ImageError, beat_bytes, set_of, word_bytes
from sw.exported.layer import HEADS_MAX, AttentionLayer, FFNLayer

__all__ = ["FORMAT", "SCHEMA", "FILE", "Entry", "describe", "document", "dump", "check", "claimed",
           "sha256"]

FORMAT = "hashlayer export"
SCHEMA = 3
FILE = "manifest.json"

KINDS = {"cta": (CTAConfig, cta), "lookup": (LookupConfig, lookup)}
TOP = ("format", "schema", "version", "meta", "words", "layers", "sha256")
COMMON = ("name", "kind", "engine", "digest", "file", "bytes", "sha256", "word_bytes", "beat_bytes",
          "borders")
OWN = {"cta": ("mode", "heads"), "lookup": ("job", "points", "loads", "tables")}
HEAD = ("set", "shared_a", "points", "shifts", "loads")
JOB = ("gain", "skip", "shift_skip", "shift_y")


@dataclass(frozen=True)
class Entry:
    """One layer of a checked manifest; ``data`` are its keys as they stand there."""

    name: str
    kind: str
    cfg: CTAConfig | LookupConfig
    file: str
    size: int
    sha256: str
    data: dict

    @property
    def heads(self) -> int:
        """Weight sets in the image."""
        return len(self.data["heads"]) if self.kind == "cta" else 1

    def layer(self, weights) -> AttentionLayer | FFNLayer:
        """The layer, from the weights of its image; raises ValueError as the layers do."""
        data = self.data
        borders = Borders.from_dict(data["borders"])
        if self.kind == "cta":
            return AttentionLayer(self.cfg, Mode[data["mode"].upper()], weights,
                                  tuple(Points(**head["points"]) for head in data["heads"]),
                                  tuple(Shifts(**head["shifts"]) for head in data["heads"]),
                                  borders)
        return FFNLayer(self.cfg, weights, **data["job"], point_x=data["points"]["x"],
                        point_y=data["points"]["y"], borders=borders)


def sha256(data: bytes) -> str:
    return hashlib.sha256(data).hexdigest()


# -- writing ---------------------------------------------------------------------------------------

def describe(name: str, layer: AttentionLayer | FFNLayer, image: Image, file: str) -> dict:
    """The manifest's entry of a layer."""
    kind = "cta" if isinstance(layer, AttentionLayer) else "lookup"
    common = {"name": name, "kind": kind, "engine": layer.cfg.as_dict(), "digest": layer.cfg.digest,
              "file": file, "bytes": len(image.data), "sha256": sha256(image.data),
              "word_bytes": word_bytes(KINDS[kind][1].LOAD_FIELDS),
              "beat_bytes": beat_bytes(layer.cfg), "borders": layer.borders.as_dict()}
    if kind == "cta":
        heads = [{"set": set_of(layer.cfg, at), "shared_a": weights.shared_a,
                  "points": _integers(layer.points[at]), "shifts": _integers(layer.shifts[at]),
                  "loads": list(image.loads[at])} for at, weights in enumerate(layer.heads)]
        return common | {"mode": layer.mode.name.lower(), "heads": heads}
    return common | {"job": {key: int(getattr(layer, key)) for key in JOB},
                     "points": {"x": int(layer.point_x), "y": int(layer.point_y)},
                     "loads": list(image.loads[0]), "tables": image.tables}


def _integers(record):
    return {key: int(value) for key, value in dataclasses.asdict(record).items()}


def document(entries: list[dict], meta: dict) -> dict:
    """The whole manifest. ``meta`` is anything that is JSON."""
    data = {"format": FORMAT, "schema": SCHEMA, "version": _version(), "meta": meta,
            "words": _words(), "layers": entries}
    return data | {"sha256": sha256(_canonical(data))}


def dump(data: dict) -> bytes:
    """The manifest as it is written."""
    return (json.dumps(data, indent=1) + "\n").encode()


def _version():
    try:
        return metadata.version("hashlayer")
    except metadata.PackageNotFoundError:    # run from a folder that was never installed
        return "unknown"


def _words():
    """Load and job words of both engines: names and bits from the lowest up, and the targets."""
    return {kind: {"load": [list(field) for field in layout.LOAD_FIELDS],
                   "job": [list(field) for field in layout.JOB_FIELDS],
                   "targets": {target.name: int(target) for target in layout.Target}}
            for kind, (_, layout) in KINDS.items()}


def _canonical(data):
    """What the manifest's own hash is taken of: all but that hash, keys sorted, no spaces."""
    try:
        return json.dumps({key: value for key, value in data.items() if key != "sha256"},
                          sort_keys=True, separators=(",", ":"), allow_nan=False).encode()
    except (TypeError, ValueError) as error:
        raise ImageError(f"meta is not JSON: {error}") from None


# -- reading ---------------------------------------------------------------------------------------

def check(raw: bytes) -> list[Entry]:
    """The layers of a manifest, after everything in it that can be checked without the images."""
    try:
        data = json.loads(raw, object_pairs_hook=_object)
    except ImageError:
        raise
    except (ValueError, RecursionError) as error:
        raise ImageError(f"{FILE} is not JSON: {error}") from None
    if not isinstance(data, dict) or data.get("format") != FORMAT:
        raise ImageError(f"{FILE} does not say format {FORMAT!r}: not an export")
    schema = data.get("schema")
    if type(schema) is not int or schema != SCHEMA:
        newer = type(schema) is int and schema > SCHEMA
        raise ImageError(f"{FILE} has schema {schema!r}, this version reads {SCHEMA}"
                         + (": written by a newer hashlayer" if newer else ""))
    _keys(FILE, data, TOP)
    if data["sha256"] != sha256(_canonical(data)):
        raise ImageError(f"{FILE} does not have the hash it states: damaged, or edited")
    if data["words"] != _words():
        raise ImageError(f"{FILE} has other words than this version's engines")
    if not isinstance(data["layers"], list) or not data["layers"]:
        raise ImageError(f"{FILE} has no layers")
    entries = [_entry(at, layer) for at, layer in enumerate(data["layers"])]
    for what in ("name", "file"):
        found = [getattr(entry, what) for entry in entries]
        for value in found:
            if found.count(value) > 1:
                raise ImageError(f"{what} {value!r} stands for several layers")
    return entries


def claimed(raw: bytes) -> set[str]:
    """The files of an export of any schema, damaged or not, by its manifest; raises
    :class:`ImageError` where that is none."""
    try:
        data = json.loads(raw)
        if data["format"] == FORMAT:
            return {FILE} | {layer["file"] for layer in data["layers"]}
    except (ValueError, RecursionError, TypeError, KeyError):
        pass
    raise ImageError(f"{FILE} is not that of an export")


def _object(pairs):
    found = dict(pairs)
    if len(found) != len(pairs):
        raise ImageError(f"{FILE} has a key twice, one of {', '.join(key for key, _ in pairs)}")
    return found


def _keys(where, data, keys):
    if not isinstance(data, dict):
        raise ImageError(f"{where} is {type(data).__name__}, must be an object")
    for key in keys:
        if key not in data:
            raise ImageError(f"{where} lacks {key!r}")
    for key in data:
        if key not in keys:
            raise ImageError(f"{where} has the unknown key {key!r}")


def _kind(where, data, key, kind):
    value = data[key]
    if type(value) is not kind:
        raise ImageError(f"{where}: {key} is {value!r}, must be {kind.__name__}")
    return value


def _entry(at, data):
    where = f"layer {at}"
    if not isinstance(data, dict) or data.get("kind") not in KINDS:
        kind = data.get("kind") if isinstance(data, dict) else data
        raise ImageError(f"{where} has kind {kind!r}, must be one of {', '.join(KINDS)}")
    kind = data["kind"]
    _keys(where, data, COMMON + OWN[kind])
    name, file = _kind(where, data, "name", str), _kind(where, data, "file", str)
    where = f"layer {name}"
    if not re.fullmatch(r"[A-Za-z0-9][A-Za-z0-9._-]{0,250}", file) or file == FILE:
        raise ImageError(f"{where}: file is {file!r}, must be a plain name in the export's folder")
    try:
        cfg = KINDS[kind][0].from_dict(data["engine"])
    except (ConfigError, TypeError) as error:
        raise ImageError(f"{where}: {error}") from None
    if cfg.as_dict() != data["engine"]:
        raise ImageError(f"{where}: engine does not spell out every parameter")
    if cfg.digest != data["digest"]:
        raise ImageError(f"{where}: digest is {data['digest']!r}, that of its engine is "
                         f"{cfg.digest}")
    try:
        Borders.from_dict(_kind(where, data, "borders", dict))
    except ValueError as error:
        raise ImageError(f"{where}: {error}") from None
    _operands(where, kind, data)
    return Entry(name, kind, cfg, file, _kind(where, data, "bytes", int),
                 _kind(where, data, "sha256", str), data)


def _operands(where, kind, data):
    """Names of what goes to the layer's own checks; the loads are held against the image."""
    if kind == "lookup":
        _keys(f"{where}: job", data["job"], JOB)
        _keys(f"{where}: points", data["points"], ("x", "y"))
        return
    if data["mode"] not in [mode.name.lower() for mode in Mode]:
        raise ImageError(f"{where}: mode is {data['mode']!r}, must be cta or exact")
    heads = _kind(where, data, "heads", list)
    if not 1 <= len(heads) <= HEADS_MAX:
        raise ImageError(f"{where}: there are {len(heads)} heads, must be 1..{HEADS_MAX}")
    for at, head in enumerate(heads):
        _keys(f"{where}: head {at}", head, HEAD)
        for key, record in (("points", Points), ("shifts", Shifts)):
            _keys(f"{where}: {key} of head {at}", head[key],
                  [field.name for field in dataclasses.fields(record)])
