"""Workloads of a search: layers of attention or of LookupFFN by their shapes, as plain data."""

import hashlib
from pathlib import Path

from model.config import require_integer, shown
from model.cta.cost import OPERATING_POINTS
from model.errors import ConfigError
from sw.explore.values import table
from sw.io.errors import InputError
from sw.studies.bench.layers import EXACT, NETS

__all__ = ["POINTS", "clusters", "counts", "read"]

POINTS = (*(point.name for point in OPERATING_POINTS), EXACT)
"""Words for the compression of a layer."""

KEYS = {"cta": ("name", "net", "dw", "d", "heads", "shared", "n", "point", "clusters", "layers", "operands"),
        "lookup": ("name", "d", "tokens", "layers")}


def read(engine: str, given, number: int) -> dict:
    """A workload of a space file, checked and complete. Raises InputError.

    Of attention: ``dw``, ``d``, ``heads`` and ``shared`` (clusters of the heads), by ``net`` or one by one;
    ``n`` tokens; ``layers`` alike; ``point`` or ``clusters`` (k0, k1, k2), both None where each point of the
    space has its own; ``operands``, files of heads on which the error is measured. Of LookupFFN: ``d``,
    ``tokens``, ``layers``.
    """
    where = f"workloads[{number}]"
    given = dict(table(where, given, KEYS[engine]))
    found = {"name": given.get("name", given.get("net", f"workload {number}")), "layers": 1}
    try:
        if engine == "lookup":
            found |= {"tokens": 128} | given
            if "d" not in found:
                raise InputError(f"{where} lacks 'd', the dimension of a token")
            for key, most in (("d", 2048), ("tokens", 1 << 16), ("layers", 1 << 10)):
                require_integer(f"{where}.{key}", found[key], 1, most)
            return found
        found |= _shape(where, given) | {key: given[key] for key in ("n", "layers") if key in given}
        for key, most in (("n", 2048), ("dw", 2048), ("d", 128), ("heads", 1 << 10), ("layers", 1 << 10)):
            require_integer(f"{where}.{key}", found.get(key, None), 1, most)
    except ConfigError as error:
        raise InputError(str(error)) from None
    return found | _compression(where, given, found["n"]) | {"operands": _operands(where, given)}


def _shape(where: str, given: dict) -> dict:
    nets = {net.name: net for net in NETS}
    if "net" not in given:
        return {"dw": given.get("dw", given.get("d")), "d": given.get("d"), "heads": given.get("heads", 1),
                "shared": bool(given.get("shared", True))}
    if given["net"] not in nets:
        raise InputError(f"{where}.net is {shown(given['net'])}, must be one of {', '.join(nets)}")
    net = nets[given["net"]]
    for key in ("dw", "d", "heads", "shared"):
        if key in given:
            raise InputError(f"{where}.{key} is given, and {net.name} has its own")
    return {"dw": net.dw, "d": net.d, "heads": net.heads, "shared": net.shared}


def _compression(where: str, given: dict, n: int) -> dict:
    point, counts = given.get("point"), given.get("clusters")
    if point is not None and counts is not None:
        raise InputError(f"{where} has a point and clusters, must have one of them at most")
    if point is not None and point not in POINTS:
        raise InputError(f"{where}.point is {shown(point)}, must be one of {', '.join(POINTS)}")
    if counts is not None and not (isinstance(counts, list) and len(counts) == 3 and all(
            isinstance(k, int) and not isinstance(k, bool) and 1 <= k <= n for k in counts)):
        raise InputError(f"{where}.clusters is {shown(counts)}, must be k0, k1, k2 in 1..n = {n}")
    return {"point": point, "clusters": counts}


def _operands(where: str, given: dict) -> dict | None:
    """The files as absolute paths, and what is in them as a hash, so that a result belongs to it."""
    files = given.get("operands")
    if files is None:
        return None
    files, content = [files] if isinstance(files, str) else files, hashlib.sha256()
    if not isinstance(files, list) or not files or not all(isinstance(file, str) for file in files):
        raise InputError(f"{where}.operands is {shown(files)}, must be a file or a list of files")
    for file in files:
        try:
            content.update(Path(file).read_bytes())
        except OSError as error:
            raise InputError(f"{where}.operands {file} cannot be read: {error.strerror}") from None
    return {"files": [str(Path(file).resolve()) for file in files], "hash": content.hexdigest()[:12]}


def clusters(workload: dict, point: str | None) -> tuple[int, int, int] | None:
    """(k0, k1, k2) of a workload whose own compression goes before that of the ``point``; None is exact."""
    if workload["clusters"] is not None:
        return tuple(workload["clusters"])
    name = workload["point"] or point or OPERATING_POINTS[0].name
    if name == EXACT:
        return None
    (found,) = (each for each in OPERATING_POINTS if each.name == name)
    return counts(found.fractions, workload["n"])


def counts(fractions, n: int) -> tuple[int, int, int] | None:
    """Clusters of ``n`` tokens at these fractions, one at least; None for None, which is exact."""
    return None if fractions is None else tuple(min(n, max(1, round(share * n))) for share in fractions)
