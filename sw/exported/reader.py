"""Read an export back: the same integers, or a line that says what is wrong with it."""

from pathlib import Path

from sw.exported.codec import ImageError, decode_heads, decode_weights
from sw.exported.layer import AttentionLayer, FFNLayer
from sw.exported.manifest import FILE, Entry, check, describe, sha256

__all__ = ["entries", "read", "read_layer"]


def entries(folder) -> list[Entry]:
    """The layers that an export has, from its manifest alone. Raises :class:`ImageError`."""
    path = Path(folder) / FILE
    if not path.is_file():
        raise ImageError(f"{folder} is not an export: it has no {FILE}")
    try:
        return check(path.read_bytes())
    except OSError as error:
        raise ImageError(f"{path} cannot be read: {error.strerror}") from None
    except ImageError as error:
        raise ImageError(f"{folder}: {error}") from None


def read(folder) -> dict[str, AttentionLayer | FFNLayer]:
    """All layers of an export by name, in its order.

    Raises :class:`ImageError` for anything that :func:`sw.exported.writer.export` does not write:
    another schema, missing or damaged files, files of another layer, images that do not agree
    with their configuration.
    """
    return {entry.name: read_layer(folder, entry) for entry in entries(folder)}


def read_layer(folder, entry: Entry) -> AttentionLayer | FFNLayer:
    """One layer. Raises as :func:`read`."""
    path = Path(folder) / entry.file
    where = f"{folder}: layer {entry.name}"
    try:
        # The size first: no more is read than the manifest allows for.
        size = path.stat().st_size
        if size == entry.size:
            data = path.read_bytes()
    except OSError as error:
        raise ImageError(f"{where}: {entry.file} cannot be read: {error.strerror}") from None
    if size != entry.size:
        raise ImageError(f"{where}: {entry.file} has {size} bytes, must be {entry.size}")
    if sha256(data) != entry.sha256:
        raise ImageError(f"{where}: {entry.file} does not have the hash that the manifest states: "
                         "damaged, or of another layer")
    try:
        if entry.kind == "cta":
            weights, image = decode_heads(entry.cfg, data, entry.heads)
        else:
            weights, image = decode_weights(entry.cfg, data)
    except ImageError as error:
        raise ImageError(f"{where}: {entry.file} is not an image of its engine: {error}") from None
    try:
        layer = entry.layer(weights)
    except ValueError as error:
        raise ImageError(f"{where}: {error}") from None
    due = describe(entry.name, layer, image, entry.file)
    for key, value in due.items():
        if entry.data[key] != value:
            raise ImageError(f"{where}: {key} of the manifest does not agree with {entry.file}")
    return layer
